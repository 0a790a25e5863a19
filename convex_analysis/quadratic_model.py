"""The quadratic model of a loss on a working set, and its minimisation by the compiled kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike

from convex_analysis.design import Indices
from convex_analysis.kernels.gram_descent import minimise
from convex_analysis.losses.loss import Vector
from convex_analysis.scratch_memory import Owner, borrow
from convex_analysis.working_set import WorkingSet

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem

# Columns taken in the first round, and how many more for one pass over X: a pass costs about as much
# as _GROWTH * n_features / size new columns of the Gram matrix.
_FIRST_ROUND = 64
_GROWTH = 30.0
_SHARE = 0.5  # of what is there already, or columns come in that the next round would not want
_EPOCHS = 10_000
_MANY = 500
_BENT_EPOCHS = 8  # on a model that may not be convex


class QuadraticModel:
    """Second-order model of a problem's loss on a working set; survives changes of penalty and box.

    Parameters
    ----------
    problem
        Supplies loss, design and row weights.
    precision
        dtype of the Gram matrix, as in `WorkingSet`.

    Attributes
    ----------
    working
        The columns and their Gram matrix.
    """

    def __init__(self, problem: Problem, precision: DTypeLike = np.float32) -> None:
        self.problem = problem
        self.working = WorkingSet(problem.design, problem.fit_intercept, precision)
        self._scratch = self._kernel_scratch(0)

    def row_curvature(self, z: Vector) -> Vector:
        """Return the curvature of the loss in each row, times its weight, at predictors z."""
        problem = self.problem
        return problem.row_weights * problem.loss.curvature(z, problem.y)

    def update(self, new: Indices, z: Vector) -> None:
        """Take in new columns, and make the model at predictors z."""
        quadratic = self.problem.loss.quadratic
        if new.size or not quadratic:
            self.working.add(new, self.row_curvature(z), refresh=not quadratic)

    def refine(self, z: Vector) -> bool:
        """Turn to a Gram matrix in float64; False if it was one already."""
        if self.working.precision == np.float64:
            return False
        self.working.double(self.row_curvature(z))
        return True

    def room(self) -> int:
        """Return how many columns may be taken in at a time."""
        size = self.working.size
        if self.problem.design.sparse and self.problem.n_features > _MANY:
            # A pass is cheap there, and crowded columns are dear.
            return max(_FIRST_ROUND // 2, size)
        more = min(_SHARE * size, _GROWTH * self.problem.n_features / size) if size else _FIRST_ROUND
        return max(16, int(more))

    def violators(self, x: Vector, violations: Vector, lower: Vector, upper: Vector) -> tuple[Indices, bool]:
        """Return the columns to take in: all free ones that are missing, and the worst violators.

        The second result says whether these are all violators.
        """
        outside = self.working.position < 0
        candidates = np.flatnonzero(outside & (violations > 0.0))
        room = self.room()
        complete = candidates.size <= room
        if not complete:
            worst = np.argpartition(-violations[candidates], room - 1)[:room]
            candidates = np.sort(candidates[worst])
        missing = np.flatnonzero(outside & (x != 0.0) & (lower < x) & (x < upper))
        return np.union1d(candidates, missing) if missing.size else candidates, complete

    def minimise(
        self,
        gradient: Vector,
        x: Vector,
        weights: Vector,
        lower: Vector,
        upper: Vector,
        tolerance: float,
        bend: Vector | None = None,
    ) -> bool:
        """Minimise ``x'(H + diag(bend))x/2 - q'x + weights'|x|`` over the box; all arrays of shape (size,).

        ``x`` and ``gradient`` (that of the quadratic part at x) are changed in place. Returns False
        if the bend made the problem visibly nonconvex; the point is then worthless.
        """
        size = x.size
        if self._scratch[0].shape[0] < size:
            room = min(2 * size, max(4096, size + size // 4), self.problem.n_features)
            self._scratch = self._kernel_scratch(max(size, room))
        L, free, work = self._scratch
        curvature = self.working.curvature
        epochs = _EPOCHS
        if bend is not None:
            curvature = curvature + bend
            epochs = _BENT_EPOCHS
        passes = minimise(
            self.working.gram, curvature, gradient, x, weights, lower, upper,
            size, tolerance, epochs, bend is not None, L, free, work,
        )  # fmt: skip
        return bool(passes != 0)

    def _kernel_scratch(self, size: int) -> tuple[Any, Any, Any]:
        """Return the scratch arrays of `kernels.gram_descent.minimise` for a problem of this size."""
        self._owner = Owner()
        lower = borrow(self._owner, (size, size + 8), np.float64)
        return lower, np.empty(size, dtype=np.intp), np.empty((4, size))
