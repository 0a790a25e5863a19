"""Branch and bound on boxes: they are split until no one of them can hold a better point.

A search that is not soon over begins again: it then looks at the halves of several coordinates before it
splits one, and probes the ends of a box: an end that is bound as a box of its own and holds no better
point is cut off. The narrower boxes are, the steeper their chords and the higher the next bounds, so that
below some gap cuts beget cuts until nothing is left of a box; above it they end soon, and boxes must be
split first.
"""

from __future__ import annotations

import heapq
import time
from typing import TYPE_CHECKING

import numpy as np

from convex_analysis import steering
from convex_analysis.branch_and_bound.batch import Batch, Node
from convex_analysis.branch_and_bound.best_first import BestFirst, between
from convex_analysis.branch_and_bound.envelope import Envelope, envelope
from convex_analysis.branch_and_bound.exclusion import exclude_nonstationary, holes, leave_holes, tighten
from convex_analysis.branch_and_bound.incumbent import Incumbent
from convex_analysis.branch_and_bound.relaxation import Relaxation
from convex_analysis.losses.loss import Vector

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem


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
        self._begun, self._limit, self._first_floor = n_nodes, n_nodes, floor
        self._hard, self._proved = False, -np.inf
        self._vain = 0  # relaxations that went into probes of boxes that were not closed
        self.right = holes(self.penalty, relaxation.scale, relaxation.bend, *ends[:2])
        self.left = holes(self.penalty, relaxation.scale, relaxation.bend, *ends[2:])

    def start(self, lower: Vector, upper: Vector, bound: float) -> None:
        """Bound the root: a box of the free coordinates, shape (d,), whose lower bound is known (or -inf)."""
        self._root = lower.copy(), upper.copy(), bound
        curvature = self.relaxation.curvature(lower < upper)
        root = Batch.of([Node(bound, 0, lower, upper, self.incumbent.x[self.free], 0, curvature)])
        self._solve(root, self._minorant(root))

    @property
    def lower_bound(self) -> float:
        """No point has an objective below this value."""
        return max(self._proved, super().lower_bound)

    def _begin_again(self) -> None:
        """Go back to the root, to split and probe with more care; what is proved stays."""
        self._hard, self._proved = True, self.lower_bound
        self.heap.clear()
        self.floor, self._begun = self._first_floor, self.n_nodes
        self.start(*self._root)

    def _advance(self, room: int) -> None:
        self._limit = self.n_nodes + room
        if not self._hard and self.n_nodes - self._begun >= steering.HARD:
            self._begin_again()
            return
        if not self._hard:
            self._expand(Batch.of(self._take(min(self.relaxation.batch, room // 2))))
            return
        box = Batch.of(self._take(1))
        if 2 * self._vain > self.n_nodes - self._begun or self._probe(box):
            self._expand(box)

    def _take(self, size: int) -> list[Node]:
        """Pop so many of the best nodes, at most."""
        taken: list[Node] = []
        while self.heap and len(taken) < size and self.heap[0].bound < self.cutoff:
            node = heapq.heappop(self.heap)
            free = node.lower < node.upper
            if np.count_nonzero(free) < steering.STILL_FREE * node.curvature.n_free:
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
        allowed = np.where(splittable, steering.REPEATS, steering.REPEATS_UNSPLIT)
        needed = missing > 0.0
        coarse = total <= steering.EXPLAINED * missing
        # What rounding takes from the bound no split gives back.
        lost = self.relaxation.rounding(batch.lower, batch.upper, self.cutoff)
        splittable &= ~(coarse & (lost >= steering.LOST * missing))
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
            boxes, lines = batch.rows(chosen), minorant.rows(chosen)
            column = distance[chosen].argmax(axis=1)
            if self._hard and chosen.size == 1:
                column = self._look_ahead(boxes, lines, distance[chosen[0]])
            self._solve(*self._halves(boxes, lines, column))

    def _halves(self, batch: Batch, minorant: Envelope, column: np.ndarray) -> tuple[Batch, Envelope]:
        """Split each box along its column; halves 2i and 2i + 1 of box i lie below and above its point."""
        row = np.arange(column.size)
        a, b, t = (part[row, column] for part in (batch.lower, batch.upper, batch.x))
        width, point = b - a, between(a, b, t)
        below, above = point.copy(), point.copy()
        # A hole on the relaxed solution's side of zero is the place to split.
        near, far = (
            np.where(t < 0.0, left[column], right[column]) for left, right in zip(self.left, self.right)
        )
        near, far = np.where(t < 0.0, -far, near), np.where(t < 0.0, -near, far)
        wide = (far - near >= steering.SMALLEST_SHARE * width) | (a < 0.0) & (b > 0.0)
        hole = (far > near) & (a <= near) & (far <= b) & wide
        below[hole], above[hole] = near[hole], far[hole]
        twice = np.repeat(row, 2)
        halves, minorant = batch.rows(twice), minorant.rows(twice)
        halves.repeats[:] = 0
        halves.upper[2 * row, column] = below
        halves.lower[2 * row + 1, column] = above
        self._renew(minorant, halves, np.arange(twice.size), np.repeat(column, 2))
        return halves, minorant

    def _renew(self, minorant: Envelope, batch: Batch, row: np.ndarray, column: np.ndarray) -> None:
        """Make the minorant anew along the coordinates in which boxes have changed, one entry a change."""
        lower, upper, spare = (part[row, column] for part in (batch.lower, batch.upper, batch.spare))
        changed = envelope(self.penalty, self.relaxation.scale[column], lower, upper, spare)
        minorant.replace(row, column, changed)

    def _look_ahead(self, box: Batch, minorant: Envelope, distance: Vector) -> np.ndarray:
        """Return the column along which both halves of a box gain most, of those that promise something."""
        size = min(steering.LOOKED_AT, (self._limit - self.n_nodes - 2) // 4)
        leading = (np.argsort(-by, kind="stable")[:size] for by in (distance, np.abs(box.x[0])))
        columns = np.unique(np.concatenate(list(leading)))
        columns = columns[distance[columns] > 0.0]
        if columns.size < 2:
            return np.array([int(distance.argmax())])
        same = np.zeros(columns.size, dtype=np.intp)
        halves, lines = self._halves(box.rows(same), minorant.rows(same), columns)
        missing = self.cutoff - box.bound[0]
        _, bound, _ = self._bound(halves, lines, steering.LOOK_GAP * missing)
        gains = np.clip(bound - box.bound[0], 1e-3 * missing, missing)
        best: np.ndarray = columns[[int(np.argmax(gains[::2] * gains[1::2]))]]
        return best

    def _probe(self, box: Batch) -> bool:
        """Cut off ends of a box, in place, until nothing is left of it, which is False, or no end gives way.

        Vain probes take half of all work at most.
        """
        before = self.n_nodes
        share = np.full((2, box.x.shape[1]), steering.FIRST_END)
        alive = True
        for turn in range(steering.PROBE_CYCLES):
            missing, width = self.cutoff - box.bound[0], float((box.upper - box.lower).sum())
            # Both sides of all coordinates, then those that the relaxation uses, on their side.
            for whole in (True, False, False):
                order = np.argsort(-np.abs(box.x[0]), kind="stable")
                column = np.repeat(order, 2) if whole else order[: np.count_nonzero(box.x)]
                above = box.x[0, column] >= 0.0
                if whole:
                    above[1::2] = ~above[1::2]
                for k in range(0, column.size, steering.PROBED_AT_ONCE):
                    part = slice(k, k + steering.PROBED_AT_ONCE)
                    if alive and self._may_probe:
                        alive = self._cut(box, column[part], above[part], share)
            less = self.cutoff - box.bound[0] <= (1.0 - steering.YIELDING) * missing
            less |= float((box.upper - box.lower).sum()) <= (1.0 - steering.YIELDING) * width
            if not (alive and self._may_probe and (less or turn == 0)):
                break
        self._vain += self.n_nodes - before if alive else 0
        return alive

    @property
    def _may_probe(self) -> bool:
        """Whether time and relaxations are left for a call."""
        room = self._limit - self.n_nodes > steering.PROBED_AT_ONCE + 2
        return room and time.perf_counter() < self._deadline

    def _cut(self, box: Batch, column: np.ndarray, above: np.ndarray, share: Vector) -> bool:
        """Bound ends of a box as boxes of their own, cut off what holds no better point, and bound the rest.

        Parameters
        ----------
        box
            One box, changed in place.
        column, above
            Coordinates, and whether at their upper ends or at their lower ones.
        share
            Where an end begins: the share of the way to it from zero or the relaxed solution, whichever is
            nearer to it; shape (2, d) for lower and upper ends. Changed by what is found.
        """
        low, high = box.lower[0, column], box.upper[0, column]
        x = np.where(above, np.maximum(box.x[0, column], 0.0), np.minimum(box.x[0, column], 0.0))
        x, end = np.clip(x, low, high), np.where(above, high, low)
        outer = (self.outer[1] - self.outer[0])[column]
        open_ = np.abs(end - x) > steering.NARROW * outer
        column, above, x, end = column[open_], above[open_], x[open_], end[open_]
        missing = self.cutoff - box.bound[0]
        if column.size:
            row, same, side = (
                np.arange(column.size),
                np.zeros(column.size, dtype=np.intp),
                above.astype(np.intp),
            )
            start = x + share[side, column] * (end - x)
            ends, lines = box.rows(same), self._minorant(box).rows(same)
            ends.lower[row[above], column[above]] = start[above]
            ends.upper[row[~above], column[~above]] = start[~above]
            ends.x[row, column] = start
            self._renew(lines, ends, row, column)
            _, _, may = self._bound(ends, lines, steering.PROBE_GAP * missing)
            left = np.where(above, ends.upper[row, column], ends.lower[row, column])
            left = np.where(may, left, start)
            np.minimum.at(box.upper[0], column[above], left[above])
            np.maximum.at(box.lower[0], column[~above], left[~above])
            share[side, column] = np.where(may, steering.LAST_END, steering.NEXT_END)
        leave_holes(self.right, self.left, box.lower, box.upper)
        box.x[...] = np.clip(box.x, box.lower, np.maximum(box.lower, box.upper))
        box.x[...], box.bound[...], alive = self._bound(
            box, self._minorant(box), steering.COARSENESS * missing
        )
        return bool(alive[0])

    def _solve(self, batch: Batch, minorant: Envelope) -> None:
        """Bound boxes, shrink them, and keep those that may hold a better point."""
        tolerance = np.maximum(1e-3 * self.gap, steering.COARSENESS * (self.cutoff - batch.bound))
        x, bound, alive = self._bound(batch, minorant, tolerance)
        for i in np.flatnonzero(alive):
            self._number += 1
            node = Node(
                float(bound[i]),
                self._number,
                batch.lower[i].copy(),
                batch.upper[i].copy(),
                x[i].copy(),
                int(batch.repeats[i]),
                batch.curvatures[i],
            )
            heapq.heappush(self.heap, node)

    def _bound(
        self, batch: Batch, minorant: Envelope, tolerance: Vector | float
    ) -> tuple[Vector, Vector, np.ndarray]:
        """Bound and shrink boxes in place; return solutions, bounds, and which may hold a better point."""
        cutoff, lower, upper = self.cutoff, batch.lower, batch.upper
        tolerance = np.broadcast_to(tolerance, batch.bound.shape)
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
        return bounds.x, bound, alive

    def _search_locally(self, x: Vector, estimate: Vector) -> None:
        """Start majorize-minimize from relaxed solutions that promise a better point."""
        for i in np.flatnonzero(estimate < self.incumbent.objective):
            point = self.fixed.copy()
            point[self.free] = x[i]
            self.incumbent.search(point)
