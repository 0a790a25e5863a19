"""The fraction penalty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from concave_sparsity.arrays import Array, Namespace
from concave_sparsity.families.family import ConvexSlopeFamily
from concave_sparsity.families.shift import power_shift
from concave_sparsity.parameters import positive, store


@dataclass(frozen=True)
class Fraction(ConvexSlopeFamily):
    """The fraction penalty r(t) = (1 + eps) t / (t + eps).

    Parameters
    ----------
    eps : float, default 0.1
        Width, in the unit of t: r(eps) is half of its limit 1 + eps.

    References
    ----------
    Geman, Reynolds (1992), Constrained restoration and the recovery of discontinuities.
    """

    eps: float = 0.1

    name: ClassVar[str] = "fraction"

    def __post_init__(self) -> None:
        store(self, eps=positive(self.eps, "Fraction: eps"))

    def _value(self, t: Array, xp: Namespace) -> Array:
        # The smaller over the larger of t and eps, so that infinite t has its limit.
        beyond = t > self.eps
        ratio = xp.where(beyond, self.eps, t) / xp.where(beyond, t, self.eps)
        return xp.where(beyond, 1.0, ratio) / (1 + ratio) * (1 + self.eps)

    def _derivative(self, t: Array, xp: Namespace) -> Array:
        share = 1 + t / self.eps
        return self.slope_at_zero / (share * share)

    def _second_derivative(self, t: Array, xp: Namespace) -> Array:
        return -2 * self._derivative(t, xp) / (t + self.eps)

    def _stationary_point(self, w: Array, step: Array, xp: Namespace) -> Array:
        reach = w + self.eps
        return w - reach * power_shift(step * self._derivative(w, xp) / reach, 2.0, xp)

    def stretched(self, scale: float) -> Fraction:
        """Return Fraction(eps * scale)."""
        return Fraction(self.eps * scale)

    @property
    def slope_at_zero(self) -> float:
        """1 + 1/eps."""
        return 1.0 + 1.0 / self.eps

    @property
    def slope_at_one(self) -> float:
        """eps / (1 + eps)."""  # noqa: D403
        return self.eps / (1.0 + self.eps)

    @property
    def curvature(self) -> float:
        """1 / (1 + eps)."""
        return 1.0 / (1.0 + self.eps)

    @property
    def weak_convexity(self) -> float:
        """-r''(0) = 2 (1 + eps) / eps^2."""
        return 2.0 * self.slope_at_zero / self.eps
