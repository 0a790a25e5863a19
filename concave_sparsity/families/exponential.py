"""The exponential penalty."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from concave_sparsity.arrays import Array, Namespace
from concave_sparsity.families.family import ConvexSlopeFamily
from concave_sparsity.families.shift import exponential_shift
from concave_sparsity.parameters import positive, store


@dataclass(frozen=True)
class Exponential(ConvexSlopeFamily):
    """The exponential penalty r(t) = (1 - exp(-t/eps)) / (1 - exp(-1/eps)).

    Parameters
    ----------
    eps : float, default 0.1
        Width, in the unit of t.

    References
    ----------
    Bradley, Mangasarian (1998), Feature selection via concave minimization and support vector machines.
    """

    eps: float = 0.1

    name: ClassVar[str] = "exponential"

    def __post_init__(self) -> None:
        store(self, eps=positive(self.eps, "Exponential: eps"))

    @property
    def _norm(self) -> float:
        return -math.expm1(-1.0 / self.eps)

    def _value(self, t: Array, xp: Namespace) -> Array:
        return xp.expm1(t / -self.eps) / -self._norm

    def _derivative(self, t: Array, xp: Namespace) -> Array:
        return self.slope_at_zero * xp.exp(t / -self.eps)

    def _second_derivative(self, t: Array, xp: Namespace) -> Array:
        return self._derivative(t, xp) / -self.eps

    def _stationary_point(self, w: Array, step: Array, xp: Namespace) -> Array:
        return w - self.eps * exponential_shift(step * self._derivative(w, xp) / self.eps, xp)

    def stretched(self, scale: float) -> Exponential:
        """Return Exponential(eps * scale)."""
        return Exponential(self.eps * scale)

    @property
    def slope_at_zero(self) -> float:
        """1 / (eps (1 - exp(-1/eps)))."""
        return 1.0 / (self.eps * self._norm)

    @property
    def slope_at_one(self) -> float:
        """exp(-1/eps) / (eps (1 - exp(-1/eps)))."""
        return math.exp(-1.0 / self.eps) * self.slope_at_zero

    @property
    def weak_convexity(self) -> float:
        """-r''(0) = r'(0) / eps."""
        return self.slope_at_zero / self.eps
