"""How the time of a solve grows with the number of features, beside the peers (sparse designs)."""

from __future__ import annotations

import json
from typing import Any

from matplotlib.figure import Figure

from figures.stored import RESULTS
from figures.style import canvas, look, name_panel

BENCHMARK = RESULTS / "convex_benchmark.json"
SOLVERS = ("convex_analysis", "skglm", "celer", "scikit-learn", "convex_analysis, refine=False")
TITLES = {"lasso": "lasso, duality gap $10^{-6}$", "MCP": "MCP, stationarity $10^{-6}\\lambda$"}


def rows() -> list[dict[str, Any]]:
    """Return the measured rows.

    Raises
    ------
    FileNotFoundError
        If they were never measured; the message says how to.
    """
    cases = json.loads(BENCHMARK.read_text())["cases"] if BENCHMARK.is_file() else {}
    if "scale" not in cases:
        raise FileNotFoundError("No times are stored: run `python benchmarks/convex.py scale`.")
    return [row for run in cases["scale"]["runs"] for row in run["rows"]]


def draw() -> Figure:
    measured = rows()
    figure, axes = canvas(1, 2, height=3.0, sharey=True)
    for axis, letter, penalty in zip(axes[0], "ab", TITLES):
        for i, solver in enumerate(SOLVERS):
            points = [
                (row["n_features"], row["median"])
                for row in measured
                if row["penalty"] == penalty and row["solver"] == solver and row["seconds"] and row["reached"]
            ]
            if points:
                axis.plot(*zip(*points), label=solver, **look(i, marker=True))
        axis.set(xscale="log", yscale="log", xlabel="features $d$ (10 entries a column)")
        axis.legend(loc="upper left", fontsize=7.5)
        name_panel(axis, letter, TITLES[penalty])
    axes[0][0].set_ylabel("seconds (median)")
    return figure
