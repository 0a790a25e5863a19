"""Relaxations of problems with any loss: each node is one convex step of the library's own solver."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convex_analysis.branch_and_bound.envelope import Envelope
from convex_analysis.branch_and_bound.relaxation import Bounds, Curvature, Relaxation
from convex_analysis.convex_step import ConvexStep
from convex_analysis.losses.loss import Vector

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem


class LossRelaxation(Relaxation):
    """Relaxation through `ConvexStep`, bounded by its dual value.

    Parameters
    ----------
    problem
        Any problem.
    free
        Indices of the coordinates that vary.
    fixed
        Values of all coordinates, shape (n_features,); only those not free are used.
    """

    batch = 8

    def __init__(self, problem: Problem, free: np.ndarray, fixed: Vector) -> None:
        self.problem = problem
        self._solver = ConvexStep(problem)
        self.free = free
        self.fixed = fixed.copy()
        d = free.size
        offset = fixed.copy()
        offset[free] = 0.0
        self._fixed_penalty = problem.penalty_value(offset)
        self.scale = problem.lam * problem.penalty_factor[free]
        # Fenchel-Young with a loss of curvature at most L: the excess is at least |change of slope|^2 / 2L.
        norms = problem.squared_norms[free]
        self.bend = problem.loss.smoothness * norms
        reach = np.sqrt(2.0 * self.bend)
        # A product with n residuals of this size at most (`Loss.smoothness` bounds slopes by the loss).
        self._unit = 4.0 * np.finfo(np.float64).eps * (problem.n_samples + problem.n_features)
        self._norms = np.sqrt(norms)
        self._curvature = Curvature(np.zeros(d), np.zeros(d), reach, 0)
        self._intercept = 0.0

    def curvature(self, free: np.ndarray) -> Curvature:
        """Smoothness alone, the same for every box."""
        return self._curvature

    def solve(
        self,
        envelope: Envelope,
        lower: Vector,
        upper: Vector,
        start: Vector,
        cutoff: float,
        tolerance: Vector,
    ) -> Bounds:
        """Solve the nodes one after the other."""
        rows = [
            self._solve_one(
                envelope.weights[i], envelope.linear[i], lower[i], upper[i], start[i], float(tolerance[i])
            )
            for i in range(lower.shape[0])
        ]
        x, reduced, gradient, rounding = (np.array(part) for part in list(zip(*rows))[:4])
        bound = np.array([row[4] for row in rows]) + envelope.constant.sum(axis=1) + self._fixed_penalty
        return Bounds(x, reduced, gradient, bound, rounding)

    def _solve_one(
        self, weights: Vector, linear: Vector, lower: Vector, upper: Vector, start: Vector, tolerance: float
    ) -> tuple[Vector, Vector, Vector, Vector, float]:
        full_lower, full_upper, full_start = self.fixed.copy(), self.fixed.copy(), self.fixed.copy()
        full_lower[self.free], full_upper[self.free], full_start[self.free] = lower, upper, start
        full_weights, full_linear = np.zeros_like(full_lower), np.zeros_like(full_lower)
        full_weights[self.free], full_linear[self.free] = weights, linear
        # One solver for all nodes: what it computed from the data survives a change of box.
        self._solver.problem = self.problem.with_bounds(full_lower, full_upper)
        step = self._solver.compute(
            full_weights, start=full_start, intercept=self._intercept, linear=full_linear, gap=tolerance
        )
        self._intercept = step.intercept
        gradient = -self.problem.design.rmatvec(step.nu)[self.free]
        weight = self.problem.row_weights
        length = float(
            np.sqrt(np.sum(np.divide(step.nu**2, weight, out=np.zeros_like(weight), where=weight > 0)))
        )
        return step.x[self.free], gradient + linear, gradient, self._unit * length * self._norms, step.dual
