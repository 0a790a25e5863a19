"""The fraction penalty."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from concave_sparsity.arrays import Array, Namespace, elementwise
from concave_sparsity.parameters import positive, store
from concave_sparsity.penalty import Penalty


@dataclass(frozen=True)
class Fraction(Penalty):
    """The fraction penalty r(t) = (1 + eps) t / (t + eps), of Geman and Reynolds (1992).

    Parameters
    ----------
    eps : float
        Width, in the unit of t.
    """

    eps: float = 0.1

    name: ClassVar[str] = "fraction"

    def __post_init__(self) -> None:
        store(self, eps=positive(self.eps, "Fraction: eps"))

    @elementwise
    def value(self, t: Array, xp: Namespace) -> Array:
        """Return (1 + eps) t / (t + eps)."""
        beyond = t > self.eps
        ratio = xp.where(beyond, self.eps, t) / xp.where(beyond, t, self.eps)
        return xp.where(beyond, 1.0, ratio) / (1 + ratio) * (1 + self.eps)

    @elementwise
    def derivative(self, t: Array, xp: Namespace) -> Array:
        """Return (1 + eps) eps / (t + eps)^2."""
        return self.slope_at_zero / (1 + t / self.eps) ** 2

    def stretched(self, scale: float) -> Fraction:
        """Return Fraction(eps * scale)."""
        return Fraction(self.eps * scale)

    @property
    def slope_at_zero(self) -> float:
        """1 + 1/eps."""
        return 1.0 + 1.0 / self.eps

    @property
    def slope_at_one(self) -> float:
        """The slope eps / (1 + eps)."""
        return self.eps / (1.0 + self.eps)

    @property
    def curvature(self) -> float:
        """1 / (1 + eps)."""
        return 1.0 / (1.0 + self.eps)

    @property
    def weak_convexity(self) -> float:
        """-r''(0) = 2 (1 + eps) / eps^2."""
        return 2.0 * self.slope_at_zero / self.eps

    @property
    def flat_from(self) -> float:
        """Nowhere flat."""
        return math.inf
