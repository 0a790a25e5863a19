"""Reweighted l1 on a quadratic model: majorize-minimize steps, sped up by the penalty's own curvature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from convex_analysis import steering
from convex_analysis.losses.loss import Vector
from convex_analysis.regulariser import Entries, Regulariser
from convex_analysis.solver.model_columns import Model

# Of the penalty: a rise by less is rounding.
_ROUNDING = 1e-15


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
    model: Model,
    penalty: Regulariser,
    gradient: Vector,
    x: Vector,
    lower: Vector,
    upper: Vector,
    tolerance: float,
    max_steps: int,
    accept: Callable[[Vector], bool] | None = None,
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
    accept
        Asked after each step whether the point is as good as the model says; where not, the step is undone
        and the run ends.
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
        if penalty.separable and penalty.holds_zeros and (stuck := np.isinf(weights)).any():
            weights[stuck] = 0.0
            low, high = np.where(stuck, 0.0, lower), np.where(stuck, 0.0, upper)
        penalty.violations(x, gradient, weights, low, high, violations)
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
            floor = -steering.LARGEST_BEND * curvature
            steep = bend < floor
            if bend.any() and np.count_nonzero(steep) <= steering.STEEP_SHARE * np.count_nonzero(bend):
                bend[steep] = floor[steep]
                step = _step(model, penalty, gradient, x, value, weights, low, high, inner, bend)
                pause = 0 if step is not None else min(2 * pause + 1, 16)
                wait = pause
        if step is None:
            step = _step(model, penalty, gradient, x, value, weights, low, high, inner, None)
        if step is None or (accept is not None and not accept(step[0])):
            break
        x, gradient, at, value, decrease = step
        found.decreases.append(decrease)
        if penalty.straight:  # one weighted l1 problem, solved
            break
    found.x, found.gradient = x, gradient
    return found


def _step(
    model: Model,
    penalty: Regulariser,
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
        model.minimise(penalty, new_gradient, new, weights, lower, upper, tolerance)
    else:
        new_gradient = gradient + bend * x
        tilted = weights - bend * penalty.sizes(x)
        if not model.minimise(penalty, new_gradient, new, tilted, lower, upper, tolerance, bend):
            return None
        new_gradient -= bend * new
    at = penalty.entries(new)
    new_value = penalty.value(at)
    decrease = 0.5 * float((x - new) @ (gradient + new_gradient)) + (value - new_value)
    # On a convex problem the kernel only descends: a decrease lost in rounding is still one.
    if decrease <= -_ROUNDING * max(value, new_value) and not penalty.straight:
        return None
    return new, new_gradient, at, new_value, max(decrease, 0.0)
