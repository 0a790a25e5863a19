"""Exact majorize-minimize steps, one after the other, kept for inspection (T7, T16)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from convex_analysis.constants.rounding import Rounding
from convex_analysis.convex_step import ConvexStep
from convex_analysis.losses.loss import Vector

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem


@dataclass(frozen=True, eq=False)
class Iterates:
    """Points m^0, m^1, ... of majorize-minimize, with intercepts, objectives and duality gaps.

    Attributes
    ----------
    points
        Shape (steps + 1, n_features).
    intercepts, objectives
        Shape (steps + 1,).
    rounding
        Allowance for rounding in each objective, shape (steps + 1,).
    gaps
        Duality gap of each step, shape (steps,).
    weights
        Weights of each step, shape (steps, n_features).
    ended
        Whether the last step did not decrease the objective: the sequence is at its end.
    """

    points: Vector
    intercepts: Vector
    objectives: Vector
    rounding: Vector
    gaps: Vector
    weights: Vector
    ended: bool


def iterate(problem: Problem, start: Vector, intercept: float, steps: int) -> Iterates:
    """Take up to ``steps`` majorize-minimize steps; the first that does not decrease the objective ends them.

    That last step is kept only if it increases the objective by more than rounding, which a concave
    penalty excludes: then it is evidence.
    """
    solver = ConvexStep(problem)
    allowance = Rounding(problem)
    points, intercepts, objectives = [start], [intercept], [problem.objective(start, intercept)]
    rounding = [allowance.of_objective(start, intercept)]
    gaps: list[float] = []
    weights: list[Vector] = []
    ended = False
    for _ in range(steps):
        w = problem.weights(points[-1])
        step = solver.compute(w, start=points[-1], intercept=intercepts[-1])
        value = problem.objective(step.x, step.intercept)
        ended = not value < objectives[-1]
        spread = allowance.of_objective(step.x, step.intercept)
        # An inexact step may end above its start by its duality gap.
        if ended and not value > objectives[-1] + rounding[-1] + spread + step.gap:
            break
        points.append(step.x)
        intercepts.append(step.intercept)
        objectives.append(value)
        rounding.append(spread)
        gaps.append(step.gap)
        weights.append(w)
        if ended:
            break
    d = problem.n_features
    return Iterates(
        np.array(points),
        np.array(intercepts),
        np.array(objectives),
        np.array(rounding),
        np.array(gaps),
        np.array(weights).reshape(-1, d),
        ended,
    )
