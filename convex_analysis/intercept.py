"""The best intercept for given linear predictors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convex_analysis.losses.loss import Vector

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem


def best_intercept(problem: Problem, z: Vector, start: float = 0.0) -> float:
    """Minimise ``sum_i s_i phi(z_i + b, y_i)`` over b by safeguarded Newton steps.

    Parameters
    ----------
    problem
        Supplies loss, targets and row weights.
    z
        Linear predictors without intercept, shape (n_samples,).
    start
        First guess.

    Returns
    -------
    float
        The minimiser; where there is none (logistic data of one class) a point of small gradient.
    """
    s, y, loss = problem.row_weights, problem.y, problem.loss
    if loss.quadratic:
        return float(s @ (y - z)) / float(s.sum())
    b, value = start, float(s @ loss.value(z + start, y))
    slope = float(s @ loss.derivative(z + b, y))
    for _ in range(100):
        curvature = float(s @ loss.curvature(z + b, y))
        if abs(slope) <= 1e-15 or curvature <= 0.0:
            break
        step = -slope / curvature
        step = float(np.clip(step, -10.0 * (1.0 + abs(b)), 10.0 * (1.0 + abs(b))))
        rounding = 1e-14 * abs(value)
        for _ in range(50):
            trial = float(s @ loss.value(z + (b + step), y))
            if trial <= value + rounding:
                break
            step *= 0.5
        else:
            break
        next_slope = float(s @ loss.derivative(z + (b + step), y))
        # Where the value is flat to rounding, only the slope tells progress.
        if b + step == b or (trial >= value - rounding and abs(next_slope) >= abs(slope)):
            break
        b, value, slope = b + step, trial, next_slope
    return b
