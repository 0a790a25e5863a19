"""Features in units in which each has standard deviation one, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from convex_analysis.losses.loss import Vector


@dataclass(frozen=True)
class StandardUnits:
    """Mean that is taken away and deviation that is divided by, shape (n_features,) each.

    Means are kept (zero here) where X is sparse or no intercept could take them up.
    """

    mean: Vector
    deviation: Vector

    @classmethod
    def of(cls, X: Any, fit_intercept: bool) -> Self:
        """Return the units of the columns of X; a constant column keeps its own."""
        sparse = not isinstance(X, np.ndarray)
        mean = np.asarray(X.mean(axis=0), dtype=np.float64).ravel()
        if sparse:
            square = np.asarray(X.multiply(X).mean(axis=0), dtype=np.float64).ravel()
            deviation = np.sqrt(np.maximum(square - mean**2, 0.0))
        else:
            deviation = X.std(axis=0, dtype=np.float64)
        deviation = np.where(deviation > 1e-12 * np.abs(mean), deviation, 1.0)
        return cls(np.zeros_like(mean) if sparse or not fit_intercept else mean, deviation)

    def scaled(self, X: Any) -> Any:
        """Return X in these units."""
        if isinstance(X, np.ndarray):
            return np.asfortranarray((X - self.mean) / self.deviation)
        from scipy import sparse

        return sparse.csc_matrix(X @ sparse.diags(1.0 / self.deviation))

    def back(self, x: Vector, intercept: float) -> tuple[Vector, float]:
        """Return coefficients and intercept for features in their own units."""
        own: Vector = x / self.deviation
        return own, float(intercept - own @ self.mean)
