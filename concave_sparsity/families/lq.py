"""The lq penalty."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from concave_sparsity.arrays import Array, Namespace, elementwise
from concave_sparsity.parameters import positive, real_number, store, within
from concave_sparsity.penalty import Penalty


@dataclass(frozen=True)
class Lq(Penalty):
    """The lq penalty r(t) = ((t + s)^q - s^q) / ((1 + s)^q - s^q), 0 < q < 1, with smoothing s >= 0.

    Parameters
    ----------
    q : float
        Exponent, strictly between 0 and 1.
    smoothing : float
        Shift s, in the unit of t; 0 gives t^q, whose slope at 0 is infinite.
    """

    q: float = 0.5
    smoothing: float = 0.0

    name: ClassVar[str] = "lq"

    def __post_init__(self) -> None:
        s = real_number(self.smoothing, "Lq: smoothing")
        if s < 0:
            raise ValueError(f"Lq: smoothing must not be negative, got {s:g}")
        store(
            self,
            q=within(self.q, "Lq: q", 0.0, 1.0, open_ends=True),
            smoothing=positive(s, "Lq: smoothing") if s else 0.0,
        )

    @property
    def _norm(self) -> float:
        """1 - (s / (1 + s))^q."""
        return -math.expm1(-self.q * math.log1p(1.0 / self.smoothing)) if self.smoothing else 1.0

    @elementwise
    def value(self, t: Array, xp: Namespace) -> Array:
        """Return ((t + s)^q - s^q) / ((1 + s)^q - s^q)."""
        s = self.smoothing
        if not s:
            return t**self.q
        beyond = t > 1
        growth = xp.log1p(xp.where(beyond, (t - 1) / (1 + s), t / s))
        below = 1.0 / math.expm1(self.q * math.log1p(1.0 / s))
        raised = xp.expm1(self.q * growth)
        return xp.where(beyond, 1 + raised / self._norm, raised * below)

    @elementwise
    def derivative(self, t: Array, xp: Namespace) -> Array:
        """Return q (t + s)^(q - 1) / ((1 + s)^q - s^q); infinite at t = 0 without smoothing."""
        s = self.smoothing
        scale = self.q / ((1.0 + s) * self._norm)
        if s:
            return scale * ((t + s) / (1.0 + s)) ** (self.q - 1.0)
        inside = t != 0
        return xp.where(inside, scale * xp.where(inside, t, 1.0) ** (self.q - 1.0), math.inf)

    def stretched(self, scale: float) -> Lq:
        """Return Lq(q, smoothing * scale)."""
        return Lq(self.q, self.smoothing * scale)

    @property
    def slope_at_zero(self) -> float:
        """r'(0+), infinite without smoothing."""
        return float(self.derivative(0.0))

    @property
    def slope_at_one(self) -> float:
        """r'(1)."""
        return self.q / ((1.0 + self.smoothing) * self._norm)

    @property
    def curvature(self) -> float:
        """1 - r'(1)."""
        return 1.0 - self.slope_at_one

    @property
    def weak_convexity(self) -> float:
        """-r''(0), infinite without smoothing."""
        if not self.smoothing:
            return math.inf
        return self.slope_at_zero * (1.0 - self.q) / self.smoothing

    @property
    def flat_from(self) -> float:
        """Nowhere flat."""
        return math.inf
