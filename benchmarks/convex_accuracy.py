"""One measure of accuracy for every solver's output: our own objective, duality gap and stationarity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from convex_analysis import Problem
from convex_analysis.duality import feasible_dual_point, point_value


@dataclass(frozen=True)
class Accuracy:
    """What a point is worth.

    Attributes
    ----------
    objective
        Data fit plus penalty.
    gap
        Duality gap with the dual point made from the point's own residual; NaN for concave penalties.
    stationarity
        Largest first-order violation, in units of the gradient.
    support
        Number of entries that are not zero.
    outside
        How far the point leaves the box; a solver that leaves it by more than 1e-9 counts as wrong.
    """

    objective: float
    gap: float
    stationarity: float
    support: int
    outside: float


def accuracy(problem: Problem, x: Any, intercept: float = 0.0) -> Accuracy:
    """Measure a point; one that leaves the box by rounding is clipped first, and the distance reported."""
    from concave_sparsity import L1

    x = np.asarray(x, dtype=np.float64).ravel()
    clipped = np.clip(x, problem.lower, problem.upper)
    outside = float(np.abs(x - clipped).max())
    gap = _gap(problem, clipped, intercept) if isinstance(problem.penalty, L1) else np.nan
    return Accuracy(
        objective=problem.objective(clipped, intercept),
        gap=gap,
        stationarity=problem.stationarity(clipped, intercept),
        support=int(np.count_nonzero(clipped)),
        outside=outside,
    )


def _gap(problem: Problem, x: Any, intercept: float) -> float:
    weights = problem.lam * problem.penalty_factor
    z = problem.predictor(x, intercept)
    rows = problem.row_weights * problem.loss.derivative(z, problem.y)
    point = feasible_dual_point(problem, weights, -rows, z)
    return problem.objective(x, intercept) - point_value(problem, weights, point)
