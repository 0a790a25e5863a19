"""The table at the end of a comparison."""

from __future__ import annotations

import math

from rich.table import Table

from nets.comparison import Comparison, row_label


def rich_table(comparison: Comparison) -> Table:
    """Return the table: accuracy with its 95% interval, density, search epochs and seconds by method."""
    rows = comparison.table()
    seeds = max((row["seeds"] for row in rows), default=0)
    play = comparison.results[0].play
    table = Table(
        title=f"{play.model} on {play.data}, {play.epochs} epochs a training, {seeds} seeds",
        title_justify="left",
    )
    table.add_column("method")
    for heading in ("density %", "test accuracy %", "95% interval", "search epochs", "seconds"):
        table.add_column(heading, justify="right")
    previous = None
    for row in rows:
        if previous is not None and row["method"] != previous:
            table.add_section()
        previous = row["method"]
        interval = row["interval"]
        table.add_row(
            row_label(row),
            f"{100 * row['density']:g}",
            f"{100 * row['accuracy']:.2f}",
            "-" if math.isnan(interval) else f"± {100 * interval:.2f}",
            f"{row['search_epochs']:g}",
            f"{row['seconds']:.2f}",
        )
    return table
