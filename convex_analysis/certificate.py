"""What is certain about a point: duality gap of its convex step, distance to the global minimum (T1)."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from convex_analysis import steering
from convex_analysis.convex_step import ConvexStep
from convex_analysis.duality import best_dual_point, point_value, zero_dual_point
from convex_analysis.losses.loss import Vector
from convex_analysis.separable_bound import separable_bound
from convex_analysis.stacked_design import StackedDesign
from convex_analysis.threads import one_thread

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem

_FAR = 1e150
_NO_SLOPE = 1e-100  # a slope of the envelope below this is one that only _FAR is not far enough for


class Certificate:
    """Certificates of a point, each computed when it is first asked for.

    Parameters
    ----------
    problem
        The problem; X is kept as long as a certificate may be asked for (a pickle holds the figures instead).
    x, intercept, objective
        The point and its objective.
    """

    def __init__(self, problem: Problem, x: Vector, intercept: float, objective: float) -> None:
        self._problem, self._x, self._intercept, self._objective = problem, x, intercept, objective

    @cached_property
    def gap(self) -> float:
        """Duality gap of the convex step at the point's own weights: how far above its minimum."""
        problem = self._problem.normalised()
        x = self._x / problem.units
        weights = problem.weights(x)
        with one_thread(), np.errstate(over="ignore", under="ignore"):
            z = problem.predictor(x, self._intercept)
            rows = problem.fit.rows(z)
            dual, _ = best_dual_point(problem, weights, -rows, z, -problem.design.rmatvec(rows))
        finite = np.where(np.isinf(weights), 0.0, weights)
        value = problem.fit.value(z, x) + problem.regulariser.norm(finite, x)
        return max(value - dual, 0.0)

    @cached_property
    def suboptimality_bound(self) -> float:
        """Upper bound of ``objective - global minimum``: by the envelope (T1) or around the point (T20)."""
        problem = self._problem
        if problem.is_convex:  # a straight penalty is its own convex envelope
            return self.gap
        best = least_value(problem)
        weights, linear, constant = chord_envelope(problem)
        unbounded = np.isinf(problem.lower) | np.isinf(problem.upper)
        charged = problem.lam * problem.penalty_factor > 0.0
        # Where the envelope has no slope, only data with more samples than features bound it from below.
        solvable = not (charged & unbounded & (weights < _NO_SLOPE)).any()
        # Without bounds the envelope of a concave penalty of norms is zero.
        if problem.group is None and (solvable or problem.n_features < problem.n_samples):
            scaled = problem.normalised()
            term = linear * scaled.units if linear.any() else None
            envelope = ConvexStep(scaled).compute(
                weights * scaled.units, start=self._x / scaled.units, intercept=self._intercept, linear=term,
                gap=steering.ENVELOPE_GAP * abs(self._objective),
            )  # fmt: skip
            best = max(best, envelope.dual + constant)
        bound = max(self._objective - best, 0.0)
        stacked = isinstance(problem.design, StackedDesign)
        small = not (stacked or problem.design.sparse) and problem.X.size <= steering.SEPARABLE_ENTRIES
        if bound > 0.0 and small:
            bound = min(bound, separable_bound(problem, self._x, self._intercept).gap)
        return bound

    def __getstate__(self) -> dict[str, Any]:
        """Return the figures alone: a pickled solution does not carry X."""
        return {"gap": self.gap, "suboptimality_bound": self.suboptimality_bound}


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
