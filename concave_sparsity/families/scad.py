"""The smoothly clipped absolute deviation penalty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from concave_sparsity.arrays import Array, Namespace
from concave_sparsity.families.family import Family
from concave_sparsity.parameters import LARGEST, SMALLEST, positive, real_number, store, within
from concave_sparsity.penalty import Penalty
from concave_sparsity.proximal import clip, improvement


@dataclass(frozen=True)
class SCAD(Family):
    """The SCAD penalty: slope 1 up to the knee, falling linearly to 0 at a * knee; divided by its value at 1.

    Parameters
    ----------
    a : float, default 3.7
        Where it becomes flat, in knees; above 1. (Fan and Li ask a > 2, which the prox here does not need.)
    knee : float, default 0.25
        Where the slope begins to fall, in the unit of t; it is lam in Fan and Li.

    References
    ----------
    Fan, Li (2001), Variable selection via nonconcave penalized likelihood and its oracle properties.
    """

    a: float = 3.7
    knee: float = 0.25

    name: ClassVar[str] = "scad"

    def __post_init__(self) -> None:
        a, knee = real_number(self.a, "SCAD: a"), positive(self.knee, "SCAD: knee")
        if a <= 1:
            raise ValueError(f"SCAD: a must be greater than 1, got {a:g}")
        within(a, "SCAD: a", 1.0, LARGEST)
        within(a * knee, "SCAD: a * knee", SMALLEST, LARGEST)
        store(self, a=a, knee=knee)

    @classmethod
    def classical(cls, lam: float, a: float = 3.7) -> Penalty:
        """Return the penalty of Fan and Li (2001) and ncvreg, with lam in it.

        Its slope is lam up to lam, (a lam - t) / (a - 1) up to a lam, and 0 beyond.
        """
        lam = positive(lam, "SCAD.classical: lam")
        return cls(a, 1.0).scaled(lam, lam * lam)

    @property
    def _span(self) -> float:
        """The length over which the slope falls."""
        return (self.a - 1.0) * self.knee

    @property
    def _norm(self) -> float:
        """The value at 1 of the penalty with slope 1 at 0."""
        bent = min(max(0.0, 1.0 - self.knee), self._span)
        return min(1.0, self.knee) + bent * (1.0 - bent / (2.0 * self._span))

    def _value(self, t: Array, xp: Namespace) -> Array:
        # The part up to the knee, and how far t reaches beyond it.
        beyond = t > self.knee
        linear = xp.where(beyond, self.knee, t)
        bent = xp.where(beyond, t - self.knee, 0.0)
        bent = xp.where(bent >= self._span, self._span, bent)
        return (linear + bent * (1 - bent / (2 * self._span))) / self._norm

    def _derivative(self, t: Array, xp: Namespace) -> Array:
        slope = xp.maximum((self.flat_from - t) / self._span, xp.zeros_like(t))
        return xp.minimum(slope, xp.ones_like(t)) / self._norm

    def _second_derivative(self, t: Array, xp: Namespace) -> Array:
        falling = (t >= self.knee) & (t < self.flat_from)
        bend = xp.where(falling, xp.ones_like(t) * -self.weak_convexity_unbounded, xp.zeros_like(t))
        return xp.where(xp.isnan(t), t, bend)

    def interval_prox(self, w: Array, step: Array, lower: Array, upper: Array, xp: Namespace) -> Array:
        """Choose between the minimum up to the knee and the one beyond.

        Where the objective is concave between the knee and the flat part, the one beyond is at the upper end.
        """
        pull = step / self._norm
        bend = 1 - pull / self._span
        convex = bend > 0
        soft = w - pull
        below = clip(xp.minimum(soft, xp.full_like(w, self.knee)), lower, upper, xp)
        reach = (soft - self.knee) / xp.where(convex, bend, xp.ones_like(bend))
        beyond = xp.where(convex & (reach < self._span), self.knee + reach, upper)
        beyond = clip(beyond, lower, upper, xp)
        better = improvement(lambda x: self._value(x, xp), w, step, below, beyond) < 0
        return xp.where((convex & (soft > self.knee)) | (~convex & better), beyond, below)

    def stretched(self, scale: float) -> SCAD:
        """Return SCAD(a, knee * scale)."""
        return SCAD(self.a, self.knee * scale)

    @property
    def slope_at_zero(self) -> float:
        """The inverse of the value at 1 with slope 1 at 0."""
        return 1.0 / self._norm

    @property
    def slope_at_one(self) -> float:
        """The slope at zero times the share of the falling part that lies beyond 1."""
        return max(0.0, 1.0 - max(0.0, 1.0 - self.knee) / self._span) / self._norm

    @property
    def curvature(self) -> float:
        """min(r'(0) - 1, 1 - r'(1))."""
        return max(0.0, min(self.slope_at_zero - 1.0, 1.0 - self.slope_at_one))

    @property
    def weak_convexity(self) -> float:
        """r'(0) / ((a - 1) knee), or 0 if the knee is not below 1."""
        return self.weak_convexity_unbounded if self.knee < 1 else 0.0

    @property
    def weak_convexity_unbounded(self) -> float:
        """r'(0) / ((a - 1) knee)."""
        return 1.0 / (self._span * self._norm)

    @property
    def flat_from(self) -> float:
        """The point a * knee."""
        return self.a * self.knee

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """The knee and the point from which it is flat."""
        return (self.knee, self.flat_from)

    @property
    def is_piecewise_quadratic(self) -> bool:
        """True."""
        return True
