"""Curvature of the data fit, sample by sample: on the box, and as seen from the target (theory.md, T12)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from convex_analysis.losses.loss import Vector

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem

Matrix = NDArray[np.float64]

EPS = float(np.finfo(float).eps)

LARGEST_DENSE_DESIGN = 50_000_000
"""Entries of A up to which the theorems hold it as a dense array (400 MB)."""


def dense_design(problem: Problem) -> Matrix:
    """Return A as a dense float64 array, shape (n_samples, n_features).

    Raises
    ------
    ValueError
        If it has more than `LARGEST_DENSE_DESIGN` entries.
    """
    if problem.n_samples * problem.n_features > LARGEST_DENSE_DESIGN:
        raise ValueError(
            f"The theorems need A as a dense array, but {problem.n_samples} x {problem.n_features} entries "
            f"are more than {LARGEST_DENSE_DESIGN:.0e}: select features first."
        )
    return problem.design.columns(np.arange(problem.n_features))


def row_curvature_on_box(problem: Problem, design: Matrix) -> Vector:
    """Return lower bounds of each sample's second derivative over the whole box, shape (n_samples,).

    Zero where none is known: losses whose second derivative is not unimodal, an intercept (which is
    unbounded) with any loss but the linear one.
    """
    if problem.loss.quadratic:
        return np.ones(problem.n_samples)
    if not has_unimodal_curvature(problem):
        return np.zeros(problem.n_samples)
    with np.errstate(invalid="ignore"):
        at_lower, at_upper = design * problem.lower, design * problem.upper
    low = np.nansum(np.minimum(at_lower, at_upper), axis=1)
    high = np.nansum(np.maximum(at_lower, at_upper), axis=1)
    if problem.offset is not None:
        low, high = low + problem.offset, high + problem.offset
    # A unimodal function is least at an end of an interval.
    return np.minimum(_second_derivative(problem, low), _second_derivative(problem, high))


def has_unimodal_curvature(problem: Problem) -> bool:
    """Say whether T12 applies: a second derivative that rises, then falls, and no intercept.

    The linear loss, whose second derivative is constant, may have an intercept.
    """
    return problem.loss.quadratic or (problem.loss.unimodal_curvature and not problem.fit_intercept)


def _second_derivative(problem: Problem, z: Vector) -> Vector:
    """Return the second derivatives; zero where the predictor is unbounded or nothing can be computed."""
    with np.errstate(over="ignore", invalid="ignore"):
        second = problem.loss.second_derivative(np.where(np.isfinite(z), z, 0.0), problem.y)
    return np.where(np.isfinite(z) & np.isfinite(second), second, 0.0)


def predictor_range(design: Matrix, support: NDArray[np.bool_]) -> tuple[Vector, Vector]:
    """Return the least and the largest ``a_i'h`` over the box [0, 1]^d around the mask with this support."""
    positive, negative = np.maximum(design, 0.0), np.maximum(-design, 0.0)
    high = positive[:, ~support].sum(axis=1) + negative[:, support].sum(axis=1)
    low = -negative[:, ~support].sum(axis=1) - positive[:, support].sum(axis=1)
    return low, high


def row_curvature_at_target(problem: Problem, design: Matrix, support: NDArray[np.bool_]) -> Vector:
    """Return omega with ``f(m) - f(target) - g'h >= 1/2 sum s_i omega_i (a_i'h)^2`` on [0, 1]^d."""
    return _row_curvature(problem, design, support, average_curvature)


def row_monotonicity_at_target(problem: Problem, design: Matrix, support: NDArray[np.bool_]) -> Vector:
    """Return omega with ``<grad f(m) - g, h> >= sum s_i omega_i (a_i'h)^2`` on [0, 1]^d."""
    return _row_curvature(problem, design, support, secant_curvature)


def _row_curvature(
    problem: Problem,
    design: Matrix,
    support: NDArray[np.bool_],
    ratio: Callable[[Problem, Vector, Vector], Vector],
) -> Vector:
    if problem.loss.quadratic:
        return np.ones(problem.n_samples)
    if not has_unimodal_curvature(problem):
        return np.zeros(problem.n_samples)
    z = design[:, support].sum(axis=1)
    if problem.offset is not None:
        z = z + problem.offset
    low, high = predictor_range(design, support)
    here = _second_derivative(problem, z)
    # Each ratio rises, then falls, away from zero: its minimum over [low, high] is at an end or at zero.
    least = np.minimum(here, np.minimum(ratio(problem, z, low), ratio(problem, z, high)))
    # What rounding was allowed for must not push it below the bound on the whole box.
    floor: Vector = np.maximum(least, row_curvature_on_box(problem, design))
    return floor


def average_curvature(problem: Problem, z: Vector, u: Vector) -> Vector:
    """Return ``2 [phi(z + u) - phi(z) - phi'(z) u] / u^2`` from below, sample by sample."""
    loss, y = problem.loss, problem.y
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        here, there = loss.value(z, y), loss.value(z + u, y)
        slope, far = loss.derivative(z, y), loss.derivative(z + u, y)
        size = np.abs(here) + np.abs(there) + np.abs(slope) * (np.abs(z) + np.abs(u))
        size += np.abs(far) * (np.abs(z) + np.abs(u)) + (np.abs(slope) + np.abs(far)) * np.abs(y)
        quotient = 2.0 * (there - here - slope * u - 8.0 * EPS * size) / u**2
    return _no_less_than_the_ends(problem, z, u, quotient)


def secant_curvature(problem: Problem, z: Vector, u: Vector) -> Vector:
    """Return ``(phi'(z + u) - phi'(z)) / u`` from below, sample by sample."""
    loss, y = problem.loss, problem.y
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        here, there = loss.derivative(z, y), loss.derivative(z + u, y)
        second = loss.second_derivative(z, y) + loss.second_derivative(z + u, y)
        size = np.abs(here) + np.abs(there) + second * (np.abs(z) + np.abs(u) + np.abs(y))
        quotient = (there - here) / u - 8.0 * EPS * size / np.abs(u)
    return _no_less_than_the_ends(problem, z, u, quotient)


def _no_less_than_the_ends(problem: Problem, z: Vector, u: Vector, quotient: Vector) -> Vector:
    """Return the quotient, or the smaller end of the range if that is more: near u = 0 it is 0/0."""
    ends = np.minimum(_second_derivative(problem, z), _second_derivative(problem, z + u))
    usable = np.isfinite(quotient) & (u != 0.0)
    return np.where(usable, np.maximum(quotient, ends), ends)


def curvature_factor(problem: Problem, design: Matrix, row_curvature: Vector) -> Matrix:
    """Return C with ``C'C = A' diag(s omega) A + diag(ridge)``, shape (n_samples, n_features).

    With an intercept (linear loss) the columns are centred; a ridge adds one row a feature.
    """
    weights = problem.row_weights * row_curvature
    if problem.fit_intercept:
        total = float(weights.sum())
        design = design - (weights @ design) / total if total > 0 else design
    factor: Matrix = np.sqrt(weights)[:, None] * design
    if problem.ridge is not None:
        factor = np.vstack([factor, np.diag(np.sqrt(problem.ridge))])
    return factor
