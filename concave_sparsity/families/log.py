"""The log-sum penalty."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from concave_sparsity.arrays import Array, Namespace
from concave_sparsity.families.family import ConvexSlopeFamily
from concave_sparsity.families.shift import power_shift
from concave_sparsity.parameters import positive, store
from concave_sparsity.penalty import Penalty


@dataclass(frozen=True)
class Log(ConvexSlopeFamily):
    """The log-sum penalty r(t) = log(1 + t/eps) / log(1 + 1/eps).

    Parameters
    ----------
    eps : float, default 0.1
        Width, in the unit of t: r is close to l1 for large eps, to the counting of nonzeros for small eps.

    References
    ----------
    Candes, Wakin, Boyd (2008), Enhancing sparsity by reweighted l1 minimization.
    """

    eps: float = 0.1

    name: ClassVar[str] = "log"

    def __post_init__(self) -> None:
        store(self, eps=positive(self.eps, "Log: eps"))

    @classmethod
    def classical(cls, eps: float = 0.1) -> Penalty:
        """Return log(1 + t/eps): the term log(t + eps) of Candes, Wakin and Boyd (2008) less log(eps)."""
        member = cls(eps)
        return member.scaled(1.0, member._norm)

    @property
    def _norm(self) -> float:
        return math.log1p(1.0 / self.eps)

    def _value(self, t: Array, xp: Namespace) -> Array:
        # Beyond 1 relative to r(1) = 1, as t/eps may overflow.
        beyond = t > 1
        growth = xp.log1p(xp.where(beyond, (t - 1) / (1 + self.eps), t / self.eps)) / self._norm
        return xp.where(beyond, 1 + growth, growth)

    def _derivative(self, t: Array, xp: Namespace) -> Array:
        return (1.0 / self._norm) / (t + self.eps)

    def _second_derivative(self, t: Array, xp: Namespace) -> Array:
        return -self._derivative(t, xp) / (t + self.eps)

    def _stationary_point(self, w: Array, step: Array, xp: Namespace) -> Array:
        reach = w + self.eps
        return w - reach * power_shift(step * self._derivative(w, xp) / reach, 1.0, xp)

    def stretched(self, scale: float) -> Log:
        """Return Log(eps * scale)."""
        return Log(self.eps * scale)

    @property
    def slope_at_zero(self) -> float:
        """1 / (eps log(1 + 1/eps))."""
        return 1.0 / (self.eps * self._norm)

    @property
    def slope_at_one(self) -> float:
        """1 / ((1 + eps) log(1 + 1/eps))."""
        return 1.0 / ((1.0 + self.eps) * self._norm)

    @property
    def weak_convexity(self) -> float:
        """-r''(0) = 1 / (eps^2 log(1 + 1/eps))."""
        return self.slope_at_zero / self.eps
