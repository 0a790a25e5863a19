"""Allowances for rounding in objectives and gradients, so that no tolerance has to be made up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convex_analysis.constants.curvature import EPS, Matrix, dense_design
from convex_analysis.losses.loss import Vector

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem


class Rounding:
    """How far computed objectives and gradients of a problem may be from the exact ones.

    Parameters
    ----------
    problem
        Any problem.
    design
        Its design as a dense array, if it is at hand.
    """

    def __init__(self, problem: Problem, design: Matrix | None = None) -> None:
        self.problem = problem
        self._size: Matrix = np.abs(dense_design(problem) if design is None else design)

    def _predictor(self, x: Vector, intercept: float) -> Vector:
        """Return the size of what a residual is added up from, sample by sample."""
        size: Vector = self._size @ np.abs(x) + np.abs(self.problem.y) + abs(intercept)
        return size if self.problem.offset is None else size + np.abs(self.problem.offset)

    def _steepness(self, z: Vector, size: Vector) -> Vector:
        """Return the largest second derivative within rounding of each predictor, shape (n_samples,)."""
        loss, y = self.problem.loss, self.problem.y
        if np.isfinite(loss.smoothness):
            return np.full(z.size, loss.smoothness)
        # One without a bound grows towards one side: it is largest at an end.
        reach = 4.0 * EPS * (self.problem.n_samples + self.problem.n_features) * size
        with np.errstate(over="ignore"):
            return np.maximum(loss.second_derivative(z - reach, y), loss.second_derivative(z + reach, y))

    def of_gradient(self, x: Vector, intercept: float) -> Vector:
        """Return an allowance for each entry of the gradient at x, shape (n_features,)."""
        problem = self.problem
        z = problem.predictor(x, intercept)
        size = self._predictor(x, intercept)
        slopes = np.abs(problem.loss.derivative(z, problem.y)) + self._steepness(z, size) * size
        allowance: Vector = self._size.T @ (problem.row_weights * slopes)
        if problem.ridge is not None:
            allowance += problem.ridge * np.abs(x)
        return 4.0 * EPS * (problem.n_samples + problem.n_features) * allowance

    def of_objective(self, x: Vector, intercept: float) -> float:
        """Return an allowance for the objective at x."""
        problem = self.problem
        z = problem.predictor(x, intercept)
        size = self._predictor(x, intercept)
        slopes = np.abs(problem.loss.derivative(z, problem.y))
        spread = float(problem.row_weights @ (slopes * size)) * (problem.n_features + 4)
        level = abs(problem.objective(x, intercept)) * (problem.n_samples + problem.n_features)
        # Squares of rounding errors in z: where the residual is zero the first-order term above is, too.
        steep = problem.row_weights * self._steepness(z, size)
        square = float(steep @ (EPS * problem.n_features * size) ** 2)
        # Squares of differences below 1e-154 vanish altogether.
        underflow = float(np.finfo(float).tiny) * (problem.n_samples + problem.n_features)
        return EPS * (spread + level) + square + underflow
