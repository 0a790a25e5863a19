"""The capped l1 penalty."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from concave_sparsity.arrays import Array, Namespace
from concave_sparsity.families.family import Family
from concave_sparsity.parameters import positive, store
from concave_sparsity.proximal import clip


@dataclass(frozen=True)
class CappedL1(Family):
    """The capped l1 penalty r(t) = min(t, cap) / min(1, cap).

    At its kink ``derivative`` gives the right limit 0; only a kink at 1 itself, the end of the interval on
    which masks live, gets the left limit 1, so that ``derivative(1.0) == slope_at_one`` always.

    Parameters
    ----------
    cap : float, default 0.5
        Where it becomes flat, in the unit of t.

    References
    ----------
    Zhang (2010), Analysis of multi-stage convex relaxation for sparse regularization.
    """

    cap: float = 0.5

    name: ClassVar[str] = "capped-l1"

    def __post_init__(self) -> None:
        store(self, cap=positive(self.cap, "CappedL1: cap"))

    @property
    def _norm(self) -> float:
        return min(1.0, self.cap)

    def _flat(self, t: Array) -> Array:
        return t > self.cap if self.cap == 1 else t >= self.cap

    def _value(self, t: Array, xp: Namespace) -> Array:
        return xp.where(self._flat(t), self.cap, t) / self._norm

    def _derivative(self, t: Array, xp: Namespace) -> Array:
        slope = xp.where(xp.isnan(t), t, xp.full_like(t, 1.0 / self._norm))
        return xp.where(self._flat(t), 0.0, slope)

    def _second_derivative(self, t: Array, xp: Namespace) -> Array:
        return xp.where(xp.isnan(t), t, xp.zeros_like(t))

    def interval_prox(self, w: Array, step: Array, lower: Array, upper: Array, xp: Namespace) -> Array:
        """Compare the soft threshold, cut at the cap, with the upper end."""
        soft = xp.minimum(w - step / self._norm, xp.full_like(w, self.cap))
        return self._best_of(w, step, (clip(soft, lower, upper, xp), upper), xp)

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
        """Infinite for a cap below 1, as no parabola makes a concave kink convex; else 0."""
        return math.inf if self.cap < 1 else 0.0

    @property
    def weak_convexity_unbounded(self) -> float:
        """Infinite, for the kink."""
        return math.inf

    @property
    def flat_from(self) -> float:
        """The cap."""
        return self.cap

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """The cap."""
        return (self.cap,)

    @property
    def kinks(self) -> tuple[float, ...]:
        """The cap."""
        return (self.cap,)

    @property
    def is_piecewise_quadratic(self) -> bool:
        """True: it is piecewise linear."""
        return True
