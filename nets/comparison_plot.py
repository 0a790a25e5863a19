"""The metric against density, one line a method, the dense network as a band."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

from nets.comparison import Comparison, row_label
from nets.metric import Metric

#: Okabe and Ito's colours (colour-blind safe), each with its own marker and dashes, to be told apart in grey.
STYLES: tuple[tuple[str, str, Any], ...] = (
    ("#0072B2", "o", "-"),
    ("#E69F00", "s", (0, (5, 1.5))),
    ("#D55E00", "^", (0, (1, 1))),
    ("#009E73", "D", (0, (4, 1.5, 1, 1.5))),
    ("#CC79A7", "v", (0, (7, 2))),
    ("#56B4E9", "P", (0, (3, 1, 1, 1, 1, 1))),
    ("#000000", "X", (0, (2, 2))),
    ("#8C6D31", "*", (0, (6, 1, 2, 1))),
)


def draw(comparison: Comparison, path: str | os.PathLike[str]) -> Path:
    """Draw the mean of the test metric with 95% intervals against density (logarithmic) as a picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(7.2, 4.5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    rows, metric = comparison.table(), comparison.metric
    scale, name = metric.scale, metric.name
    lines: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["method"] == "dense":
            mean, half = scale * row[name], scale * _or_zero(row["interval"])
            axes.axhspan(mean - half, mean + half, color="#999999", alpha=0.3, linewidth=0)
            axes.axhline(mean, color="#555555", linewidth=1.2, label="dense")
        else:
            lines.setdefault(row_label(row), []).append(row)
    for i, (label, points) in enumerate(lines.items()):
        colour, marker, dashes = STYLES[i % len(STYLES)]
        points.sort(key=lambda row: row["density"])
        # a slight shift to the side keeps intervals of several methods apart
        x = [100 * row["density"] * 1.025 ** (i - (len(lines) - 1) / 2) for row in points]
        axes.errorbar(
            x,
            [scale * row[name] for row in points],
            yerr=[scale * _or_zero(row["interval"]) for row in points],
            color=colour,
            marker=marker,
            linestyle=dashes,
            markersize=5,
            linewidth=1.5,
            elinewidth=1,
            capsize=2.5,
            label=label,
        )
    densities = sorted({100 * row["density"] for row in rows if row["method"] != "dense"})
    if densities:
        axes.set_xscale("log")
        axes.set_xticks(densities, [f"{d:g}" for d in densities])
        axes.set_xticks([], minor=True)
    axes.set_ylim(*_limits(rows, metric))
    play = comparison.results[0].play
    seeds = max(row["seeds"] for row in rows)
    axes.set_xlabel("density of the ticket: weights kept, % (logarithmic)")
    axes.set_ylabel(f"test {metric.name}, {metric.unit}".strip(", "))
    axes.set_title(
        f"{play.model} on {play.data}: mean of {seeds} seeds, 95% intervals", fontsize=10, loc="left"
    )
    axes.grid(alpha=0.3, linewidth=0.6)
    axes.legend(loc="lower right" if metric.higher_is_better else "upper right", framealpha=0.9)
    figure.savefig(path)
    return path


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value


def _limits(rows: list[dict[str, Any]], metric: Metric) -> tuple[float, float]:
    """Return limits that show the good methods well; what lies far off may leave the picture."""
    sign = metric.scale if metric.higher_is_better else -metric.scale
    values = sorted(sign * row[metric.name] for row in rows)
    top = max(sign * row[metric.name] + metric.scale * _or_zero(row["interval"]) for row in rows)
    middle = values[len(values) // 2]
    least = (8.0, 2.0) if metric.unit == "%" else (0.0, 0.05 * (top - values[0]))
    floor = max(values[0] - least[1], middle - max(least[0], 6.0 * (top - middle)))
    if floor >= top:
        floor, top = floor - 0.05 * (abs(floor) or 1.0), top + 0.05 * (abs(top) or 1.0)
    end = top + 0.05 * (top - floor)
    if metric.unit == "%" and metric.higher_is_better:
        end = min(100.0, end)
    return (floor, end) if metric.higher_is_better else (-end, -floor)
