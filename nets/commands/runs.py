"""Make runs, one or a whole grid, ask the stored ones in SQL, and write a page about them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

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

            hooks = (TellEpochs(report),)
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


def sweep(
    file: Path,
    /,
    *,
    runs: Path = Path("runs"),
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    workers: int | None = None,
    threads: int = 1,
    scheduler: str | None = None,
    interval: float = 30.0,
    retry_failed: bool = True,
    keep_search: bool = False,
    keep_network: bool = True,
    tensorboard: bool = False,
    tracker: str = "",
) -> None:
    """Run a whole grid of plays from a TOML file; what is finished is not run again.

    Every list in the file is an axis of the grid, e.g. density = [0.1, 0.05] and seed = "0..4". A sweep may
    be stopped at any moment and started again: finished runs are kept, the others resume.

    Parameters
    ----------
    file
        The sweep file.
    runs
        Folder of the runs.
    dry_run
        Show what would be done, and do nothing.
    workers
        Worker processes; default: one a core (divided by THREADS).
    threads
        Threads of each worker. Results on one thread and on several differ in rounding.
    scheduler
        Address of a Dask scheduler, e.g. tcp://host:8786: run on its workers, which must see the folder RUNS;
        start them with --nthreads 1, and on machines with a GPU with --resources "GPU=1".
    interval
        Seconds between two checkpoints of a training.
    retry_failed
        Try again what failed before.
    keep_search
        Keep the trainings of finished searches, so that smaller densities asked for later go on from there.
    keep_network
        Keep the retrained networks.
    tensorboard
        Write TensorBoard event files: tensorboard --logdir RUNS/tensorboard.
    tracker
        Tracker of your own, package.module:factory, called as factory(play), which returns a nets.Hook.
    """
    from rich.console import Console

    from concave_sparsity.stages import stage

    with stage("loading modules"):  # torch takes seconds the first time
        from nets.commands._progress import Display, plan_table, print_summary
        from nets.runs.jobs import Keeping
        from nets.runs.sweep import make_plan, read_sweep, run_plan

    console = Console()
    plan = make_plan(read_sweep(file), runs, retry_failed=retry_failed)
    console.print(plan_table(plan, runs))
    if dry_run or not plan.jobs:
        return
    keeping = Keeping(
        runs,
        interval=interval,
        keep_search=keep_search,
        keep_network=keep_network,
        tensorboard=tensorboard,
        tracker=tracker,
    )
    with Display(Console(stderr=True), plan) as display:
        try:
            summary = run_plan(
                plan,
                keeping,
                workers=workers,
                threads=threads,
                scheduler=scheduler,
                on_progress=display.report,
                on_end=display.ended,
            )
        except KeyboardInterrupt:
            display.stop()
            console.print(
                f"stopped; {display.finished} of {plan.to_do} runs are finished and kept in {runs}, "
                "the others resume when the same command is given again",
                highlight=False,
            )
            raise
    print_summary(console, summary, runs)
    if summary.failures:
        raise SystemExit(1)


def query(
    sql: str = "",
    /,
    *,
    runs: Path = Path("runs"),
    format: Literal["table", "csv", "json"] = "table",
) -> None:
    """Ask the stored runs in SQL (DuckDB's dialect); without a question, say what the columns hold.

    Tables: "results", one row a finished run; "metrics", one row an epoch of every training. The files are
    read in place, and nothing else can be reached.

    Parameters
    ----------
    sql
        E.g. "select method, density, avg(test_accuracy) from results group by all order by all".
    runs
        Folder of the runs.
    format
        How to print the answer; a table that is wider than the terminal is printed row by row.
    """
    import sys

    from nets.runs.results import query as ask

    if not sql:
        _print_columns()
        return
    frame = ask(sql, runs)
    if format == "csv":
        frame.to_csv(sys.stdout, index=False)
    elif format == "json":
        print(frame.to_json(orient="records", indent=1))
    else:
        from rich import box
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

        console = Console()
        names = [str(name) for name in frame.columns]
        rows = [[_text_of(value) for value in row] for row in frame.itertuples(index=False)]
        widths = [max(map(len, column)) for column in zip(names, *rows)]
        if sum(widths) + 2 * len(widths) > console.width:
            longest = max(map(len, names))
            for number, row in enumerate(rows, 1):
                console.rule(f"row {number} of {len(rows)}", align="left", characters="-", style="dim")
                for name, text in zip(names, row):
                    console.print(f"{name:{longest}}  {text}", highlight=False, markup=False, soft_wrap=True)
            return
        table = Table(*map(escape, names), box=box.SIMPLE_HEAD, pad_edge=False)
        for row in rows:
            table.add_row(*map(escape, row))
        console.print(table)


def _print_columns() -> None:
    """Print what the columns of the two tables hold."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from nets.result import METRICS, RESULTS

    console = Console()
    for name, columns in (("results", RESULTS), ("metrics", METRICS)):
        table = Table(title=f"table {name}", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("column", max_width=32)  # wraps between names; the text needs the rest
        table.add_column("what it holds", overflow="fold")
        for column, meaning in columns.items():
            table.add_row(column, meaning)
        console.print(table)


def _text_of(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def report(
    runs: Path = Path("runs"),
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])] = Path("report.html"),
    title: str = "",
) -> None:
    """Write one self-contained HTML page about the stored runs; it needs no network.

    Accuracy against density with intervals, matching tickets, search cost, layer-wise densities, masks and
    lam over time, sanity checks, and a table of all runs to sort and filter.

    Parameters
    ----------
    runs
        Folder of the runs.
    out
        The file to write.
    title
        Title of the page.
    """
    from nets.report import write_report

    print(write_report(runs, out, title=title))
