"""What a loss must tell the solvers: values, derivatives, conjugate, labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


class Loss(ABC):
    """A smooth convex loss ``phi(z, y)`` of a linear predictor ``z``, summed over samples with weights.

    A subclass in one file suffices to add a loss: every solver, the duality gap and the
    cvxpy reference use only these methods. All arrays are float64 of shape (n_samples,).
    """

    name: str
    quadratic: bool = False
    """True where ``second_derivative`` is 1 everywhere: the Gram matrix then never changes."""
    responses: int = 1
    """Number of linear predictors of a sample that the loss couples."""
    unimodal_curvature: bool = False
    """True where ``second_derivative`` rises, then falls (or does only one of them) as z grows: T12 holds."""

    endless = ""
    """Where losses fall for ever, what then holds of the data, in words (see `endless_side`)."""

    @abstractmethod
    def check_targets(self, y: Vector) -> Vector:
        """Return the targets as the loss wants them, or raise a ValueError that says what is wrong."""

    @abstractmethod
    def value(self, z: Vector, y: Vector) -> Vector:
        """Loss of each sample."""

    @abstractmethod
    def derivative(self, z: Vector, y: Vector) -> Vector:
        """Return the derivative of each sample's loss in ``z``."""

    @abstractmethod
    def second_derivative(self, z: Vector, y: Vector) -> Vector:
        """Second derivative of each sample's loss in ``z`` (a generalised one at kinks)."""

    @abstractmethod
    def conjugate(self, v: Vector, y: Vector) -> Vector:
        """Convex conjugate ``sup_z v z - phi(z, y)`` of each sample; inf outside its domain."""

    @abstractmethod
    def expression(self, z: Any, y: Vector) -> Any:
        """Vector of the samples' losses as a cvxpy expression (cvxpy is imported here, lazily)."""

    def curvature(self, z: Vector, y: Vector) -> Vector:
        """Positive curvature of the quadratic model used at ``z``; the second derivative by default."""
        return self.second_derivative(z, y)

    def endless_side(self, y: Vector) -> Vector:
        """Return the sign of z towards which each sample's loss falls for ever, like ``exp(-|z|)``.

        Zero where it has a minimum in z and rises without limit on both sides: the default.
        """
        return np.zeros_like(y)

    @property
    def smoothness(self) -> float:
        """Least upper bound of the second derivative, inf where there is none."""
        return 1.0

    def mean(self, z: Vector) -> Vector:
        """Return the prediction, the inverse of the link at z: z itself by default."""
        return z

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"
