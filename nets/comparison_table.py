"""The table at the end of a comparison."""

from __future__ import annotations

import math

from rich.table import Table

from nets.comparison import Comparison, row_label


def rich_table(comparison: Comparison) -> Table:
    """Return the table: density, metric with its 95% interval, verdict and costs, by method."""
    rows, metric = comparison.table(), comparison.metric
    seeds = max((row["seeds"] for row in rows), default=0)
    play = comparison.results[0].play
    table = Table(
        title=f"{play.model} on {play.data}, {play.epochs} epochs a training, {seeds} seeds",
        title_justify="left",
    )
    table.add_column("method")
    score = f"test {metric.name} {metric.unit}".strip()
    for heading in ("density %", score, "ticket", "search epochs", "seconds"):
        table.add_column(heading, justify="right")
    previous = None
    for row in rows:
        series = {name: row[name] for name in ("method", "penalty", "options", "granularity")}
        if previous is not None and series != previous:
            table.add_section()
        previous = series
        interval = row["interval"]
        table.add_row(
            row_label(row),
            f"{100 * row['density']:g}",
            metric.number(row[metric.name])
            + ("" if math.isnan(interval) else f" ± {metric.number(interval)}"),
            row["verdict"],
            f"{row['search_epochs']:g}",
            f"{row['seconds']:.2f}",
        )
    return table


def matching_lines(comparison: Comparison) -> list[str]:
    """Return what the verdicts mean, and the largest matching sparsity of every method, line by line."""
    found = comparison.largest_matching_sparsities()
    if not found:
        return []
    width = max(map(len, found))
    return [
        f"matching: shown with 95% confidence to lose less than {comparison.metric.tolerance_text} against "
        "dense; "
        "winning: better, too, than with new initial weights (--controls reinitialise)",
        "largest matching sparsity:",
        *(
            f"  {label:{width}}  {'none shown' if sparsity is None else f'{100 * sparsity:g}%'}"
            for label, sparsity in found.items()
        ),
    ]
