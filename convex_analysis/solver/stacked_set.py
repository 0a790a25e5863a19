"""The working set of several responses: blocks of the Gram matrix, coupled where the loss couples them."""

from __future__ import annotations

import numpy as np

from convex_analysis.design import Indices
from convex_analysis.losses.loss import Vector
from convex_analysis.stacked_design import StackedDesign
from convex_analysis.threads import threads_for


class StackedSet:
    """Chosen columns of a `StackedDesign` and the model's Hessian on them; the interface of `WorkingSet`.

    The block of two responses k and l is ``X_W' diag(h_kl) X_W`` with ``h_kk = h_k - h_k^2 / h`` and
    ``h_kl = -h_k h_l / h``, h their sum, where the loss couples the responses; else ``h_kk = h_k`` alone.
    A feature is kept once, however many responses use it.

    Parameters
    ----------
    design
        The operator.
    coupled
        Whether the loss couples the responses.
    ridge
        Added to the diagonal, shape (n_features,), or None.
    """

    def __init__(self, design: StackedDesign, coupled: bool, ridge: Vector | None = None) -> None:
        self.design = design
        self.ridge = ridge
        self.coupled = coupled
        self.precision = np.dtype(np.float64)
        self.columns: Indices = np.empty(0, dtype=np.intp)
        self.position = np.full(self.design.n_features, -1, dtype=np.intp)
        self.gram = np.empty((0, 0))
        self.curvature: Vector = np.empty(0)
        self._features: Indices = np.empty(0, dtype=np.intp)
        self._block = np.empty((self.design.base.n_samples, 0), order="F")

    @property
    def size(self) -> int:
        """Number of columns."""
        return self.columns.size

    def add(self, columns: Indices, row_curvature: Vector, *, refresh: bool = False) -> None:
        """Add columns that are not there yet, and bring the matrix up to date, as `WorkingSet.add`."""
        first = 0 if refresh else self.size
        self.position[columns] = np.arange(self.size, self.size + columns.size)
        self.columns = np.concatenate([self.columns, columns])
        size, old = self.columns.size, self.gram
        self.gram = np.zeros((size, size))
        self.gram[:first, :first] = old[:first, :first]
        response, feature = self.design.place(self.columns)
        self._gather(feature)
        place = np.searchsorted(self._features, feature)
        members = [np.flatnonzero(response == r) for r in range(self.design.responses)]
        H = row_curvature.reshape(self.design.responses, -1)
        total = np.maximum(H.sum(axis=0), np.finfo(np.float64).tiny)
        for k, own in enumerate(members):
            new = own[own >= first]
            if not new.size:
                continue
            block = self._block[:, place[new]]
            for j, others in enumerate(members):
                if not others.size or (j != k and not self.coupled) or (refresh and j < k):
                    continue
                h = H[k]
                if self.coupled:  # h_k - h_k^2 / h without the loss of digits
                    h = h * (-H[j] if j != k else np.delete(H, k, axis=0).sum(axis=0)) / total
                with threads_for(float(block.shape[0]) * new.size * others.size):
                    product = (block * h[:, None]).T @ self._block[:, place[others]]
                self.gram[np.ix_(new, others)] = product
                self.gram[np.ix_(others, new)] = product.T
        if self.design.scale is not None:
            scale = self.design.scale[self.columns]
            self.gram[first:, :] *= scale[first:, None] * scale
            self.gram[:first, first:] = self.gram[first:, :first].T
        if self.ridge is not None:
            fresh = np.arange(first, size)
            self.gram[fresh, fresh] += self.ridge[self.columns[fresh]]
        self.curvature = self.gram.diagonal().copy()

    def keep(self, chosen: Indices) -> None:
        """Drop all but the columns at the given places (increasing)."""
        self.position[self.columns] = -1
        self.columns = self.columns[chosen]
        self.position[self.columns] = np.arange(self.size)
        self.gram = np.ascontiguousarray(self.gram[np.ix_(chosen, chosen)])
        self.curvature = self.gram.diagonal().copy()

    def double(self, row_curvature: Vector) -> None:
        """Do nothing: all is in float64."""

    def _gather(self, feature: Indices) -> None:
        """Keep the features that the columns use side by side, those that are there already copied."""
        wanted = np.unique(feature)
        if np.array_equal(wanted, self._features):
            return
        known = np.isin(wanted, self._features)
        block = np.empty((self.design.base.n_samples, wanted.size), order="F")
        block[:, known] = self._block[:, np.searchsorted(self._features, wanted[known])]
        block[:, ~known] = self.design.base_columns(wanted[~known])
        self._features, self._block = wanted, block
