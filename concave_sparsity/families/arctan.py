"""The arctangent penalty."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from concave_sparsity.arrays import Array, Namespace, elementwise
from concave_sparsity.parameters import positive, store
from concave_sparsity.penalty import Penalty


@dataclass(frozen=True)
class Arctan(Penalty):
    """The arctangent penalty r(t) = atan(t/eps) / atan(1/eps).

    Parameters
    ----------
    eps : float
        Width, in the unit of t.
    """

    eps: float = 0.1

    name: ClassVar[str] = "arctan"

    def __post_init__(self) -> None:
        store(self, eps=positive(self.eps, "Arctan: eps"))

    @property
    def _norm(self) -> float:
        return math.atan(1.0 / self.eps)

    @elementwise
    def value(self, t: Array, xp: Namespace) -> Array:
        """Return atan(t/eps) / atan(1/eps)."""
        return xp.atan(t / self.eps) / self._norm

    @elementwise
    def derivative(self, t: Array, xp: Namespace) -> Array:
        """Return 1 / (eps (1 + (t/eps)^2) atan(1/eps))."""
        u = t / self.eps
        return self.slope_at_zero / (1 + u * u)

    def stretched(self, scale: float) -> Arctan:
        """Return Arctan(eps * scale)."""
        return Arctan(self.eps * scale)

    @property
    def slope_at_zero(self) -> float:
        """1 / (eps atan(1/eps))."""
        return 1.0 / (self.eps * self._norm)

    @property
    def slope_at_one(self) -> float:
        """r'(1)."""
        return self.slope_at_zero / (1.0 + 1.0 / self.eps / self.eps)

    @property
    def curvature(self) -> float:
        """min(r'(0) - 1, 1 - r'(1))."""
        return max(0.0, min(self.slope_at_zero - 1.0, 1.0 - self.slope_at_one))

    @property
    def weak_convexity(self) -> float:
        """-r'' at min(1, eps / sqrt(3)), where it is largest."""
        u = min(1.0 / self.eps, 1.0 / math.sqrt(3.0))
        return 2.0 * u / (1.0 + u * u) ** 2 * self.slope_at_zero / self.eps

    @property
    def flat_from(self) -> float:
        """Nowhere flat."""
        return math.inf
