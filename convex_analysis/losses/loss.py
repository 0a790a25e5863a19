"""What a loss must tell the solvers: values, derivatives, conjugate, labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


class Margins(NamedTuple):
    """Combinations ``sign z[rows] - z[others]`` of predictors; ``others`` may be missing."""

    rows: NDArray[np.intp]
    sign: Vector
    others: NDArray[np.intp] | None = None

    def of(self, z: Vector) -> Vector:
        """Return the margins of predictors, shape (n_rows,) or one column a vector of them."""
        own: Vector = (self.sign * z[self.rows].T).T
        return own if self.others is None else own - z[self.others]


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
    """Where losses fall for ever, what then holds of the data, in words (see `margins`)."""

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

    def margins(self, y: Vector) -> Margins:
        """Return what a sample's loss falls with for ever, like ``exp(-m)`` as a margin m grows.

        A predictor in none of them has a finite minimiser, and its loss rises without limit on both sides:
        by default all.
        """
        return Margins(np.empty(0, dtype=np.intp), np.empty(0))

    @property
    def smoothness(self) -> float:
        """Least upper bound of the second derivative, inf where there is none."""
        return 1.0

    def mean(self, z: Vector) -> Vector:
        """Return the prediction, the inverse of the link at z: z itself by default."""
        return z

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"
