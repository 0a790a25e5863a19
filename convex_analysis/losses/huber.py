"""Huber's loss: squared near zero, linear in the tails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from convex_analysis.losses.loss import Loss, Vector


@dataclass(frozen=True)
class Huber(Loss):
    """Huber's loss of the residual ``e = z - y``.

    ``e^2 / 2`` up to ``|e| = delta``, ``delta |e| - delta^2 / 2`` beyond.

    Parameters
    ----------
    delta
        Residual, in units of y, at which the loss turns from quadratic to linear; positive.
    """

    delta: float = 1.0
    name = "huber"
    unimodal_curvature = True

    def __post_init__(self) -> None:
        if not (np.isfinite(self.delta) and self.delta > 0):
            raise ValueError(f"Huber's delta must be a positive finite number, got {self.delta!r}.")

    def check_targets(self, y: Vector) -> Vector:
        """Any finite targets will do."""
        return y

    def value(self, z: Vector, y: Vector) -> Vector:
        """Huber's loss of each residual."""
        size = np.abs(z - y)
        inside = np.minimum(size, self.delta)
        return inside * (size - 0.5 * inside)

    def derivative(self, z: Vector, y: Vector) -> Vector:
        """Residual clipped to [-delta, delta]."""
        return np.clip(z - y, -self.delta, self.delta)

    def second_derivative(self, z: Vector, y: Vector) -> Vector:
        """One where the residual is at most delta in size, zero elsewhere."""
        return (np.abs(z - y) <= self.delta).astype(np.float64)

    def curvature(self, z: Vector, y: Vector) -> Vector:
        """Curvature of the tangent parabola: 1 inside, ``delta / |e|`` outside (never zero)."""
        return self.delta / np.maximum(np.abs(z - y), self.delta)

    def conjugate(self, v: Vector, y: Vector) -> Vector:
        """Conjugate ``v^2 / 2 + v y`` for ``|v| <= delta``."""
        # A derivative clipped to delta may exceed it by one rounding after rescaling.
        inside = np.abs(v) <= self.delta * (1.0 + 1e-12)
        return np.where(inside, 0.5 * v * v + v * y, np.inf)

    def expression(self, z: Any, y: Vector) -> Any:
        """Huber losses in cvxpy."""
        import cvxpy

        return 0.5 * cvxpy.huber(z - y, self.delta)
