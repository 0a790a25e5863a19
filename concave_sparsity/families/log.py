"""The log-sum penalty."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from concave_sparsity.arrays import Array, Namespace, elementwise
from concave_sparsity.parameters import positive, store
from concave_sparsity.penalty import Penalty
from concave_sparsity.proximal import best_of


@dataclass(frozen=True)
class Log(Penalty):
    """The log-sum penalty r(t) = log(1 + t/eps) / log(1 + 1/eps), of Candes, Wakin and Boyd (2008).

    Parameters
    ----------
    eps : float
        Width, in the unit of t: l1 for eps -> inf, the counting of nonzeros for eps -> 0.
    """

    eps: float = 0.1

    name: ClassVar[str] = "log"

    def __post_init__(self) -> None:
        store(self, eps=positive(self.eps, "Log: eps"))

    @classmethod
    def classical(cls, eps: float) -> Penalty:
        """Return log(1 + t/eps), the term of Candes, Wakin and Boyd (2008) up to the constant log(eps)."""
        member = cls(eps)
        return member.scaled(1.0, member._log_of_ratio)

    @property
    def _log_of_ratio(self) -> float:
        return math.log1p(1.0 / self.eps)

    @elementwise
    def value(self, t: Array, xp: Namespace) -> Array:
        """Return log(1 + t/eps) / log(1 + 1/eps)."""
        # Beyond 1 relative to r(1), since t/eps could overflow.
        beyond = t > 1
        ratio = xp.where(beyond, (t - 1) / (1 + self.eps), t / self.eps)
        growth = xp.log1p(ratio) / self._log_of_ratio
        return xp.where(beyond, 1 + growth, growth)

    @elementwise
    def derivative(self, t: Array, xp: Namespace) -> Array:
        """Return 1 / ((t + eps) log(1 + 1/eps))."""
        return (1.0 / self._log_of_ratio) / (t + self.eps)

    def interval_prox(self, w: Array, step: Array, lower: Array, upper: Array, xp: Namespace) -> Array:
        """Compare the lower end with the larger root of (t - w)(t + eps) + step / log(1 + 1/eps) = 0."""
        pull = step / self._log_of_ratio
        reach = w + self.eps
        root = reach * xp.sqrt(xp.maximum(1 - 4 * (pull / reach) / reach, xp.zeros_like(reach)))
        difference = w - self.eps
        # The root of the smaller magnitude by the product of the two, which does not cancel.
        t = xp.where(
            difference >= 0,
            0.5 * (difference + root),
            2 * (w * self.eps - pull) / (root - difference),
        )
        t = xp.minimum(xp.maximum(t, lower), upper)
        return best_of(self.value, w, step, [lower, t], xp)

    def stretched(self, scale: float) -> Log:
        """Return Log(eps * scale)."""
        return Log(self.eps * scale)

    @property
    def slope_at_zero(self) -> float:
        """1 / (eps log(1 + 1/eps))."""
        return 1.0 / (self.eps * self._log_of_ratio)

    @property
    def slope_at_one(self) -> float:
        """1 / ((1 + eps) log(1 + 1/eps))."""
        return 1.0 / ((1.0 + self.eps) * self._log_of_ratio)

    @property
    def curvature(self) -> float:
        """1 - r'(1)."""
        return 1.0 - self.slope_at_one

    @property
    def weak_convexity(self) -> float:
        """-r''(0) = 1 / (eps^2 log(1 + 1/eps))."""
        return self.slope_at_zero / self.eps

    @property
    def flat_from(self) -> float:
        """Nowhere flat."""
        return math.inf
