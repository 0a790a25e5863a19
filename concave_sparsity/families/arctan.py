"""The arctangent penalty."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from concave_sparsity.arrays import Array, Namespace
from concave_sparsity.families.family import Family
from concave_sparsity.parameters import positive, store
from concave_sparsity.proximal import clip


@dataclass(frozen=True)
class Arctan(Family):
    """The arctangent penalty r(t) = atan(t/eps) / atan(1/eps).

    Its slope is concave up to eps / sqrt(3) and convex beyond: for wide eps the constants are decided at 0
    where those of the other families are decided at 1, and its prox objective can have two interior minima.

    Parameters
    ----------
    eps : float, default 0.1
        Width, in the unit of t.

    References
    ----------
    Candes, Wakin, Boyd (2008), Enhancing sparsity by reweighted l1 minimization, section 5. Selesnick, Bayram
    (2014), Sparse signal estimation by maximally sparse convex optimization.
    """

    eps: float = 0.1

    name: ClassVar[str] = "arctan"

    def __post_init__(self) -> None:
        store(self, eps=positive(self.eps, "Arctan: eps"))

    @property
    def _norm(self) -> float:
        return math.atan(1.0 / self.eps)

    def _value(self, t: Array, xp: Namespace) -> Array:
        return xp.atan(t / self.eps) / self._norm

    def _derivative(self, t: Array, xp: Namespace) -> Array:
        u = t / self.eps
        return self.slope_at_zero / (1 + u * u)

    def _second_derivative(self, t: Array, xp: Namespace) -> Array:
        u = t / self.eps
        return self._derivative(t, xp) / (u + 1 / u) * (-2 / self.eps)

    def interval_prox(self, w: Array, step: Array, lower: Array, upper: Array, xp: Namespace) -> Array:
        """Compare the lower end with the smallest and the largest stationary point, the roots of a cubic.

        In y = t / m with m = max(w, eps): y - a + k / (b + y^2) = 0, all numbers of order one.
        """
        m = xp.maximum(w, xp.full_like(w, self.eps))
        a = w / m
        b = self.eps / m
        k = step * (b / self._norm) / m / m
        b = b * b
        roots = (m * _polished(y, a, b, k, xp) for y in _cubic_roots(a, b, k, xp))
        return self._best_of(w, step, (lower, *(clip(t, lower, upper, xp) for t in roots)), xp)

    def stretched(self, scale: float) -> Arctan:
        """Return Arctan(eps * scale)."""
        return Arctan(self.eps * scale)

    @property
    def slope_at_zero(self) -> float:
        """1 / (eps atan(1/eps))."""
        return 1.0 / (self.eps * self._norm)

    @property
    def slope_at_one(self) -> float:
        """eps / ((1 + eps^2) atan(1/eps))."""  # noqa: D403
        return self.slope_at_zero / (1.0 + 1.0 / self.eps / self.eps)

    @property
    def curvature(self) -> float:
        """min(r'(0) - 1, 1 - r'(1))."""
        return max(0.0, min(self.slope_at_zero - 1.0, 1.0 - self.slope_at_one))

    def _bend(self, u: float) -> float:
        """-r''(eps u)."""
        return 2.0 * u / (1.0 + u * u) ** 2 * self.slope_at_zero / self.eps

    @property
    def weak_convexity(self) -> float:
        """-r'' at min(1, eps / sqrt(3)), where it is largest on [0, 1]."""
        return self._bend(min(1.0 / self.eps, 1.0 / math.sqrt(3.0)))

    @property
    def weak_convexity_unbounded(self) -> float:
        """-r'' at eps / sqrt(3)."""
        return self._bend(1.0 / math.sqrt(3.0))


def _cubic_roots(a: Array, b: Array, k: Array, xp: Namespace) -> tuple[Array, Array]:
    """Return the smallest and the largest real root of (y - a)(y^2 + b) + k (Cardano, Viete)."""
    third = a / 3
    linear = b - 3 * third * third
    half = 0.5 * k - third * (b + third * third)
    discriminant = half * half + linear * linear * linear / 27
    # One real root: two cube roots, the second by the product of the two, which does not cancel.
    root = xp.sqrt(xp.maximum(discriminant, xp.zeros_like(discriminant)))
    cube = xp.abs(half) + root
    first = xp.where(half > 0, -1.0, 1.0) * cube ** (1 / 3)
    safe = xp.where(first == 0, xp.ones_like(first), first)
    single = third + (first - linear / (3 * safe))
    # Three: the cosine of the third of an angle.
    radius = xp.sqrt(xp.maximum(-linear / 3, xp.zeros_like(linear)))
    size = radius * radius * radius
    ratio = -half / xp.where(size > 0, size, xp.ones_like(size))
    cosine = xp.cos(xp.acos(clip(ratio, -xp.ones_like(ratio), xp.ones_like(ratio), xp)) / 3)
    sine = xp.sqrt(xp.maximum(1 - cosine * cosine, xp.zeros_like(cosine)))
    largest = third + 2 * radius * cosine
    smallest = third - radius * (cosine + math.sqrt(3.0) * sine)
    three = discriminant < 0
    return xp.where(three, smallest, single), xp.where(three, largest, single)


def _polished(y: Array, a: Array, b: Array, k: Array, xp: Namespace) -> Array:
    """Return a root of y - a + k / (b + y^2) after two Newton steps, which undo the cancellation above."""
    for _ in range(2):
        base = b + y * y
        pull = k / base
        slope = 1 - 2 * y * pull / base
        regular = slope > 1e-3
        step = xp.where(regular, y - a + pull, xp.zeros_like(y)) / xp.where(regular, slope, xp.ones_like(y))
        y = y - step
    return y
