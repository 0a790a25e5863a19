"""Pictures of what the solvers return: a path, a cross-validation, what a theorem says."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from concave_sparsity.plot_style import WIDTH, in_style, look, new_axes, typeset

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from convex_analysis.losses.loss import Vector

#: Coefficients named in the picture of a path, at most.
NAMED = 8

#: Bars in the picture of a solution, at most.
BARS = 20


# What is asked of what is drawn: `Path`, `CrossValidation` and `Verdict` load this file, not it them.
class _Path(Protocol):
    @property
    def lams(self) -> Vector: ...
    @property
    def coefficients(self) -> Vector: ...
    def best(self, criterion: str) -> Any: ...


class _Validated(Protocol):
    @property
    def lams(self) -> Vector: ...
    @property
    def losses(self) -> Vector: ...
    @property
    def path(self) -> Any: ...
    @property
    def mean(self) -> Vector: ...
    @property
    def standard_error(self) -> Vector: ...
    @property
    def best(self) -> Any: ...
    @property
    def best_within_one_error(self) -> Any: ...


class _Verdict(Protocol):
    @property
    def theorem(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def finding(self) -> str: ...
    @property
    def quantity(self) -> str: ...
    @property
    def bound(self) -> float: ...
    @property
    def measured(self) -> float: ...


@in_style
def picture(draw: Callable[[Axes], object], kind: str = "png", height: float = 4.0) -> bytes:
    """Return what a function draws on new axes as the content of a file, without a display.

    Parameters
    ----------
    draw
        Called with the axes.
    kind
        "png", "svg" or "pdf".
    height
        In inches.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    draw(figure.subplots())
    content = io.BytesIO()
    figure.savefig(content, format=kind)
    return content.getvalue()


@in_style
def draw_coefficients(
    ax: Axes,
    lams: Vector,
    coefficients: Vector,
    kept: NDArray[np.intp],
    names: Sequence[str] | None = None,
    lam: float | None = None,
    told: str = "",
) -> None:
    """Draw coefficients against lam: the largest of those kept in colour and by name, the others grey.

    Parameters
    ----------
    ax
        Where to draw.
    lams, coefficients
        The grid, shape (k,), and the coefficients, shape (n_features, k).
    kept
        Indices of those to name, the most important first.
    names
        Names of the features.
    lam, told
        The lam chosen, and by what.
    """
    leading = kept[:NAMED]
    for j in np.setdiff1d(np.flatnonzero((coefficients != 0.0).any(axis=1)), leading):
        ax.plot(lams, coefficients[j], color="#bbbbbb", linewidth=0.8, zorder=1)
    for number, j in enumerate(leading):
        label = str(names[j]) if names is not None else f"{j}"
        ax.plot(lams, coefficients[j], **look(number, marker=False), label=label, zorder=2)
    if lam is not None:
        ax.axvline(lam, color="#555555", linestyle=(0, (4, 2)), label=f"{told}: {lam:.3g}")
    if (lams > 0).all():
        ax.set_xscale("log")
    ax.invert_xaxis()
    ax.set_xlabel("λ, from strong to weak")
    ax.set_ylabel("coefficient")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))


@in_style
def draw_path(path: _Path, ax: Axes | None, names: list[str] | None, criterion: str) -> Axes:
    """Draw the coefficients against lam, those of the solution chosen in colour; see `Path.plot`."""
    ax = new_axes()[0] if ax is None else ax
    coefficients = path.coefficients
    try:
        best = path.best(criterion) if criterion else None
    except ValueError:  # nothing on this path can be judged
        best = None
    size = np.abs(coefficients).max(axis=1)
    kept = best.support if best is not None else np.flatnonzero(size)
    kept = kept[np.argsort(-size[kept], kind="stable")]
    told = criterion.upper()
    draw_coefficients(ax, path.lams, coefficients, kept, names, None if best is None else best.lam, told)
    shown = f"{kept.size} of {size.size} coefficients are not zero"
    ax.set_title(shown + (f" where {told} is best" if best is not None else " somewhere"))
    return ax


@in_style
def draw_solution(ax: Axes, coefficients: Vector, names: Sequence[str], target: Vector | None = None) -> None:
    """Draw the largest coefficients by name, and beside them the target, where there is one.

    Parameters
    ----------
    ax
        Where to draw.
    coefficients
        Shape (n_features,).
    names
        Names of the features.
    target
        Shape (n_features,).
    """
    size = np.abs(coefficients) if target is None else np.maximum(np.abs(coefficients), np.abs(target))
    shown = np.flatnonzero(size)
    shown = shown[np.argsort(-size[shown], kind="stable")][:BARS]
    rows = np.arange(shown.size)
    ax.barh(rows, coefficients[shown], color=look(0)["color"], label="found")
    if target is not None:
        ax.plot(target[shown], rows, **{**look(1), "linestyle": "none"}, label="target")
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    ax.set_yticks(rows, [str(names[int(j)]) for j in shown])
    ax.invert_yaxis()
    ax.set_xlabel("coefficient" if target is None else "entry of the mask")
    count, of = np.count_nonzero(size), coefficients.size
    some = f"the {BARS} largest of {count}" if count > BARS else f"{count} of {of} are not zero"
    ax.set_title(some if count else "nothing is kept")


@in_style
def draw_cross_validation(found: _Validated, ax: Axes | None) -> Axes:
    """Draw the held-out loss against lam, with the size of the support; see `CrossValidation.plot`."""
    ax = new_axes()[0] if ax is None else ax
    blue, other = look(0), look(1, marker=False)
    ax.errorbar(
        found.lams, found.mean, yerr=found.standard_error, **blue, elinewidth=0.8, label="held-out loss"
    )
    for one, text, dashes in (
        (found.best, "least", "-"),
        (found.best_within_one_error, "within one standard error", (0, (4, 2))),
    ):
        ax.axvline(
            one.lam,
            color="#555555",
            linestyle=dashes,
            label=f"{text}: λ = {one.lam:.3g}, {one.support.size} features",
        )
    if (found.lams > 0).all():
        ax.set_xscale("log")
    ax.invert_xaxis()
    beside = ax.twinx()
    beside.plot(found.lams, [one.support.size for one in found.path], **other)
    beside.set_ylabel("features in the model", color=other["color"])
    beside.grid(False)
    ax.set_xlabel("λ, from strong to weak")
    ax.set_ylabel(f"mean loss of {found.losses.shape[0]} held-out folds, ± standard error")
    ax.legend(
        loc="lower left", bbox_to_anchor=(0.0, 1.0)
    )  # above: two curves with axes of their own lie below
    return ax


@in_style
def draw_verdict(verdict: _Verdict, ax: Axes | None) -> Axes:
    """Draw what was measured beside the bound; see `Verdict.plot`."""
    ax = new_axes(height=1.6)[0] if ax is None else ax
    bars = [
        (name, value, number)
        for number, (name, value) in enumerate((("measured", verdict.measured), ("bound", verdict.bound)))
        if math.isfinite(value)
    ]
    for row, (_, value, number) in enumerate(bars):
        ax.barh(row, value, color=look(number)["color"], height=0.6)
        ax.annotate(f" {value:.3g}", (value, row), va="center")
    ax.set_yticks(range(len(bars)), [name for name, _, _ in bars])
    ax.invert_yaxis()
    ax.margins(x=0.12)
    ax.set_xlabel(typeset(verdict.quantity) or "value")
    ax.set_title(f"{verdict.theorem} {verdict.title}: {verdict.status}")
    if not bars:
        ax.text(0.02, 0.5, verdict.finding, transform=ax.transAxes, va="center")
    return ax
