"""Reweighted l1 on a quadratic model: majorize-minimize steps, sped up by the penalty's own curvature."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from convex_analysis.design import Indices
from convex_analysis.kernels.stationarity import box_violations
from convex_analysis.losses.loss import Vector
from convex_analysis.quadratic_model import QuadraticModel

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem

# The bend of the penalty may take away this share of a coordinate's curvature at most; where that cuts
# the bend of more than some coordinates, the model is hardly convex.
_LARGEST_BEND = 0.9
_STEEP_SHARE = 0.1
# Of the penalty: a rise by less is rounding.
_ROUNDING = 1e-15
# Sizes, in units of the penalty, among which the least slope of entry is sought.
_SIZES = np.geomspace(1e-8, 1e8, 400)


class Entries(NamedTuple):
    """Where a point is not zero, and how large it is there in units of the penalty."""

    support: Indices
    sizes: Vector


class RestrictedPenalty:
    """The penalty of a problem on some of its coordinates: values, slopes and bends.

    Parameters
    ----------
    problem
        Supplies penalty, lam and penalty factors.
    columns
        The coordinates, shape (p,); all of them by default.
    """

    def __init__(self, problem: Problem, columns: Indices | slice = slice(None)) -> None:
        self._problem = problem
        self.penalty = problem.penalty
        self.straight = problem.is_convex
        self.scale = problem.lam * problem.penalty_factor[columns]
        self.units = problem.units[columns]
        self._weights_at_zero = np.zeros_like(self.scale)
        charged = self.scale > 0.0
        self._weights_at_zero[charged] = (self.scale * self.units)[charged] * problem.slope_at_zero

    @property
    def holds_zeros(self) -> bool:
        """Whether the slope at zero is infinite: a zero stays zero."""
        return bool(np.isinf(self._problem.slope_at_zero))

    def on(self, columns: Indices) -> RestrictedPenalty:
        """Return the penalty on some of these coordinates."""
        part = copy.copy(self)
        part.scale, part.units = self.scale[columns], self.units[columns]
        part._weights_at_zero = self._weights_at_zero[columns]
        return part

    def entries(self, x: Vector) -> Entries:
        """Return where x is not zero, and ``|u_j x_j|`` there."""
        support = np.flatnonzero(x)
        return Entries(support, self.units[support] * np.abs(x[support]))

    def value(self, at: Entries) -> float:
        """Return ``sum_j scale_j r(|u_j x_j|)``."""
        return float(self.scale[at.support] @ self.penalty.value(at.sizes))

    def weights(self, at: Entries) -> Vector:
        """Return ``scale_j u_j r'(|u_j x_j|)``; inf at a zero with an infinite slope."""
        weights = self._weights_at_zero.copy()
        slopes = self.penalty.derivative(at.sizes)
        weights[at.support] = self.scale[at.support] * self.units[at.support] * slopes
        return weights

    def values(self, places: Indices, x: Vector) -> Vector:
        """Return ``scale_j r(|u_j x_j|)`` one by one, for the coordinates at the given places."""
        values: Vector = self.scale[places] * self.penalty.value(self.units[places] * np.abs(x))
        return values

    def prox(
        self, places: Indices, target: Vector, curvature: Vector, lower: Vector, upper: Vector
    ) -> Vector:
        """Return the minimisers of ``curvature (x - target)^2 / 2 + scale r(|u x|)``, one by one."""
        units = self.units[places]
        step = self.scale[places] * units * units / curvature
        low, high = lower[places], upper[places]
        point = self.penalty.prox(units * target, step, units * low, units * high) / units
        clipped: Vector = np.clip(point, low, high)
        return clipped

    def entry_slope(self, curvature: Vector) -> Vector:
        """Return slopes below which a zero is the global minimum of its one-dimensional problem.

        A zero leaves for t only if ``|g| t > curvature t^2 / 2 + scale r(u t)``; the least of
        ``curvature t / 2 + scale r(u t) / t`` is found on a grid for the flattest coordinate, which
        bounds those of the others, less a margin for the grid.
        """
        charged = (self.scale > 0.0) & (curvature > 0.0)
        if not charged.any():
            return np.zeros_like(self.scale)
        slope = self.scale * self.units
        with np.errstate(over="ignore", divide="ignore"):  # a vanishing lam
            flattest = float((curvature[charged] / (slope * self.units)[charged]).min())
            least = float((0.5 * flattest * _SIZES + self._problem.chord_slopes(_SIZES)).min())
        slopes: Vector = 0.95 * min(least, 1e300) * slope
        return slopes

    def bend(self, at: Entries) -> Vector:
        """Return ``scale_j u_j^2 r''(|u_j x_j|)``, not positive; 0 where x_j is 0 or r'' is unknown."""
        bend = np.zeros_like(self.scale)
        units = self.units[at.support]
        second = self.penalty.second_derivative(at.sizes) * (units * units * self.scale[at.support])
        bend[at.support] = np.fmin(second, 0.0)
        return bend


