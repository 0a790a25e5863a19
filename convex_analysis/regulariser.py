"""Regularisers: a concave penalty of each coordinate, or of the Euclidean norm of each group of them."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from convex_analysis.design import Indices
from convex_analysis.kernels.box_support import box_support
from convex_analysis.kernels.stationarity import box_violations
from convex_analysis.losses.loss import Vector

if TYPE_CHECKING:
    from concave_sparsity import Penalty

_NONE = np.empty(0)
_FAR = np.array([1e150])
# Sizes, in units of the penalty, among which the least slope of entry is sought.
_SIZES = np.geomspace(1e-8, 1e8, 400)


class Entries(NamedTuple):
    """Where a point is not zero, and how large it is there in units of the penalty."""

    support: Indices
    sizes: Vector


class Strength:
    """A penalty with what is computed of it once: whether it is straight, slope at zero, chords."""

    def __init__(self, penalty: Penalty) -> None:
        self.penalty = penalty
        self.slope_at_zero = float(penalty.slope_at_zero)
        with np.errstate(over="ignore"):  # a user's penalty may not be meant for sizes that far
            far = float(penalty.derivative(_FAR)[0])
        self.straight = bool(np.isfinite(far)) and self.slope_at_zero <= far * (1.0 + 1e-12)
        self._chords: Vector | None = None

    @property
    def flattens(self) -> bool:
        """Whether the slope falls smoothly to zero at some size: of the families, MCP and SCAD.

        Measured on nine dense designs, runs from zero then end at about the same objective (MCP 0.3%
        lower, SCAD 0.5% higher) as from a rough l1 solution, in two thirds of the time or less; on sparse
        designs of short columns higher, but in a tenth of the time, and no higher than a peer's from zero.
        With log, l_q, exponential and capped penalties they end 1 to 20% higher.
        """
        return bool(np.isfinite([self.penalty.flat_from, self.penalty.weak_convexity]).all())

    @property
    def chords(self) -> Vector:
        """``r(t) / t`` at the sizes looked at."""
        if self._chords is None:
            self._chords = self.penalty.value(_SIZES) / _SIZES
        return self._chords


class Regulariser(ABC):
    """``sum_j scale_j r(units_j size_j)`` over coordinates or groups; on all of them or on some.

    Weights, bends and violations have one entry a coordinate: those of a group share its entry. The majorizer
    at a point is ``sum w_j |x_j|``, or ``sum w_g ||x_g||``.

    Parameters
    ----------
    strength
        The penalty r, with slope at zero and chords.
    scale
        ``lam factor_j`` of each coordinate (of its group), shape (p,).
    units
        The penalty sees ``units_j`` times the size, shape (p,).
    """

    separable: bool
    weights_at_zero: Vector
    """Those of the majorizer at zero, 0 where nothing is charged: of a straight penalty those everywhere."""

    def __init__(self, strength: Strength, scale: Vector, units: Vector) -> None:
        self.strength = strength
        self.penalty = strength.penalty
        self.scale, self.units = scale, units
        self.straight = strength.straight or not scale.any()
        self.weights_at_zero = np.zeros_like(scale)
        charged = scale > 0.0
        self.weights_at_zero[charged] = (scale * units)[charged] * strength.slope_at_zero

    @property
    def holds_zeros(self) -> bool:
        """Whether the slope at zero is infinite: a zero stays zero."""
        return bool(np.isinf(self.strength.slope_at_zero))

    def on(self, columns: Indices) -> Self:
        """Return the regulariser on some of these coordinates (whole groups)."""
        part = object.__new__(type(self))  # a tenth of the time of copy.copy
        part.__dict__.update(self.__dict__)
        part.scale, part.units = self.scale[columns], self.units[columns]
        part.weights_at_zero = self.weights_at_zero[columns]
        return part

    @abstractmethod
    def entries(self, x: Vector) -> Entries:
        """Return where x is not zero, and the sizes in units of the penalty there."""

    @abstractmethod
    def value(self, at: Entries) -> float:
        """Return the penalty, lam included."""

    @abstractmethod
    def weights(self, at: Entries) -> Vector:
        """Return the weights of the majorizer, shape (p,); inf at a zero with an infinite slope."""

    @abstractmethod
    def bend(self, at: Entries) -> Vector:
        """Return the penalty's second derivative in the size, not positive; 0 at zeros or where unknown."""

    @abstractmethod
    def sizes(self, x: Vector) -> Vector:
        """Return ``|x_j|``, or the norm of its group, for each coordinate."""

    @abstractmethod
    def norm(self, weights: Vector, x: Vector) -> float:
        """Return the majorizer's ``sum w |x|`` with finite weights."""

    @abstractmethod
    def violations(
        self, x: Vector, gradient: Vector, weights: Vector, lower: Vector, upper: Vector, out: Vector
    ) -> None:
        """Write how steeply ``gradient'x + norm`` falls along a feasible direction, 0 where it rises."""

    @abstractmethod
    def support_function(
        self, t: Vector, weights: Vector, lower: Vector, upper: Vector, ridge: Vector | None, growth: Vector
    ) -> float:
        """Return ``max over the box of t'x - norm(x) - ridge'x^2/2``, infinite directions aside.

        ``growth`` gets how fast each term increases in an infinite direction, 0 where it does not.
        """

    def majorizer(self, weights: Vector) -> Regulariser:
        """Return the norm with these finite weights as a regulariser: that of a convex step."""
        from concave_sparsity import L1

        other = copy.copy(self)
        Regulariser.__init__(other, Strength(L1()), weights, np.ones_like(weights))
        return other

    def complete(self, columns: Indices) -> Indices:
        """Return columns with all others of their groups, increasing."""
        return columns

    def shared(self, exponents: Indices) -> Indices:
        """Return the largest figure of each group for all of its coordinates."""
        return exponents


