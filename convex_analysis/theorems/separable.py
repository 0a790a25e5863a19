"""Rigorous extremes of the separable functions of T13 and T14, cell by cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convex_analysis.constants import NormalisedPenalty, SlopeLine
from convex_analysis.losses.loss import Vector

Array = NDArray[np.float64]


def cell_nodes() -> Vector:
    """Return the ends of the cells of [0, 1], denser towards both ends."""
    ends = np.geomspace(1e-7, 0.05, 40)
    return np.unique(np.concatenate([[0.0, 1.0], ends, 1.0 - ends, np.linspace(0.0, 1.0, 81)]))


@dataclass(frozen=True, eq=False)
class Minorants:
    """Quadratics ``q s^2 + line s + e`` below a function P on each cell, several a cell.

    Attributes
    ----------
    nodes
        Ends of the cells, shape (cells + 1,), from 0 to 1.
    q, line, e
        Shape (minorants, cells) each; on the first cell e is zero.
    """

    nodes: Vector
    q: Array
    line: Array
    e: Array

    def least(self, square: Vector, linear: Vector, beyond: float = 0.0) -> Vector:
        """Return lower bounds of ``min over [beyond, 1] of square s^2 + linear s + P(s)``."""
        low, high = self.nodes[:-1], self.nodes[1:]
        kept = high > beyond
        low = np.maximum(low, beyond)[kept]
        values = _quadratic_minimum(
            square[:, None, None] + self.q[None, :, kept],
            linear[:, None, None] + self.line[None, :, kept],
            self.e[None, :, kept],
            low,
            high[kept],
        )
        least: Vector = values.max(axis=1).min(axis=1)
        return least

    def dual(self, square: Vector, linear: Vector, tau: float) -> Vector:
        """Return upper bounds of ``max over [0, 1] of s^2 - tau (square s^2 + linear s + P(s))``."""
        with np.errstate(invalid="ignore"):
            values = -_quadratic_minimum(
                tau * (square[:, None, None] + self.q) - 1.0,
                tau * (linear[:, None, None] + self.line),
                tau * self.e[None],
                self.nodes[:-1],
                self.nodes[1:],
            )
        greatest: Vector = values.min(axis=1).max(axis=1)
        return greatest

    def positive_until(self, square: Vector, linear: Vector) -> Vector:
        """Return for each coordinate an s with ``square s^2 + linear s + P(s) > 0`` on (0, s]."""
        low, high = self.nodes[:-1], self.nodes[1:]
        a = square[:, None, None] + self.q
        b = linear[:, None, None] + self.line
        positive = np.asarray((_quadratic_minimum(a, b, self.e[None], low, high) > 0.0).any(axis=1))
        # On the first cell everything vanishes at zero: look at the quotient by s.
        first_a, first_b = a[:, :, 0], b[:, :, 0]
        far = first_a * high[0] + first_b
        at_zero = (first_b > 0.0) | ((first_b == 0.0) & (first_a > 0.0))
        positive[:, 0] = (at_zero & (far > 0.0) & (self.e[None, :, 0] >= 0.0)).any(axis=1)
        failed = np.logical_not(positive)
        index = np.where(failed.any(axis=1), failed.argmax(axis=1), positive.shape[1])
        until: Vector = self.nodes[index]
        return until


def _quadratic_minimum(a: Array, b: Array, e: Array, low: Array, high: Array) -> Array:
    """Return the minimum of ``a s^2 + b s + e`` over [low, high]; -inf where b is -inf and high > 0."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        at_low = np.where(low > 0, (a * low + b) * low, 0.0)
        ends = np.minimum(at_low, (a * high + b) * high)
        vertex = np.where(a > 0, -0.5 * b / np.where(a > 0, a, 1.0), low)
        vertex = np.clip(np.where(np.isfinite(vertex), vertex, low), low, high)
        inside = np.where(vertex > 0, (a * vertex + b) * vertex, 0.0)
        minimum: Array = np.minimum(ends, inside) + e
        return np.where(np.isnan(minimum), -np.inf, minimum)


