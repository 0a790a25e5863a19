"""One look for all figures: readable by the colour-blind and in grey, vector and bitmap, reproducible."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from concave_sparsity import plot_style
from concave_sparsity.plot_style import HEAT as HEAT
from concave_sparsity.plot_style import SETTINGS, STYLES, WIDTH

PICTURES = Path(__file__).parent / "pictures"

COLOURS = [colour for colour, _, _ in STYLES]


def look(number: int, marker: bool = False) -> dict[str, Any]:
    """Return the look of a curve that stands for no method or penalty, by a number; else see `looks`."""
    return plot_style.look(number, marker=marker)


def looks(names: Iterable[str], marker: bool = False) -> dict[str, dict[str, Any]]:
    """Return the look of each method or penalty: the same in every figure."""
    return plot_style.looks(list(names), marker=marker)


def canvas(rows: int = 1, columns: int = 1, height: float = 3.0, **options: Any) -> tuple[Figure, Any]:
    """Return a figure of the common width with its axes in an array, shape (rows, columns)."""
    mpl.rcParams.update(SETTINGS)
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