class Separable(Regulariser):
    """``sum_j scale_j r(units_j |x_j|)``."""

    separable = True

    def entries(self, x: Vector) -> Entries:
        """Return where x is not zero, and ``|u_j x_j|`` there."""
        support = np.flatnonzero(x)
        return Entries(support, self.units[support] * np.abs(x[support]))

    def value(self, at: Entries) -> float:
        """Return ``sum_j scale_j r(|u_j x_j|)``."""
        return float(self.scale[at.support] @ self.penalty.value(at.sizes))

    def weights(self, at: Entries) -> Vector:
        """Return ``scale_j u_j r'(|u_j x_j|)``; inf at a zero with an infinite slope."""
        weights = self.weights_at_zero.copy()
        slopes = self.penalty.derivative(at.sizes)
        weights[at.support] = self.scale[at.support] * self.units[at.support] * slopes
        return weights

    def bend(self, at: Entries) -> Vector:
        """Return ``scale_j u_j^2 r''(|u_j x_j|)``, not positive; 0 where x_j is 0 or r'' is unknown."""
        bend = np.zeros_like(self.scale)
        units = self.units[at.support]
        second = self.penalty.second_derivative(at.sizes) * (units * units * self.scale[at.support])
        bend[at.support] = np.fmin(second, 0.0)
        return bend

    def sizes(self, x: Vector) -> Vector:
        """Return ``|x|``."""
        return np.abs(x)

    def norm(self, weights: Vector, x: Vector) -> float:
        """Return ``weights'|x|``."""
        return float(weights @ np.abs(x))

    def violations(
        self, x: Vector, gradient: Vector, weights: Vector, lower: Vector, upper: Vector, out: Vector
    ) -> None:
        """Write each coordinate's distance from stationarity on the box."""
        box_violations(x, gradient, weights, lower, upper, out)

    def support_function(
        self, t: Vector, weights: Vector, lower: Vector, upper: Vector, ridge: Vector | None, growth: Vector
    ) -> float:
        """Sum the coordinates' maxima, each at zero, at an end of its interval, or at a vertex."""
        curvature = _NONE if ridge is None else ridge
        return float(box_support(t, weights, lower, upper, curvature, growth))

    # ---- one coordinate by itself: the local search

    def values(self, places: Indices, x: Vector) -> Vector:
        """Return ``scale_j r(|u_j x_j|)`` one by one, for the coordinates at the given places.

        ``x`` has one row a place, and perhaps columns.
        """
        shape = (-1,) + (1,) * (x.ndim - 1)
        units, scale = self.units[places].reshape(shape), self.scale[places].reshape(shape)
        values: Vector = scale * self.penalty.value(units * np.abs(x))
        return values

    def prox(
        self, places: Indices, target: Vector, curvature: Vector, lower: Vector, upper: Vector
    ) -> Vector:
        """Return the minimisers of ``curvature (x - target)^2 / 2 + scale r(|u x|)``, one by one."""
        units = self.units[places]
        step = self.scale[places] * units * units / curvature
        low, high = lower[places], upper[places]
        point = self.penalty.prox(units * target, step, units * low, units * high) / units
        clipped: Vector = np.clip(point, low, high)
        return clipped

    def entry_slope(self, curvature: Vector) -> Vector:
        """Return slopes below which a zero is the global minimum of its one-dimensional problem.

        A zero leaves for t only if ``|g| t > curvature t^2 / 2 + scale r(u t)``; the least of
        ``curvature t / 2 + scale r(u t) / t`` is found on a grid for the flattest coordinate, which
        bounds those of the others, less a margin for the grid.
        """
        charged = (self.scale > 0.0) & (curvature > 0.0)
        if not charged.any():
            return np.zeros_like(self.scale)
        slope = self.scale * self.units
        with np.errstate(over="ignore", divide="ignore"):  # a vanishing lam
            flattest = float((curvature[charged] / (slope * self.units)[charged]).min())
            least = float((0.5 * flattest * _SIZES + self.strength.chords).min())
        slopes: Vector = 0.95 * min(least, 1e300) * slope
        return slopes


