"""Curvature of the data fit, sample by sample: on the box, and as seen from the target (theory.md, T12)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from convex_analysis.losses import Linear, Logistic
from convex_analysis.losses.loss import Vector

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem

Matrix = NDArray[np.float64]

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

    Zero where none is known: other losses, a logistic loss with an intercept (which is unbounded).
    """
    if isinstance(problem.loss, Linear):
        return np.ones(problem.n_samples)
    if isinstance(problem.loss, Logistic) and not problem.fit_intercept:
        with np.errstate(invalid="ignore"):
            at_lower, at_upper = design * problem.lower, design * problem.upper
        low = np.nansum(np.minimum(at_lower, at_upper), axis=1)
        high = np.nansum(np.maximum(at_lower, at_upper), axis=1)
        return problem.loss.second_derivative(np.maximum(np.abs(low), np.abs(high)), problem.y)
    return np.zeros(problem.n_samples)


def predictor_range(design: Matrix, support: NDArray[np.bool_]) -> tuple[Vector, Vector]:
    """Return the least and the largest ``a_i'h`` over the box [0, 1]^d around the mask with this support."""
    positive, negative = np.maximum(design, 0.0), np.maximum(-design, 0.0)
    high = positive[:, ~support].sum(axis=1) + negative[:, support].sum(axis=1)
    low = -negative[:, ~support].sum(axis=1) - positive[:, support].sum(axis=1)
    return low, high


def row_curvature_at_target(problem: Problem, design: Matrix, support: NDArray[np.bool_]) -> Vector:
    """Return omega with ``f(m) - f(target) - g'h >= 1/2 sum s_i omega_i (a_i'h)^2`` on [0, 1]^d."""
    return _row_curvature(problem, design, support, _logistic_average)


def row_monotonicity_at_target(problem: Problem, design: Matrix, support: NDArray[np.bool_]) -> Vector:
    """Return omega with ``<grad f(m) - g, h> >= sum s_i omega_i (a_i'h)^2`` on [0, 1]^d."""
    return _row_curvature(problem, design, support, _logistic_secant)


def _row_curvature(
    problem: Problem,
    design: Matrix,
    support: NDArray[np.bool_],
    ratio: Callable[[Vector, Vector], Vector],
) -> Vector:
    if isinstance(problem.loss, Linear):
        return np.ones(problem.n_samples)
    if isinstance(problem.loss, Logistic) and not problem.fit_intercept:
        z = design[:, support].sum(axis=1)
        low, high = predictor_range(design, support)
        here = problem.loss.second_derivative(z, problem.y)
        # Each ratio rises, then falls, away from zero: its minimum over [low, high] is at an end or at zero.
        least = np.minimum(here, np.minimum(ratio(z, low), ratio(z, high)))
        # What rounding was allowed for must not push it below the bound on the whole box.
        floor: Vector = np.maximum(least, row_curvature_on_box(problem, design))
        return floor
    return np.zeros(problem.n_samples)


def _softplus(z: Vector) -> Vector:
    return np.logaddexp(0.0, z)


def _sigmoid(z: Vector) -> Vector:
    e = np.exp(-np.abs(z))
    return np.where(z > 0, 1.0, e) / (1.0 + e)


def _self_concordant(z: Vector, u: Vector, factor: Vector) -> Vector:
    e = np.exp(-np.abs(z))
    bound: Vector = e / (1.0 + e) ** 2 * factor
    return bound


def _logistic_average(z: Vector, u: Vector) -> Vector:
    """Return ``2 [phi(z + u) - phi(z) - phi'(z) u] / u^2`` from below, for ``phi = log(1 + e^z)``."""
    size = np.abs(u)
    small = size < 1e-2
    wide = np.where(small, 1.0, u)
    exact = 2.0 * (_softplus(z + wide) - _softplus(z) - _sigmoid(z) * wide) / wide**2
    # The quotient loses digits by cancellation: subtract what rounding may have added.
    scale = np.abs(z) + np.abs(wide) + 1.0
    exact -= 2.0 * 8.0 * np.finfo(float).eps * scale / wide**2
    # Self-concordance (Bach 2010) where the quotient is 0/0, and never less than it elsewhere.
    factor = np.where(
        small, 1.0 - size / 3.0, 2.0 * (np.exp(-size) + size - 1.0) / np.where(small, 1.0, size**2)
    )
    bound = _self_concordant(z, u, factor * (1.0 - 1e-11))
    return np.where(small, bound, np.maximum(exact, bound))


def _logistic_secant(z: Vector, u: Vector) -> Vector:
    """Return ``(phi'(z + u) - phi'(z)) / u`` from below."""
    size = np.abs(u)
    small = size < 1e-4
    wide = np.where(small, 1.0, u)
    exact = (_sigmoid(z + wide) - _sigmoid(z)) / wide
    exact -= 8.0 * np.finfo(float).eps / np.abs(wide)
    factor = np.where(small, 1.0 - size / 2.0, -np.expm1(-size) / np.where(small, 1.0, size))
    bound = _self_concordant(z, u, factor * (1.0 - 1e-11))
    return np.where(small, bound, np.maximum(exact, bound))


def curvature_factor(problem: Problem, design: Matrix, row_curvature: Vector) -> Matrix:
    """Return C with ``C'C = A' diag(s omega) A``; with an intercept (linear loss) the columns are centred."""
    weights = problem.row_weights * row_curvature
    if problem.fit_intercept:
        total = float(weights.sum())
        design = design - (weights @ design) / total if total > 0 else design
    factor: Matrix = np.sqrt(weights)[:, None] * design
    return factor
