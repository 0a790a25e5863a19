"""The design operator ``A = X diag(scale)``: products and columns, dense or sparse, X never copied."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convex_analysis.losses.loss import Vector

Indices = NDArray[np.intp]

# Columns converted to float64 at a time when X is float32: a block that stays in the second-level cache.
_BLOCK_BYTES = 1 << 20


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
    Every product is computed in float64, also where X is stored in float32.
    """

    def __init__(self, X: Any, scale: Vector | None = None) -> None:
        self.X = X
        self.scale = scale
        self.sparse = not isinstance(X, np.ndarray)
        self.n_samples: int = X.shape[0]
        self.n_features: int = X.shape[1]
        self._double = X.dtype == np.float64

    def matvec(self, x: Vector) -> Vector:
        """Return ``A x``, shape (n_samples,); only the columns where x is not zero are read."""
        support = np.flatnonzero(x)
        if 4 * support.size <= x.size or not (self._double or self.sparse):
            return self.restricted_matvec(support, x[support])
        scaled = x if self.scale is None else self.scale * x
        result: Vector = self.X @ scaled
        return result

    def restricted_matvec(self, columns: Indices, values: Vector) -> Vector:
        """Return ``A[:, columns] @ values``, shape (n_samples,)."""
        if self.scale is not None:
            values = self.scale[columns] * values
        if self.sparse:
            full = np.zeros(self.n_features)
            full[columns] = values
            product: Vector = self.X @ full
            return product
        result = np.zeros(self.n_samples)
        for part in self._parts(columns.size):
            result += self.X[:, columns[part]].astype(np.float64, copy=False) @ values[part]
        return result

    def rmatvec(self, v: Vector) -> Vector:
        """Return ``A' v``, shape (n_features,)."""
        if self._double or self.sparse:
            result: Vector = self.X.T @ v
        else:
            result = np.empty(self.n_features)
            for part in self._parts(self.n_features):
                result[part] = v @ self.X[:, part].astype(np.float64)
        return result if self.scale is None else self.scale * result

    def columns(self, columns: Indices) -> Any:
        """Return ``A[:, columns]`` in float64: a Fortran-ordered array, or a CSC matrix if X is sparse."""
        if self.sparse:
            block = self.X[:, columns].astype(np.float64)
            if self.scale is not None:
                block.data *= np.repeat(self.scale[columns], np.diff(block.indptr))
            return block
        taken = np.empty((self.n_samples, columns.size), order="F")
        taken[...] = self.X[:, columns]
        if self.scale is not None:
            taken *= self.scale[columns]
        return taken

    def squared_norms(self, row_weights: Vector) -> Vector:
        """Return the diagonal of ``A' diag(row_weights) A``, shape (n_features,)."""
        if self.sparse:
            squared = self.X.copy()
            squared.data = squared.data.astype(np.float64) ** 2
            result: Vector = squared.T @ row_weights
        else:
            result = np.empty(self.n_features)
            for part in self._parts(self.n_features):
                block = self.X[:, part].astype(np.float64, copy=False)
                result[part] = np.einsum("ij,ij,i->j", block, block, row_weights)
        return result if self.scale is None else self.scale**2 * result

    def _parts(self, n_columns: int) -> list[slice]:
        width = max(1, _BLOCK_BYTES // (8 * self.n_samples))
        return [slice(i, min(i + width, n_columns)) for i in range(0, n_columns, width)]
