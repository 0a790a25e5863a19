"""The smoothly clipped absolute deviation penalty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from concave_sparsity.arrays import Array, Namespace, elementwise
from concave_sparsity.parameters import positive, real_number, store, within
from concave_sparsity.penalty import Penalty
from concave_sparsity.proximal import best_of


@dataclass(frozen=True)
class SCAD(Penalty):
    """The SCAD penalty of Fan and Li (2001): flat slope, then falling from the knee, then 0.

    Parameters
    ----------
    a : float
        Ratio of the point where it becomes flat to the knee, above 1.
    knee : float
        Where the slope begins to fall, in the unit of t (lam in Fan and Li).
    """

    a: float = 3.7
    knee: float = 0.25

    name: ClassVar[str] = "scad"

    def __post_init__(self) -> None:
        a = real_number(self.a, "SCAD: a")
        if a <= 1:
            raise ValueError(f"SCAD: a must be greater than 1, got {a:g}")
        store(self, a=within(a, "SCAD: a", 1.0, 1e30), knee=positive(self.knee, "SCAD: knee"))

    @classmethod
    def classical(cls, lam: float, a: float = 3.7) -> Penalty:
        """Return the penalty of Fan and Li (2001): slope lam up to lam, 0 from a lam on (ncvreg's SCAD)."""
        lam = positive(lam, "SCAD.classical: lam")
        return cls(a, 1.0).scaled(lam, lam * lam)

    @property
    def _norm(self) -> float:
        """The value at 1 of the penalty with unit slope at 0."""
        linear = min(1.0, self.knee)
        bent = max(0.0, min(1.0, self.a * self.knee) - self.knee)
        return linear + bent * (1.0 - bent / (2.0 * (self.a - 1.0) * self.knee))

    @elementwise
    def value(self, t: Array, xp: Namespace) -> Array:
        """Return the integral of the slope, divided by its value at 1."""
        span = (self.a - 1.0) * self.knee
        linear = xp.where(t > self.knee, self.knee, t)
        bent = xp.where(t > self.knee, xp.where(t > self.knee + span, span, t - self.knee), 0.0)
        return (linear + bent * (1 - bent / (2 * span))) / self._norm

    @elementwise
    def derivative(self, t: Array, xp: Namespace) -> Array:
        """Return 1 up to the knee, (a knee - t) / ((a - 1) knee) up to a knee, 0 beyond, over the norm."""
        span = (self.a - 1.0) * self.knee
        bent = xp.where(t > self.knee, t - self.knee, 0.0 * t)
        return xp.where(bent > span, 0.0, 1 - bent / span) / self._norm

    def interval_prox(self, w: Array, step: Array, lower: Array, upper: Array, xp: Namespace) -> Array:
        """Compare the stationary points of the pieces and the ends."""
        span = (self.a - 1.0) * self.knee
        pull = step / self._norm
        knee = xp.full_like(w, self.knee)
        soft = xp.minimum(w - pull, knee)
        bend = 1 - pull / span
        convex = bend > 0
        t = self.knee + (w - self.knee - pull) / xp.where(convex, bend, xp.ones_like(bend))
        t = xp.where(convex & (t > self.knee) & (t < self.knee + span), t, knee)
        candidates = [lower, *(xp.minimum(xp.maximum(x, lower), upper) for x in (soft, t)), upper]
        return best_of(self.value, w, step, candidates, xp)

    def stretched(self, scale: float) -> SCAD:
        """Return SCAD(a, knee * scale)."""
        return SCAD(self.a, self.knee * scale)

    @property
    def slope_at_zero(self) -> float:
        """1 / norm."""
        return 1.0 / self._norm

    @property
    def slope_at_one(self) -> float:
        """r'(1-)."""
        bent = max(0.0, 1.0 - self.knee)
        return max(0.0, 1.0 - bent / ((self.a - 1.0) * self.knee)) / self._norm

    @property
    def curvature(self) -> float:
        """min(r'(0) - 1, 1 - r'(1))."""
        return max(0.0, min(self.slope_at_zero - 1.0, 1.0 - self.slope_at_one))

    @property
    def weak_convexity(self) -> float:
        """1 / ((a - 1) knee norm), or 0 if the knee is not inside [0, 1]."""
        return 1.0 / ((self.a - 1.0) * self.knee * self._norm) if self.knee < 1 else 0.0

    @property
    def flat_from(self) -> float:
        """A times the knee."""
        return self.a * self.knee
