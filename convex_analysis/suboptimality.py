"""How far a point is from the global minimum at most: the envelope bound (theory.md, T1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convex_analysis.duality import DualPoint, point_value, zero_dual_point
from convex_analysis.losses.loss import Vector

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem

_FAR = 1e150


def chord_envelope(problem: Problem) -> tuple[Vector, Vector, float]:
    """Return weights, linear term and constant of the penalty's convex minorant on the box.

    ``weights'|x| + linear'x + constant <= lam sum_j factor_j r(|x_j|)`` on the box, with equality
    at its ends (and at zero where the box holds it): the chord of T1, coordinate by coordinate,
    which is the convex envelope. Where a bound is infinite the chord has slope zero, unless the
    penalty is l1-like (a straight line), whose envelope is itself.
    """
    lower, upper = problem.lower, problem.upper
    scale = problem.lam * problem.penalty_factor
    below, above = _values(problem, lower), _values(problem, upper)
    # The penalty grows at least as fast as its tangent far out; for l1 that is the penalty itself.
    slope_far = float(problem.penalty.derivative(np.array([_FAR]))[0])
    slope_above = np.full(problem.n_features, slope_far)
    slope_below = slope_above.copy()
    holds_zero = (lower <= 0) & (upper >= 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = holds_zero & (upper > 0) & np.isfinite(upper)
        slope_above[inside] = (above / upper)[inside]
        inside = holds_zero & (lower < 0) & np.isfinite(lower)
        slope_below[inside] = (below / -lower)[inside]
    empty = holds_zero & (upper == 0)
    slope_above[empty] = slope_below[empty]
    empty = holds_zero & (lower == 0)
    slope_below[empty] = slope_above[empty]
    constant = np.zeros(problem.n_features)
    # A box on one side of zero: one straight chord in |x| from the nearer end to the farther.
    near = np.where(lower > 0, lower, -upper)
    far = np.where(lower > 0, upper, -lower)
    aside = ~holds_zero
    near_value = np.where(lower > 0, below, above)
    far_value = np.where(lower > 0, above, below)
    proper = aside & np.isfinite(far) & (far > near)
    slope = np.where(aside & ~np.isfinite(far), slope_far, 0.0)
    slope[proper] = ((far_value[proper] - near_value[proper]) / (far[proper] - near[proper])).clip(0.0)
    slope_above[aside] = slope_below[aside] = slope[aside]
    constant[aside] = near_value[aside] - slope[aside] * near[aside]
    weights = 0.5 * scale * (slope_above + slope_below)
    linear = 0.5 * scale * (slope_above - slope_below)
    return weights, linear, float(scale @ constant)


def suboptimality_bound(problem: Problem, objective: float, duals: list[DualPoint]) -> float:
    """Return ``objective`` minus the envelope problem's best dual value: no minimum is farther below."""
    weights, linear, constant = chord_envelope(problem)
    charged = problem.lam * problem.penalty_factor > 0.0
    unbounded = np.isinf(problem.lower) | np.isinf(problem.upper)
    if (charged & unbounded & (weights == 0.0)).any():
        duals = []  # the envelope of a penalty that grows slower than every line is zero: the losses count
    term = linear if linear.any() else None
    best = max(point_value(problem, weights, dual, term) for dual in [*duals, zero_dual_point(problem)])
    return max(objective - (best + constant), 0.0)


def least_value(problem: Problem) -> float:
    """Return a lower bound of the objective that needs no solve: the envelope's dual value at zero.

    It is the smallest loss of each sample plus the smallest penalty on the box; -inf at worst.
    """
    weights, linear, constant = chord_envelope(problem)
    return (
        point_value(problem, weights, zero_dual_point(problem), linear if linear.any() else None) + constant
    )


def _values(problem: Problem, bound: Vector) -> Vector:
    values = np.zeros_like(bound)
    finite = np.isfinite(bound)
    values[finite] = problem.penalty.value(np.abs(bound[finite]))
    return values
