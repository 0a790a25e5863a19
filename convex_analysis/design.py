"""The design operator ``A = X diag(scale)``: products and columns, dense or sparse, X never copied."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convex_analysis import steering
from convex_analysis.kernels import products
from convex_analysis.losses.loss import Vector
from convex_analysis.threads import threads_for

Indices = NDArray[np.intp]


class Design:
    """Linear operator ``A = X diag(scale)`` of shape (n_samples, n_features).

    Parameters
    ----------
    X
        Dense array (C or Fortran order) or scipy CSC matrix, float32 or float64; kept, not copied.
    scale
        Factor of each column, shape (n_features,), or None for ones.

    Notes
    -----
    Every product is accumulated in float64, also where X is stored in float32.
    """

    intercepts = 0
    """How many of the last columns are intercepts of their own responses."""

    def __init__(self, X: Any, scale: Vector | None = None) -> None:
        self.X = X
        self.scale = scale
        self.sparse = not isinstance(X, np.ndarray)
        self.n_samples: int = X.shape[0]
        self.n_features: int = X.shape[1]
        self._double = X.dtype == np.float64
        self._by_columns = not self.sparse and bool(X.flags.f_contiguous)

    def scaled(self, units: Vector) -> Design:
        """Return the design in coordinates ``x_j / units_j``."""
        return Design(self.X, self._times(units))

    def _times(self, units: Vector) -> Vector:
        return units if self.scale is None else self.scale * units

    def matvec(self, x: Vector) -> Vector:
        """Return ``A x``, shape (n_samples,); only the columns where x is not zero are read."""
        support = np.flatnonzero(x)
        if not self.sparse and self._double and 2 * support.size > x.size:
            scaled = x if self.scale is None else self.scale * x
            with threads_for(steering.MEMORY * self.X.size):
                result: Vector = self.X @ scaled
            return result
        return self.restricted_matvec(support, x[support])

    def restricted_matvec(self, columns: Indices, values: Vector) -> Vector:
        """Return ``A[:, columns] @ values``, shape (n_samples,)."""
        if self.scale is not None:
            values = self.scale[columns] * values
        out = np.zeros(self.n_samples)
        X = self.X
        if self.sparse:
            products.sparse_add_columns(X.data, X.indices, X.indptr, columns, values, out)
        elif self._by_columns:
            products.add_columns(X, columns, values, out)
        else:
            products.add_from_rows(X, columns, values, out)
        return out

    def rmatvec(self, v: Vector) -> Vector:
        """Return ``A' v``, shape (n_features,)."""
        X = self.X
        if self._double and not self.sparse and not (self._by_columns and self.n_samples <= steering.SHORT):
            with threads_for(steering.MEMORY * X.size):
                result: Vector = X.T @ v
        else:
            result = np.empty(self.n_features)
            if self.sparse:
                products.sparse_dot_columns(X.data, X.indices, X.indptr, v, result)
            elif self._by_columns:
                products.dot_columns(X, v, result)
            else:
                products.dot_rows(X, v, result)
        if self.scale is not None:
            result *= self.scale
        return result

    @property
    def n_entries(self) -> int:
        """Number of stored entries of X: what one pass over X costs."""
        return int(self.X.nnz if self.sparse else self.X.size)

    @property
    def columns_are_cheap(self) -> bool:
        """Whether a product with some columns costs their share of one with all: not for rows in C order."""
        return self.sparse or self._by_columns

    def restricted_rmatvec(self, columns: Indices, v: Vector) -> Vector:
        """Return ``A[:, columns]' v``, shape (len(columns),)."""
        X = self.X
        result = np.empty(columns.size)
        if self.sparse:
            products.sparse_dot_chosen_columns(X.data, X.indices, X.indptr, columns, v, result)
        elif self._by_columns:
            products.dot_chosen_columns(X, columns, v, result)
        else:
            products.dot_rows(X[:, columns], v, result)
        if self.scale is not None:
            result *= self.scale[columns]
        return result

    def columns(self, columns: Indices) -> NDArray[np.float64]:
        """Return ``A[:, columns]`` as a dense float64 array in Fortran order, for a few columns."""
        taken = np.empty((self.n_samples, columns.size), order="F")
        taken[...] = self.X[:, columns].toarray() if self.sparse else self.X[:, columns]
        if self.scale is not None:
            taken *= self.scale[columns]
        return taken

    def largest_entries(self) -> Vector:
        """Return the largest size of an entry of each column of A, shape (n_features,)."""
        if self.sparse:
            filled = np.diff(self.X.indptr) > 0
            result = np.zeros(self.n_features)
            if filled.any():
                starts = self.X.indptr[:-1][filled]
                result[filled] = np.maximum.reduceat(np.abs(self.X.data), starts)
        else:
            highest, lowest = self.X.max(axis=0), self.X.min(axis=0)
            result = np.maximum(highest.astype(np.float64), -lowest.astype(np.float64))
        return result if self.scale is None else np.abs(self.scale) * result

    def rmatvec_and_squared_norms(self, v: Vector, row_weights: Vector) -> tuple[Vector, Vector]:
        """Return ``A' v`` and the diagonal of ``A' diag(row_weights) A``, in one pass over X.

        Entries that overflow or vanish are left so (inf, NaN or 0): the caller looks at them.
        """
        X = self.X
        scale = np.ones(self.n_features) if self.scale is None else self.scale
        result, squares = np.empty(self.n_features), np.empty(self.n_features)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            if self.sparse:
                products.sparse_dot_columns_and_squares(
                    X.data, X.indices, X.indptr, scale, v, row_weights, result, squares
                )
            else:
                products.dot_columns_and_squares(X, scale, v, row_weights, self._by_columns, result, squares)
        return result, squares
