"""The lq penalty."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from concave_sparsity.arrays import Array, Namespace
from concave_sparsity.families.family import ConvexSlopeFamily
from concave_sparsity.families.shift import power_shift
from concave_sparsity.parameters import SMALLEST, real_number, store, within

# Beyond these q s^(q-1) and the like leave single precision; r is then Log or l1 to rounding.
_LEAST_Q, _LARGEST_SMOOTHING = 1e-12, 1e15


@dataclass(frozen=True)
class Lq(ConvexSlopeFamily):
    """The lq penalty r(t) = ((t + s)^q - s^q) / ((1 + s)^q - s^q), 0 < q < 1, with smoothing s >= 0.

    Without smoothing it is t^q, whose slope at 0 is infinite: a reweighting scheme then never leaves a zero.

    Parameters
    ----------
    q : float, default 0.5
        Exponent, strictly between 0 and 1 (at least 1e-12).
    smoothing : float, default 0
        Shift s, in the unit of t, at most 1e15.

    References
    ----------
    Frank, Friedman (1993), A statistical view of some chemometrics regression tools. Chartrand, Yin (2008),
    Iteratively reweighted algorithms for compressive sensing (smoothing).
    """

    q: float = 0.5
    smoothing: float = 0.0

    name: ClassVar[str] = "lq"

    def __post_init__(self) -> None:
        q = within(self.q, "Lq: q", 0.0, 1.0, open_ends=True)
        if q < _LEAST_Q:
            raise ValueError(f"Lq: q must be at least {_LEAST_Q:g}, got {q:g}; in the limit 0 it is Log")
        s = real_number(self.smoothing, "Lq: smoothing")
        if s < 0:
            raise ValueError(f"Lq: smoothing must not be negative, got {s:g}")
        if s:
            within(s, "Lq: smoothing, unless 0,", SMALLEST, _LARGEST_SMOOTHING)
        # Adding 0.0 turns a negative zero into zero.
        store(self, q=q, smoothing=s + 0.0)

    @property
    def _norm(self) -> float:
        """1 - (s / (1 + s))^q, which is r(1) over (1 + s)^q before r is normalised."""
        return -math.expm1(-self.q * math.log1p(1.0 / self.smoothing)) if self.smoothing else 1.0

    def _value(self, t: Array, xp: Namespace) -> Array:
        s = self.smoothing
        if not s:
            return t**self.q
        # Relative to s^q, and beyond 1 relative to (1 + s)^q, as differences of powers cancel.
        beyond = t > 1
        growth = xp.expm1(self.q * xp.log1p(xp.where(beyond, (t - 1) / (1 + s), t / s)))
        below = 1.0 / math.expm1(self.q * math.log1p(1.0 / s))
        return xp.where(beyond, 1 + growth / self._norm, growth * below)

    def _derivative(self, t: Array, xp: Namespace) -> Array:
        s = self.smoothing
        if s:
            return self.slope_at_one * ((t + s) / (1.0 + s)) ** (self.q - 1.0)
        # The inner choice keeps a gradient through this finite where t is not 0.
        inside = t != 0
        power = xp.where(inside, t, xp.ones_like(t)) ** (self.q - 1.0)
        return xp.where(inside, self.q * power, math.inf)

    def _second_derivative(self, t: Array, xp: Namespace) -> Array:
        bend = (self.q - 1.0) * self._derivative(t, xp) / (t + self.smoothing)
        return bend if self.smoothing else xp.where(t == 0, -math.inf, bend)

    def _stationary_point(self, w: Array, step: Array, xp: Namespace) -> Array:
        reach = w + self.smoothing
        return w - reach * power_shift(step * self._derivative(w, xp) / reach, 1.0 - self.q, xp)

    def stretched(self, scale: float) -> Lq:
        """Return Lq(q, smoothing * scale)."""
        return Lq(self.q, self.smoothing * scale)

    @property
    def slope_at_zero(self) -> float:
        """Q s^(q-1) / ((1 + s)^q - s^q); infinite without smoothing."""
        if not self.smoothing:
            return math.inf
        return self.slope_at_one * math.exp((1.0 - self.q) * math.log1p(1.0 / self.smoothing))

    @property
    def slope_at_one(self) -> float:
        """Q (1 + s)^(q-1) / ((1 + s)^q - s^q)."""
        return self.q / ((1.0 + self.smoothing) * self._norm)

    @property
    def weak_convexity(self) -> float:
        """-r''(0) = (1 - q) r'(0) / s; infinite without smoothing."""
        return self.slope_at_zero * (1.0 - self.q) / self.smoothing if self.smoothing else math.inf