def level_minorants(penalty: NormalisedPenalty, lam: float, on_support: bool) -> Minorants:
    """Return minorants of T13's penalty part: ``-lam (1 - r(1 - s))`` on S, ``lam r(s)`` off S."""
    nodes = cell_nodes()
    c, rho = penalty.curvature.value, penalty.weak_convexity.value
    values = lam * (penalty.value(1.0 - nodes) - 1.0) if on_support else lam * penalty.value(nodes)
    values[0] = 0.0
    slope = np.diff(values) / np.diff(nodes)
    count = slope.size
    # r is concave: on a cell it lies above its chord (lowered by what rounding may have added where it
    # is steep).
    rounding = 4.0 * np.finfo(float).eps * (np.abs(slope) * nodes[1:] + np.abs(values).max())
    rows = [(np.zeros(count), slope, values[:-1] - slope * nodes[:-1] - rounding)]
    zero = np.zeros(count)
    if on_support:
        rows.append((np.full(count, -lam * c), np.full(count, -lam * (1.0 - c)), zero))
        if np.isfinite(rho):
            last = penalty.slope_at_one.value
            rows.append((np.full(count, -0.5 * lam * rho), np.full(count, -lam * last), zero))
    else:
        rows.append((np.full(count, -lam * c), np.full(count, lam * (1.0 + c)), zero))
    q, line, e = (np.array(part) for part in zip(*rows, strict=True))
    e[:, 0] = 0.0
    return Minorants(nodes, q, line, e)


def stationary_minorants(
    penalty: NormalisedPenalty, lines: list[SlopeLine], lam: float, on_support: bool
) -> Minorants:
    """Return minorants of T14's penalty part: ``-lam r'(1 - s) s`` on S, ``lam r'(s) s`` off S."""
    nodes = cell_nodes()
    # r' is nonincreasing: on a cell its value at the far end bounds it.
    slopes = penalty.slope(1.0 - nodes[1:]) if on_support else penalty.slope(nodes[1:])
    count = slopes.size
    zero = np.zeros(count)
    with np.errstate(invalid="ignore"):
        signed = np.where(lam > 0, -lam * slopes if on_support else lam * slopes, 0.0)
    rows = [(zero, signed, zero)]
    for line in lines:
        if np.isfinite(line.b):
            first = -lam * line.a if on_support else lam * line.a0
            rows.append((np.full(count, -lam * line.b), np.full(count, first), zero))
    q, linear, e = (np.array(part) for part in zip(*rows, strict=True))
    return Minorants(nodes, q, linear, e)


@dataclass(frozen=True, eq=False)
class SeparableFunction:
    """``sum_j square_j s_j^2 + linear_j s_j + P_j(s_j)`` with one penalty part on S and one off S.

    Attributes
    ----------
    square, linear
        Shape (n_features,).
    support
        The set S.
    on, off
        Minorants of the two penalty parts.
    """

    square: Vector
    linear: Vector
    support: NDArray[np.bool_]
    on: Minorants
    off: Minorants

    def least(self, beyond: float = 0.0) -> Vector:
        """Return a lower bound of each coordinate's minimum over [beyond, 1]."""
        return self._each(lambda part, square, linear: part.least(square, linear, beyond))

    def positive_until(self) -> float:
        """Return an s such that every coordinate's function is positive on (0, s]; 1 if everywhere."""
        until = self._each(lambda part, square, linear: part.positive_until(square, linear))
        return float(until.min(initial=1.0))

    def error_bound(self, excess: float) -> float:
        """Return an upper bound of ||s||_2 over the unit box where the sum is at most excess."""

        def dual(exponent: float) -> float:
            tau = float(np.exp(exponent))
            part = self._each(lambda part, square, linear: part.dual(square, linear, tau))
            return tau * excess + float(part.sum())

        scale = float(np.max(self.square, initial=0.0))
        if scale == 0.0:
            return float(np.sqrt(self.square.size))
        grid = np.linspace(np.log(1e-2), np.log(1e7), 22) - np.log(scale)
        values = [dual(point) for point in grid]
        best = int(np.argmin(values))
        smallest = min(float(self.square.size), values[best])
        low, high = grid[max(best - 1, 0)], grid[min(best + 1, grid.size - 1)]
        left, right = low + 0.382 * (high - low), low + 0.618 * (high - low)
        at_left, at_right = dual(left), dual(right)
        for _ in range(16):  # golden sections: any tau is valid, so there is no need to be exact
            smallest = min(smallest, at_left, at_right)
            if at_left <= at_right:
                high, right, at_right = right, left, at_left
                left = low + 0.382 * (high - low)
                at_left = dual(left)
            else:
                low, left, at_left = left, right, at_right
                right = low + 0.618 * (high - low)
                at_right = dual(right)
        return float(np.sqrt(max(min(smallest, at_left, at_right), 0.0)))

    def _each(self, function: Callable[[Minorants, Vector, Vector], Vector]) -> Vector:
        values = np.zeros(self.square.size)
        for part, chosen in ((self.on, self.support), (self.off, ~self.support)):
            if chosen.any():
                values[chosen] = function(part, self.square[chosen], self.linear[chosen])
        return values
