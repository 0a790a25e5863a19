"""The exponential penalty."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from concave_sparsity.arrays import Array, Namespace, elementwise
from concave_sparsity.parameters import positive, store
from concave_sparsity.penalty import Penalty


@dataclass(frozen=True)
class Exponential(Penalty):
    """The exponential penalty r(t) = (1 - exp(-t/eps)) / (1 - exp(-1/eps)) (Bradley, Mangasarian 1998).

    Parameters
    ----------
    eps : float
        Width, in the unit of t.
    """

    eps: float = 0.1

    name: ClassVar[str] = "exponential"

    def __post_init__(self) -> None:
        store(self, eps=positive(self.eps, "Exponential: eps"))

    @property
    def _norm(self) -> float:
        return -math.expm1(-1.0 / self.eps)

    @elementwise
    def value(self, t: Array, xp: Namespace) -> Array:
        """Return (1 - exp(-t/eps)) / (1 - exp(-1/eps))."""
        return xp.expm1(-t / self.eps) / -self._norm

    @elementwise
    def derivative(self, t: Array, xp: Namespace) -> Array:
        """Return exp(-t/eps) / (eps (1 - exp(-1/eps)))."""
        return xp.exp(-t / self.eps) / (self.eps * self._norm)

    def stretched(self, scale: float) -> Exponential:
        """Return Exponential(eps * scale)."""
        return Exponential(self.eps * scale)

    @property
    def slope_at_zero(self) -> float:
        """1 / (eps (1 - exp(-1/eps)))."""
        return 1.0 / (self.eps * self._norm)

    @property
    def slope_at_one(self) -> float:
        """exp(-1/eps) times the slope at zero."""
        return math.exp(-1.0 / self.eps) * self.slope_at_zero

    @property
    def curvature(self) -> float:
        """1 - r'(1)."""
        return 1.0 - self.slope_at_one

    @property
    def weak_convexity(self) -> float:
        """-r''(0)."""
        return self.slope_at_zero / self.eps

    @property
    def flat_from(self) -> float:
        """Nowhere flat."""
        return math.inf
