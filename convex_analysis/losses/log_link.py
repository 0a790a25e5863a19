"""Losses with a logarithmic link: Poisson for counts, gamma for positive quantities."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from convex_analysis.losses.loss import Loss, Margins, Vector


class LogLink(Loss):
    """A loss whose predictor is the logarithm of the mean."""

    smallest: ClassVar[str]

    @property
    def smoothness(self) -> float:
        """No bound: the second derivative grows like an exponential."""
        return np.inf

    def mean(self, z: Vector) -> Vector:
        """Return ``exp(z)``."""
        return np.exp(z)

    def check_targets(self, y: Vector) -> Vector:
        """Refuse targets that the distribution does not have."""
        wrong = np.flatnonzero(~self._possible(y))
        if wrong.size:
            raise ValueError(
                f"The {self.name} loss needs targets {self.smallest}, got {y[wrong[0]]:g} (row {wrong[0]})."
            )
        return y

    @abstractmethod
    def _possible(self, y: Vector) -> Any:
        """Say which targets the distribution has."""


@dataclass(frozen=True)
class Poisson(LogLink):
    """Poisson loss ``phi(z, y) = exp(z) - y z``, the deviance of counts up to a constant."""

    name = "poisson"
    unimodal_curvature = True
    smallest = "that are not negative"
    endless = "in some direction of these features all counts are zero"

    def _possible(self, y: Vector) -> Any:
        return y >= 0.0

    def margins(self, y: Vector) -> Margins:
        """Return ``-z`` of counts of zero."""
        rows = np.flatnonzero(y == 0.0)
        return Margins(rows, np.full(rows.size, -1.0))

    def value(self, z: Vector, y: Vector) -> Vector:
        """Poisson loss of each sample."""
        return np.exp(z) - y * z

    def derivative(self, z: Vector, y: Vector) -> Vector:
        """Return ``exp(z) - y``."""
        return np.exp(z) - y

    def second_derivative(self, z: Vector, y: Vector) -> Vector:
        """Return ``exp(z)``."""
        return np.exp(z)

    def conjugate(self, v: Vector, y: Vector) -> Vector:
        """Conjugate ``t log t - t`` of the mean ``t = v + y >= 0``."""
        t = v + y
        # A mean of zero may come out as a rounding below it.
        inside = t >= -1e-14 * np.abs(y)
        t = np.maximum(t, 0.0)
        return np.where(inside, t * np.log(np.where(t > 0.0, t, 1.0)) - t, np.inf)

    def expression(self, z: Any, y: Vector) -> Any:
        """Poisson losses in cvxpy."""
        import cvxpy

        return cvxpy.exp(z) - cvxpy.multiply(y, z)


@dataclass(frozen=True)
class Gamma(LogLink):
    """Gamma loss ``phi(z, y) = z + y exp(-z)``, half the deviance up to a constant."""

    name = "gamma"
    unimodal_curvature = True
    smallest = "above zero"

    def _possible(self, y: Vector) -> Any:
        return y > 0.0

    def value(self, z: Vector, y: Vector) -> Vector:
        """Gamma loss of each sample."""
        return z + y * np.exp(-z)

    def derivative(self, z: Vector, y: Vector) -> Vector:
        """Return ``1 - y exp(-z)``."""
        return 1.0 - y * np.exp(-z)

    def second_derivative(self, z: Vector, y: Vector) -> Vector:
        """Return ``y exp(-z)``."""
        return y * np.exp(-z)

    def conjugate(self, v: Vector, y: Vector) -> Vector:
        """Conjugate ``t log(t / y) - t`` of ``t = 1 - v >= 0``."""
        t = 1.0 - v
        inside = t >= -1e-14
        t = np.maximum(t, 0.0)
        return np.where(inside, t * np.log(np.where(t > 0.0, t, 1.0) / y) - t, np.inf)

    def expression(self, z: Any, y: Vector) -> Any:
        """Gamma losses in cvxpy."""
        import cvxpy

        return z + cvxpy.multiply(y, cvxpy.exp(-z))
