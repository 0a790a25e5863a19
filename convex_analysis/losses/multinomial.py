"""Multinomial logistic loss: one linear predictor a class, coupled by the softmax."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import softmax

from convex_analysis.losses.loss import Loss, Margins, Vector

# A dual point counts as one whose classes sum to zero within this, relative to its size.
_BALANCED = 1e-12


@dataclass(frozen=True)
class Multinomial(Loss):
    """Cross-entropy ``-sum_k y_k log softmax(z)_k`` of k classes: of `MultiResponseProblem` alone.

    Predictors and targets have shape (k n,): all samples of the first class, then of the second, and so on;
    targets are 0 or 1 with one 1 a sample. The loss of a sample stands with the row of its own class. The
    curvature is the softmax p itself: the Hessian of a sample is ``diag(p) - p p'``.

    Parameters
    ----------
    responses
        Number of classes k.
    """

    responses: int

    name = "multinomial"
    endless = "classes are separated by these features"

    def check_targets(self, y: Vector) -> Vector:
        """Accept targets 0 and 1 with one 1 a sample."""
        if not (np.isin(y, (0.0, 1.0)).all() and (self._by_class(y).sum(axis=0) == 1.0).all()):
            raise ValueError("The multinomial loss needs targets 0 and 1, with a single 1 in each sample.")
        return y

    def margins(self, y: Vector) -> Margins:
        """Return ``z_own - z_k`` of each sample and each other class k."""
        place = np.arange(y.size).reshape(self.responses, -1)
        own = place[self._by_class(y).argmax(axis=0), np.arange(place.shape[1])]
        others = place[self._by_class(y) == 0.0]
        rows = own[others % place.shape[1]]
        return Margins(rows, np.ones(rows.size), others)

    def _by_class(self, z: Vector) -> Vector:
        return z.reshape(self.responses, -1)

    def _odds(self, z: Vector, y: Vector) -> tuple[Vector, Vector, Vector]:
        """Return m, ``exp(-m)`` and the other classes' ``exp(z_k - z_own - m)``, 0 in the own row.

        Of each sample m is its largest ``z_k - z_own``: nothing overflows, and no digit of a loss near zero
        is lost, as it would be in ``1 - p``.
        """
        Y, Z = self._by_class(y), self._by_class(z)
        ahead = Z - (Y * Z).sum(axis=0)
        m = ahead.max(axis=0)
        return m, np.exp(-m), np.where(Y == 1.0, 0.0, np.exp(ahead - m))

    def value(self, z: Vector, y: Vector) -> Vector:
        """Cross-entropy of each sample, in the row of its class; 0 in the other rows."""
        m, own, others = self._odds(z, y)
        rest = others.sum(axis=0)
        losses = np.where(m == 0.0, np.log1p(rest), m + np.log(own + rest))
        of_rows: Vector = (self._by_class(y) * losses).ravel()
        return of_rows

    def mean(self, z: Vector) -> Vector:
        """Return the probabilities, of the shape of z."""
        p: Vector = softmax(self._by_class(z), axis=0).ravel()
        return p

    def derivative(self, z: Vector, y: Vector) -> Vector:
        """Return ``softmax(z) - y``."""
        _, own, others = self._odds(z, y)
        rest = others.sum(axis=0)
        slopes: Vector = ((others - self._by_class(y) * rest) / (own + rest)).ravel()
        return slopes

    def second_derivative(self, z: Vector, y: Vector) -> Vector:
        """Return ``p (1 - p)``, the diagonal of the Hessian."""
        slopes = np.abs(self.derivative(z, y))
        return slopes * (1.0 - slopes)

    def curvature(self, z: Vector, y: Vector) -> Vector:
        """Return the softmax p, from which `DataFit.hessian_product` has the Hessian ``diag(p) - p p'``."""
        return self.mean(z)

    def conjugate(self, v: Vector, y: Vector) -> Vector:
        """Negative entropy ``t log t`` of ``t = v + y``, where each sample's t is a point of the simplex."""
        t = v + y
        V = self._by_class(v)
        balanced = np.abs(V.sum(axis=0)) <= _BALANCED * (1.0 + np.abs(V).sum(axis=0))
        inside = (t >= -1e-14) & np.tile(balanced, self.responses)
        t = np.maximum(t, 0.0)
        return np.where(inside, t * np.log(np.where(t > 0.0, t, 1.0)), np.inf)

    def expression(self, z: Any, y: Vector) -> Any:
        """Cross-entropies in cvxpy."""
        import cvxpy

        Z = cvxpy.reshape(z, (y.size // self.responses, self.responses), order="F")
        total = cvxpy.log_sum_exp(Z, axis=1)
        return cvxpy.multiply(y, cvxpy.hstack([total] * self.responses) - z)
