"""Several responses with one X: the design ``I_k (x) X`` with an intercept a response, X stored once."""

from __future__ import annotations

import numpy as np

from convex_analysis.design import Design, Indices
from convex_analysis.losses.loss import Vector
from convex_analysis.threads import threads_for


class StackedDesign(Design):
    """Linear operator of the predictors of k responses, of shape (k n, k d + intercepts).

    Rows come response by response. So do the columns: coefficient (response r, feature j) is column
    ``r d + j``; then the intercepts of the first responses.

    Parameters
    ----------
    base
        The operator X, shape (n, d).
    responses
        Number of responses k.
    intercepts
        How many of the responses have a column of ones.
    scale
        Factor of each column, or None for ones.
    """

    def __init__(self, base: Design, responses: int, intercepts: int, scale: Vector | None = None) -> None:
        super().__init__(base.X, scale)
        self.base, self.responses, self.intercepts = base, responses, intercepts
        self.sparse = False  # its columns are taken from the base
        self.n_samples = responses * base.n_samples
        self.n_features = responses * base.n_features + intercepts
        self._product = self._double and isinstance(base.X, np.ndarray) and base.scale is None

    @property
    def n_entries(self) -> int:
        """Number of entries that one product reads."""
        return self.responses * self.base.n_entries

    @property
    def columns_are_cheap(self) -> bool:
        """Whether a product with some columns costs their share of one with all."""
        return self.base.columns_are_cheap

    def scaled(self, units: Vector) -> StackedDesign:
        """Return the design in coordinates ``x_j / units_j``."""
        return StackedDesign(self.base, self.responses, self.intercepts, self._times(units))

    def place(self, columns: Indices) -> tuple[Indices, Indices]:
        """Return the response and the feature of columns; the feature of an intercept is d."""
        d = self.base.n_features
        own = columns < self.responses * d
        response = np.where(own, columns // d, columns - self.responses * d)
        return response, np.where(own, columns % d, d)

    def unstacked(self, x: Vector) -> tuple[Vector, Vector]:
        """Return the coefficients, shape (k, d), and all k intercepts of a point."""
        coefficients = x[: x.size - self.intercepts].reshape(self.responses, -1)
        intercepts = np.zeros(self.responses)
        intercepts[: self.intercepts] = x[x.size - self.intercepts :]
        return coefficients, intercepts

    def matvec(self, x: Vector) -> Vector:
        """Return the predictors, shape (k n,)."""
        coefficients, intercepts = self.unstacked(x if self.scale is None else self.scale * x)
        if self._product and 2 * np.count_nonzero(coefficients) > coefficients.size:
            with threads_for(float(self.n_entries)):
                Z = coefficients @ self.X.T
        else:
            Z = np.array([self.base.matvec(row) for row in coefficients])
        result: Vector = (Z + intercepts[:, None]).ravel()
        return result

    def restricted_matvec(self, columns: Indices, values: Vector) -> Vector:
        """Return ``A[:, columns] @ values``."""
        x = np.zeros(self.n_features)
        x[columns] = values
        return self.matvec(x)

    def rmatvec(self, v: Vector) -> Vector:
        """Return ``A' v``."""
        V = v.reshape(self.responses, -1)
        if self._product:
            with threads_for(float(self.n_entries)):
                products = V @ self.X
        else:
            products = np.array([self.base.rmatvec(row) for row in V])
        result = np.concatenate([products.ravel(), V[: self.intercepts].sum(axis=1)])
        return result if self.scale is None else result * self.scale

    def restricted_rmatvec(self, columns: Indices, v: Vector) -> Vector:
        """Return ``A[:, columns]' v``."""
        V = v.reshape(self.responses, -1)
        result = np.empty(columns.size)
        response, feature = self.place(columns)
        for r in np.unique(response):
            here = np.flatnonzero((response == r) & (feature < self.base.n_features))
            result[here] = self.base.restricted_rmatvec(feature[here], V[r])
        constant = feature == self.base.n_features
        result[constant] = V.sum(axis=1)[response[constant]]
        return result if self.scale is None else result * self.scale[columns]

    def columns(self, columns: Indices) -> Vector:
        """Return ``A[:, columns]`` as a dense array, for a few columns."""
        taken = np.zeros((self.n_samples, columns.size), order="F")
        n = self.base.n_samples
        response, feature = self.place(columns)
        block = self.base_columns(feature)
        for i, r in enumerate(response):
            taken[r * n : (r + 1) * n, i] = block[:, i]
        return taken if self.scale is None else taken * self.scale[columns]

    def base_columns(self, feature: Indices) -> Vector:
        """Return columns of X, or of ones where the feature is d, as a dense array in Fortran order."""
        block = np.ones((self.base.n_samples, feature.size), order="F")
        own = np.flatnonzero(feature < self.base.n_features)
        block[:, own] = self.base.columns(feature[own])
        return block

    def largest_entries(self) -> Vector:
        """Return the largest size of an entry of each column."""
        largest = np.concatenate(
            [np.tile(self.base.largest_entries(), self.responses), np.ones(self.intercepts)]
        )
        return largest if self.scale is None else np.abs(self.scale) * largest

    def rmatvec_and_squared_norms(self, v: Vector, row_weights: Vector) -> tuple[Vector, Vector]:
        """Return ``A' v`` and the diagonal of ``A' diag(row_weights) A``."""
        V, H = v.reshape(self.responses, -1), row_weights.reshape(self.responses, -1)
        pairs = [self.base.rmatvec_and_squared_norms(*both) for both in zip(V, H)]
        of_ones = slice(self.intercepts)
        products = np.concatenate([pair[0] for pair in pairs] + [V[of_ones].sum(axis=1)])
        squares = np.concatenate([pair[1] for pair in pairs] + [H[of_ones].sum(axis=1)])
        if self.scale is None:
            return products, squares
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            return products * self.scale, squares * self.scale * self.scale
