"""What the families of this package share: formulas on floating arrays, and the prox of a convex slope."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence

from concave_sparsity.arrays import Array, Namespace, Real, elementwise
from concave_sparsity.penalty import Penalty
from concave_sparsity.proximal import best_of, clip


class Family(Penalty):
    """A penalty given by formulas on floating arrays; floats, integers, half precision are seen to here."""

    @abstractmethod
    def _value(self, t: Array, xp: Namespace) -> Array:
        """Return r(t) on a floating array."""

    @abstractmethod
    def _derivative(self, t: Array, xp: Namespace) -> Array:
        """Return r'(t) on a floating array."""

    @abstractmethod
    def _second_derivative(self, t: Array, xp: Namespace) -> Array:
        """Return r''(t) on a floating array."""

    def value(self, t: Real) -> Real:
        """Return r(t) for t >= 0, elementwise; see `Penalty.value`."""
        return elementwise(self._value, t)

    def derivative(self, t: Real) -> Real:
        """Return r'(t) for t >= 0, elementwise; see `Penalty.derivative`."""
        return elementwise(self._derivative, t)

    def second_derivative(self, t: Real) -> Real:
        """Return r''(t) for t >= 0, elementwise; see `Penalty.second_derivative`."""
        return elementwise(self._second_derivative, t)

    def _best_of(self, w: Array, step: Array, candidates: Sequence[Array], xp: Namespace) -> Array:
        return best_of(lambda t: self._value(t, xp), w, step, candidates, xp)

    # True of every family but those with a flat part, which say otherwise.

    @property
    def flat_from(self) -> float:
        """Infinity: the slope is nowhere zero."""
        return math.inf

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """None: one formula holds everywhere."""
        return ()

    @property
    def kinks(self) -> tuple[float, ...]:
        """None: r is differentiable on (0, inf)."""
        return ()


class ConvexSlopeFamily(Family):
    """A family whose slope r' is convex, so that r'' is most negative at 0.

    Then t - w + step r'(t) is convex in t and has at most two zeros, of which the larger is the only interior
    minimum of the prox objective: it has to be compared with the lower end of the interval and nothing else.
    """

    @abstractmethod
    def _stationary_point(self, w: Array, step: Array, xp: Namespace) -> Array:
        """Return the larger zero of t - w + step r'(t); any number where there is none."""

    def interval_prox(self, w: Array, step: Array, lower: Array, upper: Array, xp: Namespace) -> Array:
        """Compare the larger stationary point with the lower end; see `Penalty.interval_prox`."""
        t = clip(self._stationary_point(w, step, xp), lower, upper, xp)
        return self._best_of(w, step, (lower, t), xp)

    @property
    def curvature(self) -> float:
        """1 - r'(1): as a convex slope lies below its chord, r'(0) - 1 is not smaller."""
        return max(0.0, 1.0 - self.slope_at_one)

    @property
    def weak_convexity_unbounded(self) -> float:
        """-r''(0), as on [0, 1]."""
        return self.weak_convexity
