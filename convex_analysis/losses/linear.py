"""Squared error, the loss of linear regression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from convex_analysis.losses.loss import Loss, Vector


@dataclass(frozen=True)
class Linear(Loss):
    """Half the squared error, ``phi(z, y) = (z - y)^2 / 2``."""

    name = "linear"
    unimodal_curvature = True
    quadratic = True

    def check_targets(self, y: Vector) -> Vector:
        """Any finite targets will do."""
        return y

    def value(self, z: Vector, y: Vector) -> Vector:
        """Half the squared residual of each sample."""
        residual = z - y
        return 0.5 * residual * residual

    def derivative(self, z: Vector, y: Vector) -> Vector:
        """Residual ``z - y``."""
        return z - y

    def second_derivative(self, z: Vector, y: Vector) -> Vector:
        """One everywhere."""
        return np.ones_like(z)

    def conjugate(self, v: Vector, y: Vector) -> Vector:
        """Conjugate ``v^2 / 2 + v y``."""
        return 0.5 * v * v + v * y

    def expression(self, z: Any, y: Vector) -> Any:
        """Half the squared residuals in cvxpy."""
        import cvxpy

        return 0.5 * cvxpy.square(z - y)
