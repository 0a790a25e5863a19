"""Find a ticket, rewind, retrain it and compare it with the dense network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from nets.commands._settings import METHOD, OUTPUT, PlaySettings


def play(
    *,
    settings: Annotated[PlaySettings, Parameter(name="*")] = PlaySettings(),  # noqa: B008
    option: Annotated[tuple[str, ...], Parameter(group=METHOD)] = (),
    save: Annotated[Path | None, Parameter(group=OUTPUT)] = None,
    save_network: Annotated[Path | None, Parameter(group=OUTPUT)] = None,
    runs: Annotated[Path | None, Parameter(group=OUTPUT)] = None,
) -> None:
    """Find a ticket, rewind, retrain it and compare it with the dense network.

    Parameters
    ----------
    settings
        What to play.
    option
        Option of the method, as name=value; may be repeated (`lottery methods NAME` lists them).
    save
        Write the ticket to this safetensors file.
    save_network
        Write the trained network's state to this safetensors file.
    runs
        Keep the run in this folder: if it is finished there it is read, if it was interrupted it resumes.

    Notes
    -----
    torchrun --nproc-per-node 2 -m nets.command_line play ... trains in several processes, on the CPU or on
    one GPU each.
    """
    from dataclasses import replace

    from rich.console import Console

    from concave_sparsity.stages import stage

    with stage("loading modules"):  # torch takes seconds the first time
        from nets.commands._progress import Bar
        from nets.executors import set_threads
        from nets.lottery import Trained, play_densities
        from nets.runs.driver import Progress, Report, TellEpochs, run, stored_network, stored_ticket
        from nets.runs.jobs import Job
        from nets.storage.atomic import write_bytes
        from nets.training.distributed import processes, rank

    for path in (save, save_network):
        if path is not None and path.suffix != ".safetensors":
            raise ValueError(
                f"{path} is written as safetensors: name it {path.with_suffix('.safetensors').name} "
                "(lottery export makes other forms of it)"
            )
    set_threads(1)
    console = Console()
    chosen = settings.play(option)
    networks: list[Trained] = []
    with processes(chosen.device) as device:
        first = rank() == 0
        chosen = replace(chosen, device=device)
        with Bar(Console(stderr=True, quiet=not first), "loading modules and data") as bar:
            job = Job(chosen, (chosen.density,), (chosen.control,))
            progress = Progress((job,), more=chosen.epochs)  # of the dense network

            def report(message: dict[str, Any]) -> None:
                progress.report(Report(job, **message))
                bar.show(progress)

            hooks = (TellEpochs(chosen, report),)
            if runs is None:
                ((result, ticket),) = play_densities(
                    chosen,
                    (chosen.density,),
                    (chosen.control,),
                    hooks=hooks,
                    on_trained=lambda _, trained: networks.append(trained),
                )
            else:
                result, ticket = run(chosen, runs, hooks=hooks), stored_ticket(chosen, runs)
    if not first:
        return
    control = f" ({chosen.control})" if chosen.control else ""
    metric = result.metric
    console.print(
        f"{result.play.method}{control} on {result.play.data}: ticket of {result.kept:,} of "
        f"{result.total:,} weights ({100 * result.density:.3g}%)",
        highlight=False,
    )
    if "units" in ticket.metadata:
        console.print(
            f"{ticket.metadata['units_kept']:,} of {ticket.metadata['units']:,} units", highlight=False
        )
    console.print(
        f"test {metric.name} {metric.text(result.test_score)}, dense {metric.text(result.dense_test_score)} "
        f"({metric.gain_text(result.gain)})",
        highlight=False,
    )
    console.print(
        f"search {result.search_epochs:g} epochs, {result.search_seconds:.1f} s; "
        f"retraining {result.retrain_epochs:g} epochs, {result.retrain_seconds:.1f} s",
        highlight=False,
    )
    if result.report.get("density_follows"):
        console.print(
            f"lam was given, {float(result.report['lam']):g}: the density is what the relaxed mask reached",
            highlight=False,
        )
    if "cut_loss" in result.report:
        console.print(
            f"loss of {metric.name} at the cut "
            f"{metric.gain_text(float(result.report['cut_loss'])).lstrip('+')} (validation)",
            highlight=False,
        )
    if save is not None:
        console.print(f"ticket written to {ticket.save(save)}", highlight=False, soft_wrap=True)
    if save_network is not None:
        if networks:
            networks[-1].save(save_network)
        else:
            write_bytes(save_network, stored_network(chosen, runs or Path()).read_bytes())
        console.print(f"network written to {save_network}", highlight=False, soft_wrap=True)
