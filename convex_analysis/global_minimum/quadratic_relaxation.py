"""Relaxations of linear models: one Gram matrix for all nodes, many nodes a call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convex_analysis.global_minimum.envelope import Envelope
from convex_analysis.global_minimum.node_kernels import relax_nodes
from convex_analysis.global_minimum.relaxation import Bounds, Curvature, Relaxation
from convex_analysis.losses.loss import Vector

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem

# Passes of coordinate descent a node; between them Newton steps end most nodes after a few.
MAX_EPOCHS = 1000


class QuadraticRelaxation(Relaxation):
    """Relaxation of a problem with a quadratic loss, on its Gram matrix; an intercept is minimised out.

    Parameters
    ----------
    problem
        A problem whose loss is quadratic.
    free
        Indices of the coordinates that vary.
    fixed
        Values of all coordinates, shape (n_features,); only those not free are used.
    share
        Part of the smallest eigenvalue that is lent to the penalty's envelope as spare
        curvature; the rest keeps the relaxation strongly convex, so that bounds exclude points.
    """

    batch = 16

    def __init__(self, problem: Problem, free: np.ndarray, fixed: Vector, share: float = 0.8) -> None:
        s = problem.row_weights
        A = problem.design.columns(free)
        offset = fixed.copy()
        offset[free] = 0.0
        y = problem.y - problem.design.matvec(offset)
        if problem.fit_intercept:
            A = A - s @ A
            y = y - s @ y
        self.gram = np.ascontiguousarray(A.T @ (s[:, None] * A))
        self.gram = 0.5 * (self.gram + self.gram.T)
        self.q: Vector = A.T @ (s * y)
        self.base = 0.5 * float(s @ (y * y))
        self.base += problem.penalty_value(offset)
        self.scale = problem.lam * problem.penalty_factor[free]
        self.rounding = 1e-13 * float(np.abs(self.q).max(initial=0.0))
        self._share = share
        self._rank = min(A.shape) - int(problem.fit_intercept)

    def curvature(self, free: np.ndarray) -> Curvature:
        """Split the free block of the Gram matrix into spare curvature and a strongly convex rest."""
        n_free = int(np.count_nonzero(free))
        spare, stiffness, reach = np.zeros((3, self.scale.size))
        reach[free] = np.sqrt(2.0 * np.diagonal(self.gram)[free])
        if not 0 < n_free <= self._rank:
            return Curvature(spare, stiffness, reach, n_free)
        block = self.gram[np.ix_(free, free)]
        values, vectors = np.linalg.eigh(block)
        rounding = 4e-16 * self.scale.size * float(np.diagonal(self.gram).sum())
        if values[0] > 1e3 * rounding:
            lent = self._share * (values[0] - rounding)
            rest = values - rounding - lent
            squared = vectors * vectors
            spare[free] = lent
            stiffness[free] = 1.0 / (squared @ (1.0 / rest))
            reach[free] = np.sqrt(2.0 * (squared @ (values**2 / rest)))
        return Curvature(spare, stiffness, reach, n_free)

    def solve(
        self,
        envelope: Envelope,
        lower: Vector,
        upper: Vector,
        start: Vector,
        cutoff: float,
        tolerance: Vector,
    ) -> Bounds:
        """Solve all nodes in one compiled call."""
        x = np.clip(start, lower, upper)
        reduced = np.empty_like(x)
        bound = np.empty(x.shape[0])
        relax_nodes(
            self.gram,
            envelope.linear - self.q,
            envelope.weights,
            envelope.shift,
            self.base + envelope.constant.sum(axis=1),
            lower,
            upper,
            cutoff,
            tolerance,
            MAX_EPOCHS,
            x,
            reduced,
            bound,
        )
        return Bounds(x, reduced, reduced - envelope.linear + envelope.shift * x, bound)
