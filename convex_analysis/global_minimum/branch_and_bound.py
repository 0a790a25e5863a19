"""Branch and bound on boxes: they are split until no one of them can hold a better point."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import numpy as np

from convex_analysis.global_minimum.batch import Batch, Node
from convex_analysis.global_minimum.best_first import COARSENESS, SMALLEST_SHARE, BestFirst, between
from convex_analysis.global_minimum.envelope import Envelope, envelope
from convex_analysis.global_minimum.exclusion import exclude_nonstationary, holes, leave_holes, tighten
from convex_analysis.global_minimum.incumbent import Incumbent
from convex_analysis.global_minimum.relaxation import Relaxation
from convex_analysis.losses.loss import Vector

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem

# A node is bound again, so many times at most, where less than a share of what its bound lacks is
# the distance of the envelope from the penalty: then its box has shrunk since, or the bound was coarse.
# Nodes of the problems of `best_first`: 61.6 with a share of 0.1, 60.9 with 0.9; 63.4 if never bound again.
_EXPLAINED = 0.5
_REPEATS = 3
_REPEATS_UNSPLIT = 30
# A box is given up where its bound is not far off, and rounding accounts for this share of what it lacks.
_LOST = 0.2
# The curvature is computed anew where fewer than this share of the coordinates are still free: 65.8 nodes
# with 0.5, 58.2 with 0.95, each dearer.
_STILL_FREE = 0.8


class Search(BestFirst[Node]):
    """State of a branch-and-bound search over the free coordinates of a problem.

    Parameters
    ----------
    problem
        The problem; its box must be finite.
    relaxation
        Its convex relaxation on sub-boxes.
    free
        Indices of the coordinates that vary.
    fixed
        Values of all coordinates, shape (n_features,); only those not free are used.
    incumbent, gap, floor, n_nodes
        As in `BestFirst`.
    """

    def __init__(
        self,
        problem: Problem,
        relaxation: Relaxation,
        free: np.ndarray,
        fixed: Vector,
        incumbent: Incumbent,
        gap: float,
        floor: float = np.inf,
        n_nodes: int = 0,
    ) -> None:
        super().__init__(incumbent, gap, floor, n_nodes)
        self.penalty = problem.penalty
        self.relaxation = relaxation
        self.free = free
        self.fixed = fixed
        self.outer = problem.lower[free], problem.upper[free]
        ends = [np.maximum(end, 0.0) for end in (*self.outer, -self.outer[1], -self.outer[0])]
        self.right = holes(self.penalty, relaxation.scale, relaxation.bend, *ends[:2])
        self.left = holes(self.penalty, relaxation.scale, relaxation.bend, *ends[2:])

    def start(self, lower: Vector, upper: Vector, bound: float) -> None:
        """Bound the root: a box of the free coordinates, shape (d,), whose lower bound is known (or -inf)."""
        curvature = self.relaxation.curvature(lower < upper)
        root = Batch.of([Node(bound, 0, lower, upper, self.incumbent.x[self.free], 0, curvature)])
        self._solve(root, self._minorant(root))

    def _advance(self, room: int) -> None:
        self._expand(Batch.of(self._take(room)))

    def _take(self, room: int) -> list[Node]:
        """Pop the best nodes, as many as pay in one call and as there is room for children."""
        taken: list[Node] = []
        size = min(self.relaxation.batch, room // 2)
        while self.heap and len(taken) < size and self.heap[0].bound < self.cutoff:
            node = heapq.heappop(self.heap)
            free = node.lower < node.upper
            if np.count_nonzero(free) < _STILL_FREE * node.curvature.n_free:
                node.curvature = self.relaxation.curvature(free)
            taken.append(node)
        return taken

    def _minorant(self, batch: Batch) -> Envelope:
        return envelope(self.penalty, self.relaxation.scale, batch.lower, batch.upper, batch.spare)

    def _expand(self, batch: Batch) -> None:
        """Bound again the boxes whose bound is out of date, and split the others in two."""
        minorant = self._minorant(batch)
        height = self.relaxation.scale * np.asarray(self.penalty.value(np.abs(batch.x)))
        distance = height - minorant.value(batch.x)
        total = distance.sum(axis=1)
        self._search_locally(batch.x, batch.bound + total)
        missing = self.cutoff - batch.bound
        splittable = distance.max(axis=1) > 0.0
        allowed = np.where(splittable, _REPEATS, _REPEATS_UNSPLIT)
        needed = missing > 0.0
        coarse = total <= _EXPLAINED * missing
        # What rounding takes from the bound no split gives back.
        lost = self.relaxation.rounding(batch.lower, batch.upper, self.cutoff)
        splittable &= ~(coarse & (lost >= _LOST * missing))
        again = needed & coarse & (batch.repeats < allowed)
        split = needed & ~again & splittable
        hopeless = needed & ~again & ~split
        if not needed.all():
            self.floor = min(self.floor, self.cutoff)
        if hopeless.any():
            # In floating-point arithmetic no more can be said about these boxes.
            self.floor = min(self.floor, float(batch.bound[hopeless].min()))
        if again.any():
            chosen = np.flatnonzero(again)
            batch.repeats[chosen] += 1
            self._solve(batch.rows(chosen), minorant.rows(chosen))
        if split.any():
            chosen = np.flatnonzero(split)
            column = distance[chosen].argmax(axis=1)
            self._split(batch.rows(chosen), minorant.rows(chosen), column)

    def _split(self, batch: Batch, minorant: Envelope, column: np.ndarray) -> None:
        """Split each box along its column and bound the halves."""
        row = np.arange(column.size)
        a, b, t = (part[row, column] for part in (batch.lower, batch.upper, batch.x))
        width, point = b - a, between(a, b, t)
        below, above = point.copy(), point.copy()
        # A hole on the relaxed solution's side of zero is the place to split.
        near, far = (
            np.where(t < 0.0, left[column], right[column]) for left, right in zip(self.left, self.right)
        )
        near, far = np.where(t < 0.0, -far, near), np.where(t < 0.0, -near, far)
        wide = (far - near >= SMALLEST_SHARE * width) | (a < 0.0) & (b > 0.0)
        hole = (far > near) & (a <= near) & (far <= b) & wide
        below[hole], above[hole] = near[hole], far[hole]
        # Children 2i and 2i + 1 of box i lie below and above its point.
        twice = np.repeat(row, 2)
        halves, minorant = batch.rows(twice), minorant.rows(twice)
        halves.repeats[:] = 0
        halves.upper[2 * row, column] = below
        halves.lower[2 * row + 1, column] = above
        row, column = np.arange(twice.size), np.repeat(column, 2)
        lower, upper, spare = (part[row, column] for part in (halves.lower, halves.upper, halves.spare))
        changed = envelope(self.penalty, self.relaxation.scale[column], lower, upper, spare)
        minorant.replace(row, column, changed)
        self._solve(halves, minorant)

    def _solve(self, batch: Batch, minorant: Envelope) -> None:
        """Bound boxes, shrink them, and keep those that may hold a better point."""
        cutoff, lower, upper = self.cutoff, batch.lower, batch.upper
        tolerance = np.maximum(1e-3 * self.gap, COARSENESS * (cutoff - batch.bound))
        bounds = self.relaxation.solve(minorant, lower, upper, batch.x, cutoff, tolerance)
        self.n_nodes += lower.shape[0]
        tighten(batch.stiffness, minorant, bounds, cutoff, lower, upper)
        exclude_nonstationary(
            batch.reach, self.relaxation, self.penalty, bounds, cutoff, self.outer, lower, upper
        )
        leave_holes(self.right, self.left, lower, upper)
        bound = np.maximum(bounds.bound, batch.bound)
        alive = (bound < cutoff) & (lower <= upper).all(axis=1)
        if not alive.all():
            # What is dropped holds no minimiser below the cutoff.
            self.floor = min(self.floor, cutoff)
        for i in np.flatnonzero(alive):
            self._number += 1
            node = Node(
                float(bound[i]),
                self._number,
                lower[i].copy(),
                upper[i].copy(),
                bounds.x[i].copy(),
                int(batch.repeats[i]),
                batch.curvatures[i],
            )
            heapq.heappush(self.heap, node)

    def _search_locally(self, x: Vector, estimate: Vector) -> None:
        """Start majorize-minimize from relaxed solutions that promise a better point."""
        for i in np.flatnonzero(estimate < self.incumbent.objective):
            point = self.fixed.copy()
            point[self.free] = x[i]
            self.incumbent.search(point)
