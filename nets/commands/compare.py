"""Compare methods over densities and seeds, with a table and a picture; and the tickets of several seeds."""

from __future__ import annotations

import shlex
from dataclasses import fields
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from nets.analysis.comparison import DENSITIES, METHODS, SEEDS
from nets.commands._settings import (
    MACHINE,
    METHOD,
    OUTPUT,
    SEVERAL,
    WHAT,
    ComparisonSettings,
    PairSettings,
    options_by_method,
)
from nets.configuration import Play, check


def compare(
    *,
    settings: Annotated[ComparisonSettings, Parameter(name="*")] = ComparisonSettings(),  # noqa: B008
    methods: Annotated[tuple[str, ...], SEVERAL, Parameter(group=WHAT)] = METHODS,
    densities: Annotated[tuple[float, ...], SEVERAL, Parameter(group=WHAT)] = DENSITIES,
    seeds: Annotated[int, Parameter(group=WHAT)] = SEEDS,
    against: Annotated[str, Parameter(group=WHAT)] = "",
    controls: Annotated[tuple[str, ...], SEVERAL, Parameter(group=METHOD)] = (),
    option: Annotated[tuple[str, ...], Parameter(group=METHOD)] = (),
    workers: Annotated[int | None, Parameter(group=MACHINE)] = None,
    out: Annotated[Path, Parameter(group=OUTPUT)] = Path("runs"),
    name: Annotated[str | None, Parameter(group=OUTPUT)] = None,
    keep: Annotated[bool, Parameter(group=OUTPUT)] = True,
) -> None:
    """Compare methods over densities and seeds under one protocol; ends with a table and a picture.

    Parameters
    ----------
    settings
        What the plays have in common.
    methods
        Methods to compare: names, or package.module:METHOD.
    densities
        Densities of the tickets.
    seeds
        Number of seeds.
    against
        One of the methods: show the differences of the others to it too, paired by seed, with intervals.
    controls
        Sanity checks for every ticket: shuffle, reinitialise, invert, random, small-dense, or all.
    option
        Option of a method, as METHOD.NAME=VALUE; may be repeated.
    workers
        Worker processes of one thread each; default: one a core. Results do not depend on it.
    out
        Folder for the picture and the results.
    name
        Name of the files written there; default: compare-DATA-MODEL.
    keep
        Keep every run in OUT, for `lottery report`, `lottery query` and `nets.results`: finished ones are not
        run again, interrupted ones resume.
    """
    from rich.console import Console

    from concave_sparsity.stages import stage

    with stage("loading modules"):  # torch takes seconds the first time
        from nets.analysis.comparison import compare as compare_methods
        from nets.analysis.table import against_table, matching_lines, rich_table
        from nets.commands._progress import Bar
        from nets.methods import method

    play = settings.play()
    for text in methods:
        method(text)  # an unknown name is said before anything is written
    options = options_by_method(option)
    for text, given in options.items():
        method(text).settle(given)
    check(seeds >= 1, "seeds", seeds, "at least 1")
    sparse = [text for text in methods if text != "dense"]
    check(not against or against in sparse, "against", against, f"one of the methods: {', '.join(sparse)}")
    name = name or f"compare-{play.data}-{play.model}".replace("/", "-").replace(":", "-")
    check(out.is_dir() or not out.exists(), "out", str(out), "a folder")
    out.mkdir(parents=True, exist_ok=True)
    tickets = (len(methods) - ("dense" in methods)) * len(densities)
    Console(stderr=True).print(
        f"{play.model} on {play.data}: {tickets} tickets (method and density) of {seeds} seeds each, beside "
        f"the dense network",
        highlight=False,
        soft_wrap=True,
    )
    with Bar(Console(stderr=True), "loading modules and data") as bar:
        comparison = compare_methods(
            play,
            methods=methods,
            densities=densities,
            seeds=seeds,
            controls=controls,
            options=options,
            workers=workers,
            on_progress=bar.show,
            folder=out if keep else None,
        )
    console = Console()
    console.print(rich_table(comparison))
    if against:
        console.print(against_table(comparison, against))
    for line in matching_lines(comparison):
        console.print(line, highlight=False, soft_wrap=True)
    results = comparison.save(
        out / f"{name}.json", command=_command(play, methods, densities, seeds, controls, option)
    )
    picture = comparison.draw(out / f"{name}.png")
    console.print(f"results: {results}", highlight=False, soft_wrap=True)
    console.print(f"picture: {picture}", highlight=False, soft_wrap=True)
    if keep:
        commands = _next_commands(out, comparison.metric.column("test"))
        console.print(f"next:\n{commands}", highlight=False, markup=False, soft_wrap=True)


def _next_commands(runs: Path, score: str) -> str:
    """Return what to try when runs with a column of scores lie in a folder, one command a line."""
    where = shlex.quote(str(runs))
    folder, place = ("", "") if runs == Path("runs") else (f" {where}", f" --runs {where}")
    return (
        f"  lottery report{folder}\n"
        f'  lottery query "select method, avg({score}) from results group by all"{place}\n'
        "  lottery play --density 0.02 --save ticket.safetensors"
    )


def _command(
    play: Play,
    methods: tuple[str, ...],
    densities: tuple[float, ...],
    seeds: int,
    controls: tuple[str, ...] = (),
    option: tuple[str, ...] = (),
) -> str:
    """Return the command that makes these results, without paths of this machine."""
    parts = ["lottery compare"]
    if play.data != "digits":
        parts.append(f"--data {play.data}")
    usual = Play(data=play.data)
    for field in fields(Play):
        value = getattr(play, field.name)
        if field.compare and field.name != "data" and value != getattr(usual, field.name):
            flag = f"--{field.name.replace('_', '-')}"
            if isinstance(value, bool):
                parts.append(flag if value else flag.replace("--", "--no-", 1))
            else:
                texts = map(str, value) if isinstance(value, tuple) else [str(value)]
                parts.append(f"{flag} {' '.join(shlex.quote(text) for text in texts)}")
    if methods != METHODS:
        parts.append("--methods " + " ".join(methods))
    if densities != DENSITIES:
        parts.append("--densities " + " ".join(f"{d:g}" for d in densities))
    if seeds != SEEDS:
        parts.append(f"--seeds {seeds}")
    if controls:
        parts.append("--controls " + " ".join(controls))
    parts += [f"--option {shlex.quote(text)}" for text in option]
    return " ".join(parts)


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
