"""Layer-wise pruning: errors of the layers' outputs against density, and concave families against l1."""

from __future__ import annotations

import json
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.stored import RESULTS
from figures.style import canvas, look, name_panel

SUMMARY = RESULTS / "layerwise_summary.json"
SOLVERS = ("concave", "alps", "sparsegpt+refit", "sparsegpt", "l1", "wanda", "magnitude")
FAMILIES = (
    "concave, path", "log(0.01), path", "log(1), path", "lq(0.5), path", "mcp(2), path", "scad(3.7), path",
    "exponential(4), path",
)  # fmt: skip
#: The network of either panel, and how it is called there.
ENCODER, SMALL = "all-MiniLM-L6-v2", "lenet-300-100 on mnist"


def rows() -> dict[str, list[dict[str, Any]]]:
    """Return what the benchmark has stored.

    Raises
    ------
    FileNotFoundError
        If it was never run; the message says how to.
    """
    if not SUMMARY.is_file():
        raise FileNotFoundError(
            "No results are stored: run `python benchmarks/layerwise.py layers`, then the same with `report`."
        )
    found: dict[str, list[dict[str, Any]]] = json.loads(SUMMARY.read_text())
    return found


def _draw(place: Axes, found: list[dict[str, Any]], subject: str, methods: tuple[str, ...]) -> None:
    """Draw medians with their intervals against density, a line a method; patterns N:M have no place here."""
    for index, method in enumerate(methods):
        mine = [r for r in found if (r["subject"], r["method"]) == (subject, method)]
        points = sorted((r["density"], r["median"]) for r in mine if not isinstance(r["density"], str))
        if points:
            middle = [m for _, (m, _, _) in points]
            place.errorbar(
                [100 * density for density, _ in points],
                middle,
                yerr=[[m - low for _, (m, low, _) in points], [high - m for _, (m, _, high) in points]],
                capsize=2,
                elinewidth=0.8,
                label="log(0.1), path" if method == "concave, path" else method,
                **look(index, marker=True),
            )
    place.set_xlabel("weights kept, %")
    place.legend(fontsize=6.5)


def draw() -> Figure:
    """Draw both panels."""
    found = rows()
    figure, axes = canvas(1, 2, height=3.4)
    left, right = axes[0]
    shown = ENCODER if any(r["subject"] == ENCODER for r in found["errors"]) else SMALL
    _draw(left, found["errors"], shown, SOLVERS)
    left.set(yscale="log", ylabel="relative error of a layer's outputs")
    name_panel(left, "a", f"{shown}, held-out text" if shown == ENCODER else shown)
    _draw(right, found["against_l1"], SMALL, FAMILIES)
    right.axhline(1.0, color="#777777", linewidth=1)
    right.set(xscale="log", ylabel="error by that of l1, paired")
    right.set_xticks([5, 10, 20, 50], ["5", "10", "20", "50"])
    right.set_xticks([], minor=True)
    name_panel(right, "b", "families, LeNet-300-100 on MNIST")
    return figure
