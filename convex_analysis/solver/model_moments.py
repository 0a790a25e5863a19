"""Least squares with few columns and a straight penalty: solved on the Gram matrix of all columns, made once.

On a path or in cross-validation such a solve costs neither a pass over X nor a working set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from convex_analysis import steering
from convex_analysis.datafit import DataFit
from convex_analysis.kernels.gram_descent import minimise
from convex_analysis.kernels.stationarity import box_violations
from convex_analysis.losses.loss import Vector
from convex_analysis.solver.working_set import WorkingSet
from convex_analysis.stacked_design import StackedDesign

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem


class Found(NamedTuple):
    """Point, intercept, objective, violations and the violation of the intercept."""

    x: Vector
    intercept: float
    objective: float
    violations: Vector


class MomentsModel:
    """Gram matrix, gradient and loss at zero of a quadratic data fit: all that its values need.

    Parameters
    ----------
    fit
        A data fit with a quadratic loss.
    """

    def __init__(self, fit: DataFit) -> None:
        d = fit.n_features
        self.fit = fit
        columns = WorkingSet(fit.design, fit.fit_intercept, np.float64, fit.ridge)
        columns.add(np.arange(d), fit.row_weights)
        self._gram = columns.gram[:d, :d].copy()
        self._curvature = columns.curvature
        self._gradient, self._loss = fit.gradient_at_zero, fit.loss_at_zero
        self._intercept = fit.intercept_at_zero
        self._means = fit.design.rmatvec(fit.row_weights) if fit.fit_intercept else np.zeros(d)
        self._scratch = np.empty((d, d + 8)), np.empty(d, dtype=np.intp), np.empty((4, d))

    @staticmethod
    def serves(problem: Problem) -> bool:
        """Whether a problem is of the kind solved here."""
        few = problem.n_features <= min(steering.MOMENTS, problem.n_samples)
        return (
            few
            and not isinstance(problem.design, StackedDesign)
            and problem.fit.quadratic
            and problem.is_convex
            and problem.group is None
        )

    def solve(self, problem: Problem, start: Vector, tolerance: float) -> Found | None:
        """Solve from a point of the box; None where rounding leaves the point short of the tolerance."""
        weights = problem.regulariser.weights_at_zero
        lower, upper = problem.lower, problem.upper
        x = start.copy()
        gradient = self._gradient + self._gram @ x
        L, free, work = self._scratch
        minimise(
            self._gram, self._curvature, gradient, x, weights, lower, upper, x.size, 0.3 * tolerance,
            steering.EPOCHS, False, L, free, work,
        )  # fmt: skip
        image = self._gram @ x
        gradient = self._gradient + image
        violations = np.empty_like(x)
        box_violations(x, gradient, weights, lower, upper, violations)
        loss = self._loss + float(x @ (self._gradient + 0.5 * image))
        if not float(violations.max()) <= tolerance or not loss >= steering.SMALLEST_LOSS * self._loss:
            return None
        intercept = self._intercept - float(self._means @ x)
        return Found(x, intercept, loss + float(weights @ np.abs(x)), violations)

    def objective(self, problem: Problem, x: Vector) -> float:
        """Return the objective at a point with its best intercept."""
        weights = problem.regulariser.weights_at_zero
        loss = self._loss + float(x @ (self._gradient + 0.5 * (self._gram @ x)))
        return loss + float(weights @ np.abs(x))