@dataclass
class Reweighting:
    """What a run of reweighting on a model found.

    Attributes
    ----------
    x, gradient
        The point on the working set and the gradient of the quadratic there, shape (p,).
    decreases
        By how much each step lowered the model's objective.
    """

    x: Vector
    gradient: Vector
    decreases: list[float] = field(default_factory=list)

    def then(self, later: Reweighting) -> Reweighting:
        """Return the later run with the decreases of both."""
        return Reweighting(later.x, later.gradient, self.decreases + later.decreases)


def reweight(
    model: QuadraticModel,
    penalty: RestrictedPenalty,
    gradient: Vector,
    x: Vector,
    lower: Vector,
    upper: Vector,
    tolerance: float,
    max_steps: int,
) -> Reweighting:
    """Minimise a quadratic model plus a concave penalty to first-order stationarity on the working set.

    Each step minimises the model with the penalty replaced by ``w'|x| + bend'(|x| - |x0|)^2 / 2``,
    a second-order expansion at x0: a weighted l1 problem whose diagonal is lowered by the bend,
    solved by the same kernel. It is no majorizer, so it counts only if it lowers the objective;
    else the step is made with ``bend = 0``, which is majorize-minimize and always lowers it.

    Parameters
    ----------
    model
        The quadratic model.
    penalty
        The penalty on the working set.
    gradient
        Gradient of the model's quadratic at x, shape (p,).
    x, lower, upper
        Start and box, shape (p,).
    tolerance
        First-order violation at which to stop.
    max_steps
        Largest number of steps.
    """
    found = Reweighting(x, gradient)
    wait = pause = 0  # after a second-order step that failed, some plain ones
    before = np.inf
    violations = np.empty_like(x)
    at = penalty.entries(x)
    value = penalty.value(at)
    curvature = model.working.curvature
    for _ in range(max_steps):
        weights = penalty.weights(at)
        low, high = lower, upper
        if penalty.holds_zeros and (stuck := np.isinf(weights)).any():
            weights[stuck] = 0.0
            low, high = np.where(stuck, 0.0, lower), np.where(stuck, 0.0, upper)
        box_violations(x, gradient, weights, low, high, violations)
        worst = float(violations.max(initial=0.0))
        # Below the rounding of the objective only the violations tell progress.
        if worst <= tolerance or (found.decreases and found.decreases[-1] == 0.0 and worst > 0.5 * before):
            break
        before = worst
        inner = 0.5 * tolerance if penalty.straight else max(0.1 * worst, 0.5 * tolerance)
        step = None
        wait -= 1
        if wait < 0 and not penalty.straight:
            bend = penalty.bend(at)
            floor = -_LARGEST_BEND * curvature
            steep = bend < floor
            if bend.any() and np.count_nonzero(steep) <= _STEEP_SHARE * np.count_nonzero(bend):
                bend[steep] = floor[steep]
                step = _step(model, penalty, gradient, x, value, weights, low, high, inner, bend)
                pause = 0 if step is not None else min(2 * pause + 1, 16)
                wait = pause
        if step is None:
            step = _step(model, penalty, gradient, x, value, weights, low, high, inner, None)
        if step is None:
            break
        x, gradient, at, value, decrease = step
        found.decreases.append(decrease)
        if penalty.straight:  # one weighted l1 problem, solved
            break
    found.x, found.gradient = x, gradient
    return found


def _step(
    model: QuadraticModel,
    penalty: RestrictedPenalty,
    gradient: Vector,
    x: Vector,
    value: float,
    weights: Vector,
    lower: Vector,
    upper: Vector,
    tolerance: float,
    bend: Vector | None,
) -> tuple[Vector, Vector, Entries, float, float] | None:
    """Return the new point, gradient, entries and penalty, and the decrease, or None.

    A decrease is zero where it is lost in rounding.
    """
    new = x.copy()
    if bend is None:
        new_gradient = gradient.copy()
        model.minimise(new_gradient, new, weights, lower, upper, tolerance)
    else:
        new_gradient = gradient + bend * x
        tilted = weights - bend * np.abs(x)
        if not model.minimise(new_gradient, new, tilted, lower, upper, tolerance, bend):
            return None
        new_gradient -= bend * new
    at = penalty.entries(new)
    new_value = penalty.value(at)
    decrease = 0.5 * float((x - new) @ (gradient + new_gradient)) + (value - new_value)
    # On a convex problem the kernel only descends: a decrease lost in rounding is still one.
    if decrease <= -_ROUNDING * max(value, new_value) and not penalty.straight:
        return None
    return new, new_gradient, at, new_value, max(decrease, 0.0)
