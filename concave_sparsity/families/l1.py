"""The l1 penalty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from concave_sparsity.arrays import Array, Namespace
from concave_sparsity.families.family import Family
from concave_sparsity.proximal import clip


@dataclass(frozen=True)
class L1(Family):
    """The l1 penalty r(t) = t: on [0, 1] the largest convex function below every other penalty here."""

    name: ClassVar[str] = "l1"

    def _value(self, t: Array, xp: Namespace) -> Array:
        return t + 0.0

    def _derivative(self, t: Array, xp: Namespace) -> Array:
        return xp.where(xp.isnan(t), t, xp.ones_like(t))

    def _second_derivative(self, t: Array, xp: Namespace) -> Array:
        return xp.where(xp.isnan(t), t, xp.zeros_like(t))

    def interval_prox(self, w: Array, step: Array, lower: Array, upper: Array, xp: Namespace) -> Array:
        """Soft threshold and clip: the objective is convex."""
        return clip(w - step, lower, upper, xp)

    def stretched(self, scale: float) -> L1:
        """Return L1 itself, which is proportional to each of its stretchings."""
        return self

    @property
    def slope_at_zero(self) -> float:
        """The slope 1."""
        return 1.0

    @property
    def slope_at_one(self) -> float:
        """The slope 1."""
        return 1.0

    @property
    def curvature(self) -> float:
        """The curvature 0: l1 is linear on [0, 1]."""
        return 0.0

    @property
    def weak_convexity(self) -> float:
        """The weak convexity 0: l1 is convex."""
        return 0.0

    @property
    def weak_convexity_unbounded(self) -> float:
        """The weak convexity 0: l1 is convex."""
        return 0.0

    @property
    def is_piecewise_quadratic(self) -> bool:
        """True: it is linear."""
        return True
