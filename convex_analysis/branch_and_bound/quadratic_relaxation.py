"""Relaxations of linear models: one triangular factor for all nodes, many nodes a call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convex_analysis import steering
from convex_analysis.branch_and_bound.envelope import Envelope
from convex_analysis.branch_and_bound.node_kernels import RESERVE, relax_nodes
from convex_analysis.branch_and_bound.relaxation import Bounds, Curvature, Relaxation
from convex_analysis.constants.strong_convexity import eigenvalue_margin
from convex_analysis.losses.loss import Vector

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem

_EPS = float(np.finfo(np.float64).eps)


class QuadraticRelaxation(Relaxation):
    """Relaxation of a problem with a quadratic loss, perhaps with a ridge; an intercept is minimised out.

    The data fit is ``|factor x - target|^2 / 2`` with the triangular factor of the weighted and
    centred design (the design itself, if it has fewer rows than columns). What weighting, centring and
    factorising round is as if column j were off by ``unit norms_j``: `data_allowance` says what that costs.

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
        root = np.sqrt(s)
        A = problem.design.columns(free)
        offset = fixed.copy()
        offset[free] = 0.0
        y = problem.y - problem.design.matvec(offset)
        others = np.flatnonzero(offset)
        level = float(np.sqrt(s @ problem.y**2))
        if problem.offset is not None:
            y, level = y - problem.offset, level + float(np.sqrt(s @ problem.offset**2))
        level += float(np.sqrt(problem.squared_norms[others]) @ np.abs(offset[others]))
        if problem.fit_intercept:
            for _ in range(2):  # the second time takes away the mean that rounding left
                A = A - s @ A
                y = y - s @ y
        factor, target = root[:, None] * A, root * y
        self._rank = min(A.shape) - int(problem.fit_intercept)
        self.base = problem.penalty_value(offset)
        if problem.ridge is not None:  # rows of the factor: curvature that the envelope may borrow
            rows = np.diag(np.sqrt(problem.ridge[free]))[problem.ridge[free] > 0.0]
            self._rank = min(A.shape[0] - int(problem.fit_intercept) + len(rows), free.size)
            factor, target = np.vstack((factor, rows)), np.append(target, np.zeros(len(rows)))
            self.base += problem.fit.separable_value(offset)
        self.unit = 4.0 * _EPS * (problem.n_samples + problem.n_features)
        self.level = level
        self.norms: Vector = np.sqrt(np.einsum("ij,ij->j", factor, factor))
        # The product of X and theta is rounded before its columns are centred.
        rounded = problem.design.scale is not None and problem.fit_intercept
        raw = np.sqrt(problem.squared_norms[free]) if rounded else np.zeros(free.size)
        self.spread: Vector = np.maximum(self.norms, _EPS * raw / self.unit)
        self.triangular = factor.shape[0] > free.size + 1
        if self.triangular:
            whole = np.asarray(np.linalg.qr(np.column_stack((factor, target)), mode="r"))
            factor, target = whole[:, :-1], whole[:, -1]
        self.factor = np.ascontiguousarray(factor)
        self.target: Vector = np.ascontiguousarray(target)
        self.gram = np.ascontiguousarray(self.factor.T @ self.factor)
        self.gram = 0.5 * (self.gram + self.gram.T)
        self.scale = problem.lam * problem.penalty_factor[free]
        self.bend = (self.norms + self.unit * self.spread) ** 2
        self._share = share

    def curvature(self, free: np.ndarray) -> Curvature:
        """Split the free block of the Gram matrix into spare curvature and a strongly convex rest."""
        n_free = int(np.count_nonzero(free))
        spare, stiffness, reach = np.zeros((3, self.scale.size))
        reach[free] = np.sqrt(2.0 * np.diagonal(self.gram)[free] / (1.0 - RESERVE))
        if not 0 < n_free <= self._rank:
            return Curvature(spare, stiffness, reach, n_free)
        block = self.gram[np.ix_(free, free)]
        values, vectors = np.linalg.eigh(block)
        rounding = eigenvalue_margin(n_free, self.target.size, float(np.trace(block)))
        if values[0] > 1e2 * rounding:
            least = (1.0 - RESERVE) * values - rounding
            lent = self._share * least[0]
            rest = least - lent
            squared = vectors * vectors
            spare[free] = lent
            stiffness[free] = 1.0 / (squared @ (1.0 / rest))
            reach[free] = np.sqrt(2.0 * (squared @ (values**2 / rest)))
        return Curvature(spare, stiffness, reach, n_free)

    def data_allowance(self, lower: Vector, upper: Vector, cutoff: float) -> tuple[Vector, Vector]:
        """Return what rounding of the data may cost in boxes: in gradients and in objectives.

        Data that are off by `unit` move the residual of a point t by at most
        ``e = unit (sum_j norms_j |t_j| + |y|)``, and the data fit by ``e (r + e)`` with r the norm of the
        residual: at most ``sqrt(2 cutoff)`` at the points that matter.

        Returns
        -------
        gradients
            As a multiple of the norms, shape (n_nodes,).
        objectives
            Shape (n_nodes,).
        """
        span = np.maximum(np.abs(lower), np.abs(upper)) @ self.spread + self.level
        residual = np.minimum(span, np.sqrt(2.0 * max(cutoff, 0.0)))
        off = self.unit * span
        return off + self.unit * residual, off * (residual + off)

    def rounding(self, lower: Vector, upper: Vector, cutoff: float) -> Vector:
        """Return the allowance for rounding of the data."""
        return self.data_allowance(lower, upper, cutoff)[1]

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
        bound, allowance = np.empty(x.shape[0]), np.empty(x.shape[0])
        off, lost = self.data_allowance(lower, upper, cutoff)
        constant = self.base + envelope.constant.sum(axis=1) - lost
        self._relax(
            envelope,
            constant,
            lower,
            upper,
            cutoff,
            tolerance,
            steering.NODE_EPOCHS,
            (x, reduced, bound, allowance),
        )
        for i in map(int, np.flatnonzero(bound < cutoff)):
            # Where the Gram matrix lost what tells columns apart, descent on it stops anywhere.
            if (
                self._gap(envelope, i, reduced, x, lower, upper) > 2.0 * tolerance[i]
                and not envelope.shift[i].any()
            ):
                one = slice(i, i + 1)
                at = x[one].copy(), reduced[one].copy(), bound[one].copy(), allowance[one].copy()
                for _ in range(steering.FACE_STEPS):
                    if not self._to_face_minimum(envelope, i, at[1][0], at[0][0], lower[i], upper[i]):
                        break
                    self._relax(
                        envelope.rows(np.array([i])),
                        constant[one],
                        lower[one],
                        upper[one],
                        cutoff,
                        tolerance[one],
                        0,
                        at,
                    )
                    if at[2][0] > bound[i]:
                        x[one], reduced[one], bound[one], allowance[one] = at
        return Bounds(
            x,
            reduced,
            reduced - envelope.linear + envelope.shift * x,
            bound,
            (allowance + off)[:, None] * self.spread + 1e-15 * np.abs(reduced),
        )

    def _relax(
        self,
        envelope: Envelope,
        constant: Vector,
        lower: Vector,
        upper: Vector,
        cutoff: float,
        tolerance: Vector,
        max_epochs: int,
        state: tuple[Vector, Vector, Vector, Vector],
    ) -> None:
        """Call the kernel; the state (x, reduced, bound, allowance) is overwritten."""
        relax_nodes(
            self.factor,
            self.target,
            self.triangular,
            self.gram,
            self.norms,
            envelope.linear,
            envelope.weights,
            envelope.shift,
            constant,
            lower,
            upper,
            cutoff,
            tolerance,
            max_epochs,
            *state,
        )

    @staticmethod
    def _gap(envelope: Envelope, i: int, reduced: Vector, x: Vector, lower: Vector, upper: Vector) -> float:
        """Return a node's duality gap."""
        v, w = reduced[i], envelope.weights[i]
        ends = np.stack([lower[i], np.clip(0.0, lower[i], upper[i]), upper[i]])
        least = (v * ends + w * np.abs(ends)).min(axis=0)
        return float((v * x[i] + w * np.abs(x[i]) - least).sum())

    def _to_face_minimum(
        self, envelope: Envelope, i: int, reduced: Vector, x: Vector, lower: Vector, upper: Vector
    ) -> bool:
        """Move x to the minimum on its face, by a QR factor of the free columns, or to the end of the face.

        Coordinates at an end of the box or at zero are free if the slope leads inwards. False where no
        coordinate moves.
        """
        weights = envelope.weights[i]
        right, left = reduced + weights, reduced - weights  # slopes towards larger and smaller values
        rising = (x < upper) & (np.where(x < 0.0, left, right) < 0.0)
        falling = (x > lower) & (np.where(x > 0.0, right, left) > 0.0)
        inside = (x > lower) & (x < upper) & (x != 0.0)
        free = np.flatnonzero((rising | falling | inside) & (self.norms > 0.0))
        sign = np.where(x != 0.0, np.sign(x), np.where(rising, 1.0, -1.0))
        low = np.where(sign > 0, np.maximum(lower, 0.0), lower)
        high = np.where(sign > 0, upper, np.minimum(upper, 0.0))
        moved = False
        while free.size:
            scale = self.norms[free]
            slope = (reduced + sign * weights)[free] / scale
            _, singular, directions = np.linalg.svd(self.factor[:, free] / scale, full_matrices=False)
            kept = singular > _EPS * singular[0]
            along = directions[kept]
            step = -(along.T @ ((along @ slope) / singular[kept] ** 2)) / scale
            room = np.where(step > 0, high[free] - x[free], low[free] - x[free])
            share = np.divide(room, step, out=np.full(free.size, np.inf), where=step != 0)
            longest = min(1.0, float(share.min()))
            before = x[free].copy()
            x[free] = np.clip(before + longest * step, low[free], high[free])
            moved = moved or bool((x[free] != before).any())
            if longest >= 1.0:
                break
            blocked = share <= longest
            x[free[blocked]] = np.where(step > 0, high[free], low[free])[blocked]
            residual = self.factor @ x - self.target
            reduced = envelope.linear[i] + self.factor.T @ residual
            free = free[~blocked]
        return moved
