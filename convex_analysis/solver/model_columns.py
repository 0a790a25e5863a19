"""The quadratic model of a data fit on sparse columns: residual descent, no Gram matrix, no copy of X."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike

from convex_analysis.datafit import DataFit
from convex_analysis.design import Indices
from convex_analysis.kernels.column_descent import column_curvature, minimise_on_columns
from convex_analysis.losses.loss import Vector
from convex_analysis.regulariser import Regulariser
from convex_analysis.solver.model_gram import BENT_EPOCHS, EPOCHS, GramModel

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem

# With fewer columns, or more entries than this in those that enter first, the moves on a Gram matrix are
# cheaper (the words that tell news20's classes apart are in thousands of rows: 0.3 of the time); with very
# many columns the Gram matrix of a large support would need more memory than X.
_FEWEST_COLUMNS = 500
_LEADING = 64
_LARGEST_COLUMN = 100
_LARGEST_SHARE = 1.0 / 200.0
_FIRST_ROUND = 64
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

    def exact(self, z: Vector) -> GramModel:
        """Return the same model with a Gram matrix, for a search that looks at all pairs of columns."""
        model = GramModel(self.fit)
        model.update(self.working.columns, z)
        return model

    def room(self) -> int:
        """Return how many columns may be taken in at a time."""
        return max(_FIRST_ROUND, self.working.size)

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
            EPOCHS if bend is None else BENT_EPOCHS, bend is not None,
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
    if problem.design.sparse and d > _FEWEST_COLUMNS and problem.regulariser.separable:
        leading = np.argpartition(-np.abs(problem.fit.gradient_at_zero), _LEADING)[:_LEADING]
        entries = float(np.mean(X.indptr[leading + 1] - X.indptr[leading]))
        if entries <= max(_LARGEST_COLUMN, _LARGEST_SHARE * d):
            return ColumnsModel(problem.fit)
    return GramModel(problem.fit, precision)
