"""Branch and bound over the norms of groups: each node is one reweighted group lasso."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from convex_analysis import steering
from convex_analysis.branch_and_bound.best_first import BestFirst, between
from convex_analysis.branch_and_bound.envelope import chord
from convex_analysis.branch_and_bound.exclusion import holes, leave_holes
from convex_analysis.branch_and_bound.incumbent import Incumbent
from convex_analysis.certificate import least_value
from convex_analysis.convex_step import ConvexStep
from convex_analysis.losses.loss import Vector

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem

_FAR = 1e150  # where the slope that a penalty never falls below is read
_LARGEST = 1e12  # norms up to which a penalty that grows is held against the incumbent
_ROUNDING = 8 * np.finfo(np.float64).eps


@dataclass(order=True, slots=True)
class Shell:
    """Points whose groups have norms in intervals, ordered by their lower bound, then by age.

    Attributes
    ----------
    bound, number
        Lower bound of the objective there, and the order of creation.
    near, far
        Ends of the norms' intervals, shape (n_groups,) each; far may be infinite.
    x, intercept
        Solution of the relaxation.
    repeats
        How often it was solved without being split.
    """

    bound: float
    number: int
    near: Vector = field(compare=False)
    far: Vector = field(compare=False)
    x: Vector = field(compare=False)
    intercept: float = field(compare=False)
    repeats: int = field(compare=False)


class GroupSearch(BestFirst[Shell]):
    """State of a branch-and-bound search over ``near_g <= ||x_g|| <= far_g``.

    On a shell the penalty of a norm is replaced by its chord. A concave function lies below its chord's line
    outside the interval, so the relaxation may take norms outside without being less than the objective
    there: no bound on x is needed, and what is left of the gap is the height of the penalty over the chords
    of those groups whose relaxed norm lies within their interval.

    Parameters
    ----------
    problem
        A problem with groups.
    incumbent
        Best point known.
    gap
        Shells whose bound is within the gap of the incumbent are dropped.
    """

    def __init__(self, problem: Problem, incumbent: Incumbent, gap: float) -> None:
        super().__init__(incumbent, gap)
        assert problem.group is not None
        self.problem, self.penalty = problem, problem.penalty
        _, first, self.place = np.unique(problem.group, return_index=True, return_inverse=True)
        self.scale = problem.lam * problem.penalty_factor[first]
        self._solver = ConvexStep(problem)
        slope = float(np.asarray(self.penalty.derivative(np.array([_FAR])))[0])
        self._slope_far = max(slope, 0.0)
        near, far = np.zeros(first.size), self._reach(least_value(problem))
        far[(problem.lower == problem.upper)[first]] = 0.0
        bend = self._bend()
        ends = np.minimum(far, self._largest_hole(bend))
        self.hole = holes(self.penalty, self.scale, bend, near, ends)
        root = Shell(-np.inf, 0, near, far, incumbent.x, incumbent.intercept, 0)
        self._solve(root, self.incumbent.objective - least_value(problem))

    def _norms(self, x: Vector) -> Vector:
        return np.sqrt(np.bincount(self.place, x * x, minlength=self.scale.size))

    def _bend(self) -> Vector:
        """Return the data fit's largest second derivative along a line in each group."""
        problem = self.problem
        if not np.isfinite(problem.loss.smoothness):
            return np.full(self.scale.size, np.inf)
        root = np.sqrt(problem.row_weights)[:, None]
        bend = np.empty(self.scale.size)
        for g in range(bend.size):
            columns = np.flatnonzero(self.place == g)
            length = float(np.linalg.norm(root * problem.design.columns(columns), 2))
            bend[g] = (1.0 + 1e-9) * problem.loss.smoothness * length**2
            bend[g] += 0.0 if problem.ridge is None else float(problem.ridge[columns].max())
        return bend

    def _reach(self, least: float) -> Vector:
        """Return norms that the penalty alone makes too dear; inf where it does not."""
        with np.errstate(divide="ignore"):
            allowed = (self.incumbent.objective - least) / self.scale
        low, high = np.zeros_like(allowed), np.full_like(allowed, _LARGEST)
        bounded = self.penalty.value(high) > allowed
        for _ in range(60):
            middle = np.where(low > 0.0, np.sqrt(low * high), 1e-12 * high)
            dear = self.penalty.value(middle) > allowed
            low, high = np.where(dear, low, middle), np.where(dear, middle, high)
        return np.where(bounded, high, np.inf)

    def _largest_hole(self, bend: Vector) -> Vector:
        """Return norms beyond which no hole ends: half way the penalty would have to be as high."""
        end = np.full(bend.size, 1e-8)
        for _ in range(100):
            grows = 8.0 * self.scale * self.penalty.value(0.5 * end) >= bend * end**2
            end = np.where(grows, 2.0 * end, end)
        return end

    def _lines(self, near: Vector, far: Vector) -> tuple[Vector, Vector]:
        """Return slope and height at zero of lines below the penalty on the intervals, above it outside."""
        bounded = np.isfinite(far)
        start, slope, _ = chord(self.penalty, near, np.where(bounded, far, near))
        slope = np.where(bounded, slope, self._slope_far)
        lost = _ROUNDING * (start + slope * near)
        return self.scale * slope, self.scale * (start - slope * near - lost)

    def _advance(self, room: int) -> None:
        """Split the best shell along the group whose penalty is furthest above its chord."""
        node = heapq.heappop(self.heap)
        missing = self.cutoff - node.bound
        norms = self._norms(node.x)
        slope, height = self._lines(node.near, node.far)
        distance = self.scale * np.asarray(self.penalty.value(norms)) - slope * norms - height
        distance[(norms < node.near) | (norms > node.far) | (node.near == node.far)] = 0.0
        total = float(np.maximum(distance, 0.0).sum())
        if total < steering.EXPLAINED * missing and node.repeats < steering.REPEATS:
            node.repeats += 1
            self._solve(node, missing)
            return
        g = int(distance.argmax())
        if not distance[g] > _ROUNDING * self.incumbent.objective:
            # In floating-point arithmetic no more can be said about this shell.
            self.floor = min(self.floor, node.bound)
            return
        below, above = self._split(node, g, float(norms[g]))
        for side, end in (("far", below), ("near", above)):
            half = Shell(node.bound, 0, node.near.copy(), node.far.copy(), node.x, node.intercept, 0)
            getattr(half, side)[g] = end
            self._solve(half, missing)

    def _split(self, node: Shell, g: int, norm: float) -> tuple[float, float]:
        """Return where the lower part of a group's interval ends and the upper one begins."""
        near, far = float(node.near[g]), float(node.far[g])
        start, end = float(self.hole[0][g]), float(self.hole[1][g])
        if near <= start < end <= far:
            return start, end
        point = float(between(near, far, norm)) if np.isfinite(far) else max(norm, 2.0 * near)
        return point, point

    def _solve(self, node: Shell, missing: float) -> None:
        """Bound a shell, shrink it, and keep it if it may hold a better point."""
        slope, height = self._lines(node.near, node.far)
        weights = np.where(node.far > 0.0, slope, np.inf)
        start = np.where(node.far[self.place] > 0.0, node.x, 0.0)
        step = self._solver.compute(
            weights[self.place], start=start, intercept=node.intercept,
            gap=max(1e-3 * self.gap, steering.COARSENESS * missing),
        )  # fmt: skip
        self.n_nodes += 1
        dual = step.dual + float(height.sum())
        node.x, node.intercept, node.bound = step.x, step.intercept, max(node.bound, dual)
        if self.problem.objective(step.x, step.intercept) < self.incumbent.objective or self.n_nodes == 1:
            self.incumbent.search(step.x)
        cutoff = self.cutoff
        if self.problem.is_convex:
            self.floor = min(self.floor, node.bound)
            return
        # A group of norm t costs (slope - pull) t more than the dual value has of it.
        excess = slope - self._norms(step.point.correlation)
        with np.errstate(divide="ignore", invalid="ignore"):
            allowed = np.where(excess > 0.0, max(cutoff - dual, 0.0) / excess * (1.0 + 1e-9), np.inf)
        node.far = np.where(allowed < _LARGEST, np.minimum(node.far, allowed), node.far)
        leave_holes(self.hole, None, node.near, node.far)
        if node.bound < cutoff and (node.near <= node.far).all():
            self._number += 1
            node.number = self._number
            heapq.heappush(self.heap, node)
        else:
            self.floor = min(self.floor, cutoff)  # what is dropped holds no minimiser below it
