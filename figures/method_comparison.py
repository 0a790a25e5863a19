"""Accuracy of retrained tickets against their density, method by method: runs, rows, picture and table.

python -m figures.method_comparison NAME prints the table of the documentation from the stored results.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import stored, style

if TYPE_CHECKING:
    from nets import Play

#: Finished runs are kept here, by experiment, and not made again: `compute` may be stopped at any moment.
RUNS = Path(os.environ.get("FIGURES_RUNS", "runs"))

Rows = Sequence[Mapping[str, Any]]


def compute(
    name: str, play: Play, methods: Sequence[str], densities: Sequence[float], seeds: Sequence[int]
) -> dict[str, Any]:
    """Play every method at every density, seed by seed, and return the rows of all finished runs.

    Parameters
    ----------
    name : str
        Folder of the runs, under `RUNS`.
    play : Play
        What the plays have in common.
    """
    from nets import compare

    for seed in seeds:
        compare(play, methods=methods, densities=densities, seeds=(seed,), folder=RUNS / name)
    return gather(RUNS / name, play)


def gather(runs: Path, play: Play) -> dict[str, Any]:
    """Return the rows of all finished runs in a folder and what they have in common."""
    from nets.runs.results import rows

    kept = [
        {
            "method": row["method"],
            "density": row["asked_density"],
            "kept": row["kept"],
            "seed": row["seed"],
            "test_accuracy": row["test_accuracy"],
            "validation_accuracy": row["validation_accuracy"],
            "search_epochs": row["search_epochs_spent"],
            "search_seconds": row["search_seconds"],
            **{n: row[n] for n in ("search_relaxed_accuracy", "search_cut_accuracy") if n in row},
        }
        for row in rows(runs)
    ]
    kept.sort(key=lambda r: (r["method"], -r["density"], r["seed"]))
    common = {n: getattr(play, n) for n in ("data", "model", "epochs", "batch_size", "lr", "weight_decay")}
    return {**common, "torch": version("torch"), "rows": kept}


def draw_panel(place: Axes, rows: Rows, methods: Sequence[str], densities: Sequence[float]) -> None:
    """Draw the dense network as a line and each method with the intervals of its means."""
    dense = [100 * r["test_accuracy"] for r in rows if r["method"] == "dense"]
    place.axhline(sum(dense) / len(dense), color="#777777", linewidth=1, label="dense")
    styles = style.looks(methods, marker=True)
    for method in methods:
        points = [(d, _accuracies(rows, method, d)) for d in densities]
        points = [(d, values) for d, values in points if values]
        if not points:
            continue
        place.errorbar(
            [100 * d for d, _ in points],
            [sum(values) / len(values) for _, values in points],
            yerr=[_half_width(values) for _, values in points],
            capsize=2,
            elinewidth=0.8,
            label=method,
            **styles[method],
        )
    place.legend(loc="lower right", fontsize=7)
    place.set_xscale("log")
    place.set_xticks([100 * d for d in densities], [f"{100 * d:g}" for d in densities])
    place.set_xticks([], minor=True)
    place.set_xlabel("density: weights kept, %")


def draw(
    data: Mapping[str, Any],
    panels: Mapping[str, Sequence[str]],
    title: str,
    shape: tuple[int, int],
    floor: float,
) -> Figure:
    """Draw a panel for each kind of method, the concave mask and the dense network in all.

    Parameters
    ----------
    data : mapping
        What `compute` returned.
    panels : mapping of str to sequence of str
        Methods beside the concave mask, by the title of their panel.
    title : str
        Network and data set, in words.
    shape : tuple of int
        Rows and columns of panels.
    floor : float
        Least accuracy that is shown, in %; what has collapsed leaves the picture.
    """
    rows: Rows = data["rows"]
    densities = sorted({r["density"] for r in rows if r["method"] != "dense"})
    figure, axes = style.canvas(*shape, 2.8 * shape[0], sharex=True, sharey=True)
    for letter, place, (name, methods) in zip("abcdef", axes.flat, panels.items()):
        draw_panel(place, rows, ("concave", *methods), densities)
        style.name_panel(place, letter, name)
    best = math.ceil(max(100 * r["test_accuracy"] for r in rows))
    axes[0, 0].set_ylim(floor, best)
    for place in axes[:, 0]:
        place.set_ylabel("test accuracy, %")
    seeds = len({r["seed"] for r in rows})
    count = f"{seeds} seeds, 95% intervals" if seeds > 1 else "one seed"
    figure.suptitle(f"{title}, {data['epochs']} epochs a training, {count}", fontsize=10, x=0.02, ha="left")
    return figure


def table(data: Mapping[str, Any]) -> str:
    """Return the mean test accuracies with their 95% intervals, and the search's epochs, as Markdown."""
    rows: Rows = data["rows"]
    densities = sorted({r["density"] for r in rows if r["method"] != "dense"}, reverse=True)
    heads = [f"{100 * d:g}%" for d in densities]
    lines = [f"| method | {' | '.join(heads)} | epochs of search |", "| --- |" + " --- |" * (len(heads) + 1)]
    for method in sorted({r["method"] for r in rows} - {"dense"}):
        found = [_accuracies(rows, method, d) for d in densities]
        epochs = [r["search_epochs"] for r in rows if r["method"] == method]
        few, many = f"{min(epochs):.3g}", f"{max(epochs):.3g}"
        cost = few if few == many else f"{few} to {many}"
        lines.append(f"| {method} | {' | '.join(_told(v) for v in found)} | {cost} |")
    return "\n".join([*lines, "", f"Dense: {_told(_accuracies(rows, 'dense', 1.0))}."])


def _told(values: Sequence[float]) -> str:
    if not values:
        return ""
    mean = sum(values) / len(values)
    return f"{mean:.2f} ± {_half_width(values):.2f}" if len(values) > 1 else f"{mean:.2f}"


def _accuracies(rows: Rows, method: str, density: float) -> list[float]:
    return [100 * r["test_accuracy"] for r in rows if r["method"] == method and r["density"] == density]


def _half_width(values: Sequence[float]) -> float:
    """Return the half width of the mean's 95% interval; nothing for one value."""
    if len(values) < 2:
        return 0.0
    from nets.analysis.comparison import mean_interval

    return mean_interval(list(values))[1]


if __name__ == "__main__":
    print(table(stored.read(sys.argv[1])))
