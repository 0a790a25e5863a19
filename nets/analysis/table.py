"""The table at the end of a comparison, within 80 columns."""

from __future__ import annotations

from rich import box
from rich.table import Table

from nets.analysis.comparison import Comparison
from nets.result import row_label


def rich_table(comparison: Comparison) -> Table:
    """Return the table by method and density: metric, paired difference to dense, verdict, cost."""
    rows, metric = comparison.table(), comparison.metric
    seeds = max((row["seeds"] for row in rows), default=0)
    play = comparison.results[0].play
    table = Table(
        title=f"{play.model} on {play.data}, {play.epochs} epochs a training, {seeds} "
        f"seed{'s' * (seeds > 1)}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    points = "points" if metric.unit == "%" else metric.unit
    table.add_column("method", overflow="fold")
    table.add_column("kept\n%", justify="right", no_wrap=True)
    table.add_column(f"test\n{metric.name} {metric.unit}".strip(), justify="right", no_wrap=True)
    table.add_column(f"to dense\n{points}".rstrip(), justify="right", no_wrap=True)
    table.add_column("ticket", no_wrap=True)
    table.add_column("search\nepochs", justify="right", no_wrap=True)
    previous = None
    for row in rows:
        series = {name: row[name] for name in ("method", "penalty", "options", "granularity", "control")}
        if previous is not None and series != previous:
            table.add_section()
        table.add_row(
            row_label(row) if series != previous else "",
            f"{100 * row['density']:g}",
            metric.number(row[metric.name]),
            row["to_dense"],
            row["verdict_text"].replace(" seeds)", ")").replace("(about ", "(~"),
            f"{row['search_epochs']:.0f}",
        )
        previous = series
    return table


def against_table(comparison: Comparison, method: str) -> Table:
    """Return the differences of the other methods to one, by method and density."""
    metric = comparison.metric
    points = "points" if metric.unit == "%" else metric.unit
    table = Table(
        title=f"paired differences to {method}, with their 95% intervals",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("method", overflow="fold")
    table.add_column("kept\n%", justify="right", no_wrap=True)
    table.add_column(f"{metric.name}\n{points}".rstrip(), justify="right", no_wrap=True)
    table.add_column("seeds", justify="right", no_wrap=True)
    table.add_column("shown", no_wrap=True)
    previous = ""
    for row in comparison.against(method):
        label = row["method"]
        table.add_row(
            "" if label == previous else label,
            f"{100 * row['density']:g}",
            row["text"],
            str(row["seeds"]),
            row["shown"],
        )
        previous = label
    return table


def matching_lines(comparison: Comparison) -> list[str]:
    """Return what the verdicts mean, and the largest matching sparsity of every method, line by line."""
    found = comparison.largest_matching_sparsities()
    if not found:
        return []
    width = max(map(len, found))
    tolerance = comparison.metric.tolerance_text
    return [
        "to dense: mean of the differences seed by seed, with its 95% interval",
        f"matching: shown (95%) to lose less than {tolerance}; worse: shown to lose more",
        "winning: matching, and better than with new weights (--controls reinitialise)",
        *(
            ["undecided (~12): open; about 12 seeds would decide it, if the mean stays"]
            if any(row["verdict"] == "undecided" for row in comparison.table())
            else []
        ),
        "largest matching sparsity:",
        *(
            f"  {label:{width}}  {'none shown' if sparsity is None else f'{100 * sparsity:g}%'}"
            for label, sparsity in found.items()
        ),
    ]
