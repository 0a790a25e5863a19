"""The quadratic model of a data fit on a working set, and its minimisation by the compiled kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from convex_analysis import steering
from convex_analysis.datafit import DataFit
from convex_analysis.design import Indices
from convex_analysis.kernels.gram_descent import minimise
from convex_analysis.kernels.group_descent import add_rows, face_hessian, group_epochs
from convex_analysis.losses.loss import Vector
from convex_analysis.regulariser import Grouped, Regulariser
from convex_analysis.solver.stacked_set import StackedSet
from convex_analysis.solver.working_set import Owner, WorkingSet, borrow
from convex_analysis.stacked_design import StackedDesign


def working_set(fit: DataFit, precision: DTypeLike) -> WorkingSet | StackedSet:
    """Return an empty working set of the kind that the design needs."""
    if isinstance(fit.design, StackedDesign):
        return StackedSet(fit.design, fit.loss.responses > 1, fit.ridge)
    return WorkingSet(fit.design, fit.fit_intercept, precision, fit.ridge)


class GramModel:
    """Second-order model of a data fit on a working set; survives changes of penalty and box.

    Parameters
    ----------
    fit
        The data fit.
    precision
        dtype of the Gram matrix, as in `WorkingSet`.

    Attributes
    ----------
    working
        The columns and their Gram matrix.
    """

    def __init__(self, fit: DataFit, precision: DTypeLike = np.float32) -> None:
        self.fit = fit
        self.working = working_set(fit, precision)
        self._scratch = self._kernel_scratch(0)

    def update(self, new: Indices, z: Vector) -> None:
        """Take in new columns, and make the model at predictors z."""
        quadratic = self.fit.quadratic
        if new.size or not quadratic:
            self.working.add(new, self.fit.row_curvature(z), refresh=not quadratic)

    def refine(self, z: Vector) -> bool:
        """Turn to a Gram matrix in float64; False if it was one already."""
        if self.working.precision == np.float64:
            return False
        self.working.double(self.fit.row_curvature(z))
        return True

    def exact(self, z: Vector) -> GramModel:
        """Return the model itself: it has a Gram matrix."""
        return self

    def room(self) -> int:
        """Return how many columns may be taken in at a time."""
        size = self.working.size
        if self.fit.design.sparse and self.fit.n_features > steering.MANY_COLUMNS:
            # A pass is cheap there, and crowded columns are dear.
            return max(steering.FIRST_ROUND // 2, size)
        more = (
            min(steering.GROWTH_SHARE * size, steering.GROWTH * self.fit.n_features / size)
            if size
            else steering.FIRST_ROUND
        )
        return max(16, int(more))

    def minimise(
        self,
        penalty: Regulariser,
        gradient: Vector,
        x: Vector,
        weights: Vector,
        lower: Vector,
        upper: Vector,
        tolerance: float,
        bend: Vector | None = None,
    ) -> bool:
        """Minimise ``x'(H + diag(bend))x/2 - q'x + norm(weights, x)`` over the box; all of shape (size,).

        ``penalty`` says whether the norm is that of coordinates or of groups.
        ``x`` and ``gradient`` (that of the quadratic part at x) are changed in place. Returns False
        if the bend made the problem visibly nonconvex; the point is then worthless.
        """
        if isinstance(penalty, Grouped):
            held = np.where(lower == upper, np.inf, weights)  # a group left out stays where it is
            return self._minimise_groups(penalty, gradient, x, held, tolerance, bend)
        size = x.size
        if self._scratch[0].shape[0] < size:
            room = min(2 * size, max(4096, size + size // 4), self.fit.n_features)
            self._scratch = self._kernel_scratch(max(size, room))
        L, free, work = self._scratch
        curvature = self.working.curvature
        epochs = steering.EPOCHS
        if bend is not None:
            curvature = curvature + bend
            epochs = steering.BENT_EPOCHS
        passes = minimise(
            self.working.gram, curvature, gradient, x, weights, lower, upper,
            size, tolerance, epochs, bend is not None, L, free, work,
        )  # fmt: skip
        return bool(passes != 0)

    def _minimise_groups(
        self, penalty: Grouped, gradient: Vector, x: Vector, weights: Vector, tolerance: float, bend: Any
    ) -> bool:
        """Alternate epochs of block descent and Newton steps on the groups that are not zero."""
        G = self.working.gram
        curvature = self.working.curvature if bend is None else self.working.curvature + bend
        bends = np.zeros(x.size) if bend is None else bend
        before = np.inf
        for _ in range(steering.GROUP_ROUNDS if bend is None else steering.BENT_EPOCHS):
            worst = group_epochs(
                G, curvature, bends, gradient, x, weights, penalty.members, penalty.starts, tolerance,
                steering.GROUP_EPOCHS,
            )  # fmt: skip
            if worst <= tolerance:
                return True
            sound = np.isfinite(worst) and self._group_newton(penalty, gradient, x, weights, curvature)
            if not sound and (bend is not None or worst > 0.5 * before):
                return bend is None
            before = worst
        return bend is None

    def _group_newton(
        self, penalty: Grouped, gradient: Vector, x: Vector, weights: Vector, curvature: Vector
    ) -> bool:
        """Take a safeguarded Newton step on the groups that are not zero; False where none helps."""
        sizes = penalty.sizes(x)
        free = np.flatnonzero((sizes > 0.0) & np.isfinite(weights))
        if not free.size:
            return True
        part, size, w, old = penalty.on(free), sizes[free], weights[free], x[free]
        direction = old / size
        hessian = np.zeros((free.size, free.size))
        face_hessian(self.working.gram, curvature, free, part.group, direction, w / size, hessian)
        try:
            step = -cho_solve(cho_factor(hessian, lower=True, overwrite_a=True, check_finite=False),
                              gradient[free] + w * direction, check_finite=False)  # fmt: skip
        except LinAlgError:
            return False
        image = np.zeros(x.size)
        add_rows(self.working.gram, curvature, free, step, image)
        slope, curve = float(gradient[free] @ step), float(step @ image[free])
        before = part.norm(w, old)
        t = 1.0
        while t > 1e-4:
            change = t * slope + 0.5 * t * t * curve + part.norm(w, old + t * step) - before
            if change <= 1e-15 * before:
                break
            t *= 0.5
        else:
            return False
        gradient += t * image
        x[free] = old + t * step
        return True

    def _kernel_scratch(self, size: int) -> tuple[Any, Any, Any]:
        """Return the scratch arrays of `kernels.gram_descent.minimise` for a problem of this size."""
        self._owner = Owner()
        lower = borrow(self._owner, (size, size + 8), np.float64)
        return lower, np.empty(size, dtype=np.intp), np.empty((4, size))
