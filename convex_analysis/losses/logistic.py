"""Logistic loss of two-class classification."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from convex_analysis.losses.loss import Loss, Margins, Vector


def _entropy_term(t: Vector) -> Vector:
    """Return ``t log t`` with its limit 0 at 0 and below."""
    return t * np.log(np.where(t > 0, t, 1.0))


def two_classes(y: Vector, loss: str) -> Vector:
    """Return labels -1 and 1, from those or from 0 and 1.

    Raises
    ------
    ValueError
        If there are others.
    """
    labels = np.unique(y)
    if np.isin(labels, (-1.0, 1.0)).all():
        return y
    if np.isin(labels, (0.0, 1.0)).all():
        return 2.0 * y - 1.0
    shown = ", ".join(f"{label:g}" for label in labels[:5]) + (", ..." if labels.size > 5 else "")
    raise ValueError(
        f"The {loss} loss needs labels -1 and 1, or 0 and 1; y holds {shown}. Recode y to two classes."
    )


@dataclass(frozen=True)
class Logistic(Loss):
    """Logistic loss ``phi(z, y) = log(1 + exp(-y z))``, labels in {-1, 1} (or {0, 1}, converted)."""

    name = "logistic"
    unimodal_curvature = True
    endless = "the labels are separated by these features"

    def check_targets(self, y: Vector) -> Vector:
        """Accept two classes, -1 and 1 or 0 and 1; return them as -1 and 1."""
        return two_classes(y, "logistic")

    def margins(self, y: Vector) -> Margins:
        """Return ``y z``."""
        return Margins(np.arange(y.size), y)

    def value(self, z: Vector, y: Vector) -> Vector:
        """Logistic loss of each sample, without overflow."""
        margin = y * z
        return np.log1p(np.exp(-np.abs(margin))) - np.minimum(margin, 0.0)

    def derivative(self, z: Vector, y: Vector) -> Vector:
        """Return the derivative ``-y / (1 + exp(y z))``."""
        return -y * self._probability_of_error(y * z)

    def second_derivative(self, z: Vector, y: Vector) -> Vector:
        """Second derivative ``s(z) (1 - s(z))`` with s the sigmoid."""
        e = np.exp(-np.abs(z))
        return e / (1.0 + e) ** 2

    def conjugate(self, v: Vector, y: Vector) -> Vector:
        """Negative entropy ``t log t + (1 - t) log(1 - t)`` of ``t = -v y`` in [0, 1]."""
        t = -v * y
        # log1p keeps the digits of a small t that 1 - t has lost: dual values of confident fits need them.
        rest = (1.0 - t) * np.log1p(np.where(t < 1.0, -t, 0.0))
        value = _entropy_term(t) + rest
        return np.where((t >= 0) & (t <= 1), value, np.inf)

    def expression(self, z: Any, y: Vector) -> Any:
        """Logistic losses in cvxpy."""
        import cvxpy

        return cvxpy.logistic(cvxpy.multiply(-y, z))

    def mean(self, z: Vector) -> Vector:
        """Return the probability of the label 1."""
        return self._probability_of_error(-z)

    @property
    def smoothness(self) -> float:
        """One quarter."""
        return 0.25

    @staticmethod
    def _probability_of_error(margin: Vector) -> Vector:
        e = np.exp(-np.abs(margin))
        return np.where(margin > 0, e, 1.0) / (1.0 + e)
