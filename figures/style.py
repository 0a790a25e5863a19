"""One look for all figures: readable by the colour-blind and in grey, vector and bitmap, reproducible."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

PICTURES = Path(__file__).parent / "pictures"

# Okabe and Ito's colours, in an order in which lightness changes; lines differ in dashes too.
COLOURS = ["#000000", "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]
DASHES: list[Any] = [
    "-",
    (0, (5, 1.5)),
    (0, (1, 1)),
    (0, (5, 1.5, 1, 1.5)),
    (0, (8, 2)),
    (0, (3, 1, 1, 1, 1, 1)),
    "-",
]
MARKERS = ["o", "s", "^", "D", "v", "P", "X"]
# From dark to light without a change of order in grey.
HEAT = "cividis"
WIDTH = 7.0
"""Width of a figure in inches."""

_SETTINGS = {
    "figure.dpi": 100,
    "savefig.dpi": 160,
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "legend.handlelength": 3.0,
    "mathtext.fontset": "cm",
    "svg.fonttype": "path",
    "svg.hashsalt": "concave-sparsity",
}


def look(index: int, marker: bool = False) -> dict[str, Any]:
    """Return colour, dashes and, if asked, marker of the curve with this index."""
    chosen: dict[str, Any] = {
        "color": COLOURS[index % len(COLOURS)],
        "linestyle": DASHES[index % len(DASHES)],
    }
    if marker:
        chosen["marker"] = MARKERS[index % len(MARKERS)]
    return chosen


def canvas(rows: int = 1, columns: int = 1, height: float = 3.0, **options: Any) -> tuple[Figure, Any]:
    """Return a figure of the common width with its axes in an array, shape (rows, columns)."""
    mpl.rcParams.update(_SETTINGS)
    figure, axes = plt.subplots(rows, columns, figsize=(WIDTH, height), squeeze=False, **options)
    return figure, axes


def name_panel(axes: Axes, letter: str, title: str) -> None:
    """Write the panel's letter and what it shows above it."""
    axes.set_title(f"({letter}) {title}")


def save(figure: Figure, name: str) -> list[Path]:
    """Write NAME.png and NAME.svg without dates (the same data give the same bytes); close the figure."""
    PICTURES.mkdir(exist_ok=True)
    paths = [PICTURES / f"{name}.{kind}" for kind in ("png", "svg")]
    for path in paths:
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else {"Software": None})
    plt.close(figure)
    return paths