class Grouped(Regulariser):
    """``sum_g scale_g r(units_g ||x_g||)`` over disjoint groups of coordinates, without bounds.

    Parameters
    ----------
    strength, scale, units
        As in `Regulariser`; the coordinates of a group have equal entries.
    group
        Group of each coordinate, shape (p,), any integers.
    """

    separable = False

    def __init__(self, strength: Strength, scale: Vector, units: Vector, group: Indices) -> None:
        super().__init__(strength, scale, units)
        self._arrange(group)

    def _arrange(self, group: Indices) -> None:
        self.group = group
        self.members = np.argsort(group, kind="stable")
        _, first, self._place = np.unique(group[self.members], return_index=True, return_inverse=True)
        self.starts = np.append(first, group.size)
        self._first = self.members[first] if group.size else self.members
        self._of = np.empty_like(self.members)
        self._of[self.members] = self._place

    def on(self, columns: Indices) -> Self:
        """Return the regulariser on some of these coordinates (whole groups)."""
        part = super().on(columns)
        part._arrange(self.group[columns])
        return part

    def complete(self, columns: Indices) -> Indices:
        """Return columns with all others of their groups, increasing."""
        wanted = np.zeros(self.starts.size - 1, dtype=bool)
        wanted[self._of[columns]] = True
        return np.flatnonzero(wanted[self._of])

    def shared(self, exponents: Indices) -> Indices:
        """Return the largest figure of each group for all of its coordinates."""
        return np.maximum.reduceat(exponents[self.members], self.starts[:-1])[self._of]

    def total(self, entries: Vector) -> Vector:
        """Return the sum of each group's entries, in the order of their numbers."""
        return np.bincount(self._of, entries, minlength=self.starts.size - 1).astype(np.float64, copy=False)

    def entry(self, entries: NDArray[Any]) -> NDArray[Any]:
        """Return one entry of each group (its first)."""
        return entries[self._first]

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return each group's value for all of its coordinates."""
        return values[self._of]

    def norms(self, x: Vector) -> Vector:
        """Return the Euclidean norm of each group, in the order of their numbers."""
        return np.sqrt(self.total(x * x))

    def entries(self, x: Vector) -> Entries:
        """Return the groups that are not zero, and their norms in units of the penalty."""
        norms = self.norms(x)
        alive = np.flatnonzero(norms)
        return Entries(alive, self.units[self._first[alive]] * norms[alive])

    def value(self, at: Entries) -> float:
        """Return ``sum_g scale_g r(u_g ||x_g||)``."""
        return float(self.scale[self._first[at.support]] @ self.penalty.value(at.sizes))

    def weights(self, at: Entries) -> Vector:
        """Return ``scale_g u_g r'(u_g ||x_g||)`` for each coordinate of a group."""
        weights = self.weights_at_zero[self._first]
        first = self._first[at.support]
        weights[at.support] = self.scale[first] * self.units[first] * self.penalty.derivative(at.sizes)
        return weights[self._of]

    def bend(self, at: Entries) -> Vector:
        """Return ``scale_g u_g^2 r''(u_g ||x_g||)`` for each coordinate of a group, not positive."""
        bend = np.zeros(self._first.size)
        first = self._first[at.support]
        second = self.penalty.second_derivative(at.sizes) * (self.units[first] ** 2 * self.scale[first])
        bend[at.support] = np.fmin(second, 0.0)
        return bend[self._of]

    def sizes(self, x: Vector) -> Vector:
        """Return ``||x_g||`` for each coordinate of a group."""
        return self.norms(x)[self._of]

    def norm(self, weights: Vector, x: Vector) -> float:
        """Return ``sum_g w_g ||x_g||``."""
        return float(weights[self._first] @ self.norms(x))

    def violations(
        self, x: Vector, gradient: Vector, weights: Vector, lower: Vector, upper: Vector, out: Vector
    ) -> None:
        """Write each group's distance from stationarity, for each of its coordinates; 0 for one left out."""
        norms = self.sizes(x)
        alive = norms > 0.0
        pull = gradient.copy()
        pull[alive] += weights[alive] * x[alive] / norms[alive]
        size = self.sizes(pull)
        out[...] = np.where(alive, size, np.maximum(size - weights, 0.0))
        out[lower == upper] = 0.0

    def support_function(
        self, t: Vector, weights: Vector, lower: Vector, upper: Vector, ridge: Vector | None, growth: Vector
    ) -> float:
        """Sum over groups: zero where ``||t_g|| <= w_g``, else a parabola's height with a ridge, or infinite.

        The least ridge coefficient of a group stands for all, so that the sum is never too small.
        """
        excess = np.maximum(self.norms(t) - weights[self._first], 0.0)
        excess[np.isinf(weights[self._first]) | (lower == upper)[self._first]] = 0.0
        if ridge is None:
            growth[...] = excess[self._of]
            return 0.0
        least = np.minimum.reduceat(ridge[self.members], self.starts[:-1])
        curved = least > 0.0
        growth[...] = np.where(curved, 0.0, excess)[self._of]
        return float(np.sum(0.5 * excess[curved] ** 2 / least[curved]))
