"""Compare the tickets of several seeds: overlap of their masks, error on the line between them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from nets.commands._settings import METHOD, OUTPUT, WHAT, PairSettings


def connect(
    *,
    settings: Annotated[PairSettings, Parameter(name="*")] = PairSettings(),  # noqa: B008
    option: Annotated[tuple[str, ...], Parameter(group=METHOD)] = (),
    seeds: Annotated[int, Parameter(group=WHAT)] = 2,
    save: Annotated[Path | None, Parameter(group=OUTPUT)] = None,
) -> None:
    """Compare the tickets of several seeds: overlap of their masks, error on the line between them.

    Parameters
    ----------
    settings
        What the plays have in common.
    option
        Option of the method, as name=value; may be repeated.
    seeds
        Number of seeds, at least 2; every pair is compared.
    save
        Write the numbers to this JSON file.
    """
    import dataclasses

    from rich.console import Console
    from rich.table import Table

    from nets.analysis.comparison import versions
    from nets.analysis.connectivity import connectivity
    from nets.executors import set_threads
    from nets.storage.atomic import write_json

    set_threads(1)
    play = settings.play(option)
    found = connectivity(play, seeds=range(seeds))
    metric = found[0].metric
    table = Table(
        "what differs",
        "seeds",
        "mask overlap",
        "by chance",
        f"barrier, {'points' if metric.unit == '%' else metric.heading}",
        "connected",
        title=f"{play.method} at {100 * play.density:g}%: {play.model} on {play.data}",
        title_justify="left",
    )
    for one in found:
        table.add_row(
            "seed, so weights and mask" if one.kind == "seeds" else "batch order alone",
            f"{one.seeds[0]}, {one.seeds[1]}",
            f"{one.overlap:.3f}",
            f"{one.chance:.3f}",
            f"{metric.number(one.barrier)}",
            "yes" if one.connected else "no",
        )
    console = Console()
    console.print(table)
    console.print(
        "barrier: largest test error on the straight line above that of its ends; connected: below "
        + ("2 points" if metric.unit == "%" else f"twice {metric.tolerance_text}"),
        highlight=False,
    )
    if save is not None:
        rows = [dataclasses.asdict(one) for one in found]
        write_json(save, {"versions": versions(), "connections": rows})
        console.print(f"results: {save}", highlight=False, soft_wrap=True)
