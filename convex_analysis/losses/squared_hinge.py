"""Squared hinge loss of two-class classification: an l2 support vector machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from convex_analysis.losses.logistic import two_classes
from convex_analysis.losses.loss import Loss, Vector


@dataclass(frozen=True)
class SquaredHinge(Loss):
    """Squared hinge loss ``phi(z, y) = max(1 - y z, 0)^2 / 2``, labels in {-1, 1} (or {0, 1}, converted)."""

    name = "squared-hinge"

    def check_targets(self, y: Vector) -> Vector:
        """Accept two classes, -1 and 1 or 0 and 1; return them as -1 and 1."""
        return two_classes(y, "squared hinge")

    def value(self, z: Vector, y: Vector) -> Vector:
        """Squared hinge loss of each sample."""
        short = np.maximum(1.0 - y * z, 0.0)
        return 0.5 * short * short

    def derivative(self, z: Vector, y: Vector) -> Vector:
        """Return ``-y max(1 - y z, 0)``."""
        return -y * np.maximum(1.0 - y * z, 0.0)

    def second_derivative(self, z: Vector, y: Vector) -> Vector:
        """One where the margin is below one, zero elsewhere."""
        return (y * z < 1.0).astype(np.float64)

    def conjugate(self, v: Vector, y: Vector) -> Vector:
        """Conjugate ``t^2 / 2 - t`` of ``t = -v y >= 0``."""
        t = -v * y
        return np.where(t >= 0.0, 0.5 * t * t - t, np.inf)

    def expression(self, z: Any, y: Vector) -> Any:
        """Squared hinge losses in cvxpy."""
        import cvxpy

        return 0.5 * cvxpy.square(cvxpy.pos(1.0 - cvxpy.multiply(y, z)))
