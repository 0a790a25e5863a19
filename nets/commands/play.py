"""Find a ticket, rewind, retrain it and compare it with the dense network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from nets.commands._settings import PlaySettings


def play(
    *,
    settings: Annotated[PlaySettings, Parameter(name="*")] = PlaySettings(),  # noqa: B008
    option: tuple[str, ...] = (),
    save: Path | None = None,
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
    """
    from rich.console import Console

    from nets.job_pool import one_thread
    from nets.live_progress import Bar, EpochBar
    from nets.playing import play_densities

    one_thread()
    console = Console()
    chosen = settings.play(option)
    with Bar(Console(stderr=True)) as bar:
        hooks = (EpochBar(bar, chosen),)
        ((result, ticket),) = play_densities(chosen, (chosen.density,), (chosen.control,), hooks=hooks)
    control = f" ({chosen.control})" if chosen.control else ""
    points = 100 * (result.test_accuracy - result.dense_test_accuracy)
    console.print(
        f"{result.play.method}{control} on {result.play.data}: ticket of {result.kept:,} of "
        f"{result.total:,} weights ({100 * result.density:.3g}%)",
        highlight=False,
    )
    console.print(
        f"test accuracy {100 * result.test_accuracy:.2f}%, dense {100 * result.dense_test_accuracy:.2f}% "
        f"({points:+.2f} points)",
        highlight=False,
    )
    console.print(
        f"search {result.search_epochs:g} epochs, {result.search_seconds:.1f} s; "
        f"retraining {result.retrain_epochs:g} epochs, {result.retrain_seconds:.1f} s",
        highlight=False,
    )
    if "cut_loss" in result.report:
        console.print(
            f"loss of accuracy at the cut {100 * float(result.report['cut_loss']):.2f} points (validation)",
            highlight=False,
        )
    if save is not None:
        console.print(f"ticket written to {ticket.save(save)}", highlight=False, soft_wrap=True)
