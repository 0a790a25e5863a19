"""The quadratic model of a data fit on sparse columns: residual descent, no Gram matrix, no copy of X."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike

from convex_analysis import steering
from convex_analysis.datafit import DataFit
from convex_analysis.design import Indices
from convex_analysis.kernels.column_descent import column_curvature, minimise_on_columns
from convex_analysis.losses.loss import Vector
from convex_analysis.regulariser import Regulariser
from convex_analysis.solver.model_gram import GramModel

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem

_CONSTANT = 1e-13  # a column whose centred square is below this share of its square is constant


class SparseColumns:
    """Chosen columns, in the order in which they came.

    Attributes
    ----------
    columns
        Their indices, shape (size,).
    position
        Place of each column of the design among them, -1 of the others, shape (n_features,).
    curvature, means
        Diagonal of the model's Hessian, and ``A'h``; shape (size,).
    """

    def __init__(self, n_features: int) -> None:
        self.columns: Indices = np.empty(0, dtype=np.intp)
        self.position = np.full(n_features, -1, dtype=np.intp)
        self.curvature: Vector = np.empty(0)
        self.means: Vector = np.empty(0)

    @property
    def size(self) -> int:
        """Number of columns."""
        return self.columns.size

    def add(self, new: Indices, curvature: Vector, means: Vector) -> None:
        """Append columns."""
        self.position[new] = np.arange(self.size, self.size + new.size)
        self.columns = np.concatenate([self.columns, new])
        self.curvature = np.concatenate([self.curvature, curvature])
        self.means = np.concatenate([self.means, means])

    def keep(self, chosen: Indices) -> None:
        """Drop all but the columns at the given places (increasing)."""
        self.position[self.columns] = -1
        self.columns, self.curvature = self.columns[chosen], self.curvature[chosen]
        self.means = self.means[chosen]
        self.position[self.columns] = np.arange(self.size)


class ColumnsModel:
    """Second-order model of a data fit on sparse working columns; the interface is that of `GramModel`.

    Parameters
    ----------
    fit
        The data fit, X in CSC form.

    Attributes
    ----------
    working
        The columns.
    """

    def __init__(self, fit: DataFit) -> None:
        self.fit = fit
        self.working = SparseColumns(fit.n_features)
        self._rows: Vector = np.empty(0)
        self._mass = 0.0

    def update(self, new: Indices, z: Vector) -> None:
        """Take in new columns, and make the model at predictors z."""
        if not (self.fit.quadratic and self._rows.size):
            self._rows = self.fit.row_curvature(z)
            total = float(self._rows.sum()) if self.fit.fit_intercept else 0.0
            self._mass = max(total, np.finfo(np.float64).tiny) if self.fit.fit_intercept else 0.0
        working = self.working
        if not self.fit.quadratic and working.size:
            working.curvature, working.means = self._curvature(working.columns)
        if new.size:
            working.add(new, *self._curvature(new))

    def refine(self, z: Vector) -> bool:
        """Say that there is nothing more exact: all is in float64."""
        return False

    def exact(self, z: Vector) -> GramModel | None:
        """Return the same model with a Gram matrix, for a search that looks at all pairs of columns.

        None where there are so many that it would take more memory, and time, than all else.
        """
        if 8 * self.working.size**2 > steering.KEPT_BYTES:
            return None
        model = GramModel(self.fit)
        model.update(self.working.columns, z)
        return model

    def room(self) -> int:
        """Return how many columns may be taken in at a time."""
        return max(steering.FIRST_ROUND, self.working.size)

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
        """Minimise the model plus the weighted norm over the box, as `GramModel.minimise`."""
        X, columns = self.fit.design.X, self.working.columns
        added = np.zeros(x.size) if self.fit.ridge is None else self.fit.ridge[columns]
        curvature = self.working.curvature
        if bend is not None:
            added, curvature = added + bend, curvature + bend
        passes = minimise_on_columns(
            X.data, X.indices, X.indptr, columns, self._scale(columns), self._rows, self._mass,
            self.working.means, added, curvature, gradient, x, weights, lower, upper, tolerance,
            steering.EPOCHS if bend is None else steering.BENT_EPOCHS, bend is not None,
        )  # fmt: skip
        return bool(passes != 0)

    def _scale(self, columns: Indices) -> Vector:
        scale = self.fit.design.scale
        return np.ones(columns.size) if scale is None else scale[columns]

    def _curvature(self, columns: Indices) -> tuple[Vector, Vector]:
        X = self.fit.design.X
        squares, means = np.empty(columns.size), np.empty(columns.size)
        column_curvature(
            X.data, X.indices, X.indptr, columns, self._scale(columns), self._rows, squares, means
        )
        if self._mass > 0.0:
            centred = squares - means * means / self._mass
            squares = np.where(centred > _CONSTANT * squares, centred, 0.0)
        return (squares if self.fit.ridge is None else squares + self.fit.ridge[columns]), means


Model = GramModel | ColumnsModel


def model_for(problem: Problem, precision: DTypeLike = np.float32) -> Model:
    """Return the model whose moves cost least: on columns where these are many, sparse and single."""
    X, d = problem.design.X, problem.n_features
    if problem.design.sparse and d > steering.MANY_COLUMNS and problem.regulariser.separable:
        leading = np.argpartition(-np.abs(problem.fit.gradient_at_zero), steering.FIRST_ROUND)[
            : steering.FIRST_ROUND
        ]
        entries = float(np.mean(X.indptr[leading + 1] - X.indptr[leading]))
        if entries <= max(steering.LARGEST_COLUMN, steering.LARGEST_COLUMN_SHARE * d):
            return ColumnsModel(problem.fit)
    return GramModel(problem.fit, precision)
