"""The capped l1 penalty."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from concave_sparsity.arrays import Array, Namespace, elementwise
from concave_sparsity.parameters import positive, store
from concave_sparsity.penalty import Penalty
from concave_sparsity.proximal import best_of


@dataclass(frozen=True)
class CappedL1(Penalty):
    """The capped l1 penalty r(t) = min(t, cap) / min(1, cap), of Zhang (2010, multi-stage convex relaxation).

    Parameters
    ----------
    cap : float
        Where it becomes flat, in the unit of t.
    """

    cap: float = 0.5

    name: ClassVar[str] = "capped-l1"

    def __post_init__(self) -> None:
        store(self, cap=positive(self.cap, "CappedL1: cap"))

    @property
    def _norm(self) -> float:
        return min(1.0, self.cap)

    @elementwise
    def value(self, t: Array, xp: Namespace) -> Array:
        """Return min(t, cap) / min(1, cap)."""
        return xp.where(t >= self.cap, self.cap, t) / self._norm

    @elementwise
    def derivative(self, t: Array, xp: Namespace) -> Array:
        """Return the slope; at the kink the right limit, 0."""
        one = xp.where(t == t, xp.ones_like(t), t)
        return xp.where(t >= self.cap, 0.0, one) / self._norm

    def interval_prox(self, w: Array, step: Array, lower: Array, upper: Array, xp: Namespace) -> Array:
        """Compare the soft threshold below the cap with the upper end."""
        cap = xp.full_like(w, self.cap)
        soft = xp.minimum(xp.maximum(xp.minimum(w - step / self._norm, cap), lower), upper)
        return best_of(self.value, w, step, [soft, upper], xp)

    def stretched(self, scale: float) -> CappedL1:
        """Return CappedL1(cap * scale)."""
        return CappedL1(self.cap * scale)

    @property
    def slope_at_zero(self) -> float:
        """1 / min(1, cap)."""
        return 1.0 / self._norm

    @property
    def slope_at_one(self) -> float:
        """0 for a cap below 1, else 1."""
        return 0.0 if self.cap < 1 else 1.0

    @property
    def curvature(self) -> float:
        """min(1/cap - 1, 1) for a cap below 1, else 0."""
        return min(1.0 / self.cap - 1.0, 1.0) if self.cap < 1 else 0.0

    @property
    def weak_convexity(self) -> float:
        """Inf for a cap below 1 (a kink), else 0."""
        return math.inf if self.cap < 1 else 0.0

    @property
    def flat_from(self) -> float:
        """The cap."""
        return self.cap
