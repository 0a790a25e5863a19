"""The l1 penalty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from concave_sparsity.arrays import Array, Namespace, elementwise
from concave_sparsity.penalty import Penalty


@dataclass(frozen=True)
class L1(Penalty):
    """The l1 penalty r(t) = t: linear, the convex envelope on [0, 1] of every other penalty here."""

    name: ClassVar[str] = "l1"

    @elementwise
    def value(self, t: Array, xp: Namespace) -> Array:
        """Return t."""
        return t + 0.0

    @elementwise
    def derivative(self, t: Array, xp: Namespace) -> Array:
        """Return 1."""
        # NaN stays NaN, infinity does not become one.
        return xp.where(t == t, xp.ones_like(t), t)

    def interval_prox(self, w: Array, step: Array, lower: Array, upper: Array, xp: Namespace) -> Array:
        """Soft threshold, clipped: the objective is convex."""
        return xp.minimum(xp.maximum(w - step, lower), upper)

    def stretched(self, scale: float) -> L1:
        """Return L1 itself."""
        return self

    @property
    def slope_at_zero(self) -> float:
        """1."""
        return 1.0

    @property
    def slope_at_one(self) -> float:
        """1."""
        return 1.0

    @property
    def curvature(self) -> float:
        """0."""
        return 0.0

    @property
    def weak_convexity(self) -> float:
        """0."""
        return 0.0

    @property
    def flat_from(self) -> float:
        """Nowhere flat."""
        return float("inf")
