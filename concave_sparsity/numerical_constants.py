"""The constants of a penalty of which nothing is known but its value and derivative.

A concave r has a falling slope r', whose jumps and steepest fall are sought on a grid that is geometric
towards 0 (and towards the other end), then in ever smaller cells around what the grid found.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from concave_sparsity.arrays import Array, Namespace

Function = Callable[[Any], Any]
Floats = NDArray[np.float64]

# A fall of the slope over a cell shrunk to rounding that is larger than this share of the slope is a jump.
_JUMP = 1e-8


def _at(function: Function, t: Floats | float) -> Floats:
    """Return the function on a float64 array, quietly."""
    t = np.atleast_1d(np.asarray(t, dtype=np.float64))
    with np.errstate(all="ignore"):
        y = np.asarray(function(t), dtype=np.float64)
    # A user's constant may come back as one number.
    return np.array(np.broadcast_to(y, t.shape))


def slope_at_zero(derivative: Function) -> float:
    """Return r'(0+): the derivative at 0, or its limit where that gives NaN."""
    slope = float(_at(derivative, 0.0)[0])
    if math.isnan(slope):
        slope = float(_at(derivative, 1e-300)[0])
    return slope


def slope_at_one(derivative: Function) -> float:
    """Return r'(1-), the derivative at the last number below 1."""
    return float(_at(derivative, math.nextafter(1.0, 0.0))[0])


def curvature(value: Function, derivative: Function) -> float:
    """Return the infimum over (0, 1) of (r(t) - r(1) t) / (t (1 - t)).

    As r(t)/t falls and the slope of the chord to (1, r(1)) rises, the ratio between 0 and the first node, and
    between the last one and 1, is not below its values at their ends but for a relative 1e-6 at worst; the
    limits at 0 and 1 are r'(0) - r(1) and r(1) - r'(1). At those nodes cancellation costs about 1e-9.
    """
    end = float(_at(value, 1.0)[0])

    def ratio(t: Floats) -> Floats:
        return np.asarray((_at(value, t) - end * t) / (t * (1 - t)))

    side = np.geomspace(1e-6, 0.5, 2001)
    t = np.concatenate([side, 1 - side[-2::-1]])
    y = ratio(t)
    for _ in range(4):
        # The cells on both sides of the lowest nodes, where the infimum hides between nodes.
        lowest = np.argsort(y, kind="stable")[:8]
        left, right = t[np.maximum(lowest - 1, 0)], t[np.minimum(lowest + 1, t.size - 1)]
        t = np.unique(np.linspace(left, right, 65))
        y = ratio(t)
        best = float(np.min(y))
    best = min(best, slope_at_zero(derivative) - end, end - slope_at_one(derivative))
    return max(0.0, best)


def _grid(upper: float) -> Floats:
    """Return nodes of [0, upper], geometric towards both ends and even between, upper itself left out."""
    last = math.nextafter(upper, 0.0)
    side = np.geomspace(1e-10, 0.5, 1500) * upper
    fine = np.geomspace(1e-10, 1.0, 2000) if upper > 1 else np.empty(0)
    even = np.linspace(0.0, last, 2001)
    return np.unique(np.minimum(np.concatenate([even, side, fine, upper - side, [0.0, last]]), last))


def _jumps(derivative: Function, upper: float) -> Floats:
    """Return the points of (0, upper) where the slope jumps, increasing."""
    t = _grid(upper)
    slope = _at(derivative, t)
    left, right, above, below = t[1:-1], t[2:], slope[1:-1], slope[2:]
    # What counts as a jump is measured by the slope at half the distance, as the slope here may be near 0.
    least = _JUMP * _at(derivative, 0.5 * left)
    for _ in range(80):
        keep = above - below > least
        left, right, above, below, least = (x[keep] for x in (left, right, above, below, least))
        if left.size == 0:
            break
        middle = 0.5 * (left + right)
        between = _at(derivative, middle)
        first = above - between >= between - below
        left, above = np.where(first, left, middle), np.where(first, above, between)
        right, below = np.where(first, middle, right), np.where(first, between, below)
    # A cell that came down to two neighbouring numbers holds its jump at one of them: the right one, where a
    # derivative that takes the right limit has fallen.
    return np.unique(right)


def kinks(derivative: Function, upper: float) -> tuple[float, ...]:
    """Return the points of (0, upper) where the slope jumps, increasing."""
    return tuple(float(t) for t in _jumps(derivative, upper))


def weak_convexity(derivative: Function, upper: float) -> float:
    """Return the least rho such that r + rho t^2 / 2 is convex on [0, upper], the supremum of -r''."""
    if math.isinf(slope_at_zero(derivative)) or _jumps(derivative, upper).size:
        return math.inf
    t = _grid(upper)
    slope = _at(derivative, t)
    width = np.diff(t)
    # Slopes are taken to carry rounding in proportion to the slope at half the distance, as r' may be near 0.
    noise = 4e-16 * _at(derivative, 0.5 * t[:-1]) / width
    steepness = -np.diff(slope) / width
    # The mean steepness of a cell is a lower bound where it stands out from the rounding; at the ends and
    # around the steepest cells extrapolate to the point.
    best = max(0.0, float(np.max(np.where(steepness > 1e9 * noise, steepness, 0.0))))
    best = max(best, float(np.max(_steepness_at(derivative, t[[0, -1]], upper))))
    for cell in np.argsort(noise - steepness, kind="stable")[:3]:
        left, right = t[max(cell - 2, 0)], t[min(cell + 3, t.size - 1)]
        for _ in range(4):
            points = np.linspace(left, right, 33)
            fits = _steepness_at(derivative, points, upper)
            top = int(np.argmax(fits))
            best = max(best, float(fits[top]))
            left, right = points[max(top - 1, 0)], points[min(top + 1, 32)]
    return best


def _steepness_at(derivative: Function, t: Floats, upper: float) -> Floats:
    """Return -r''(t) by differences of the slope over shrinking steps, extrapolated (Richardson, Ridders)."""
    levels, columns = 72, 8
    last = math.nextafter(upper, 0.0)
    room_left, room_right = t, last - t
    # Central where there is room on both sides, else one-sided.
    central = (room_left > 1e-3 * room_right) & (room_right > 1e-3 * room_left)
    forward = ~central & (room_right >= room_left)
    reach = np.where(central, np.minimum(room_left, room_right), np.maximum(room_left, room_right))
    step = 0.5 * reach * 0.5 ** np.arange(levels)[:, None]
    high = np.where(central | forward, t + step, t)
    low = np.where(central | ~forward, t - step, t)
    width = np.where(high > low, high - low, math.nan)
    quotient = (_at(derivative, low) - _at(derivative, high)) / width
    noise = 4e-16 * _at(derivative, 0.5 * low) / width
    best = np.zeros(t.shape)
    least = np.full(t.shape, math.inf)
    previous = quotient
    for column in range(1, columns):
        gain = np.where(central, 4.0**column, 2.0**column)
        current = previous[1:] + (previous[1:] - previous[:-1]) / (gain - 1)
        error = np.maximum(np.abs(current - previous[1:]), np.abs(current - previous[:-1])) + noise[column:]
        # The next shorter step must agree too: steps that reach over a jump of r'' can agree by accident.
        error[:-1] = np.maximum(error[:-1], np.abs(current[1:] - current[:-1]))
        error[-1] = math.inf
        # Relative, as over steps far beyond the scale of r both the estimate and its changes are tiny.
        size = np.abs(current)
        error = np.where(np.isfinite(error) & (size > 0), error, math.inf) / np.where(size > 0, size, 1.0)
        row = np.argmin(error, axis=0)
        pick = np.arange(t.size)
        better = error[row, pick] < least
        best = np.where(better, current[row, pick], best)
        least = np.where(better, error[row, pick], least)
        previous = current
    # Where no extrapolation settled (r'' jumps nearby) say nothing: the cell's mean stands.
    settled = (least <= 1e-7) | (least <= 1e-9 / np.maximum(np.abs(best), 1e-30))
    return np.where(settled, best, 0.0)


def flat_from(derivative: Function) -> float:
    """Return the least a such that the derivative is exactly 0 from a on, inf if it is not 0 at 1e12."""
    low, high = 1e-30, 1e12
    if float(_at(derivative, high)[0]) != 0:
        return math.inf
    if float(_at(derivative, low)[0]) == 0:
        return 0.0
    # The slope falls, so its zeros are an interval; halve in the exponent first, then in the number.
    for _ in range(120):
        middle = math.sqrt(low * high) if high > 2 * low else 0.5 * (low + high)
        if not low < middle < high:
            break
        if float(_at(derivative, middle)[0]) == 0:
            high = middle
        else:
            low = middle
    return high


def slope_of_slope(derivative: Function, t: Array, xp: Namespace) -> Array:
    """Return r''(t) by a central difference of sixth order of the derivative, steps a hundredth of t."""
    wide = xp.astype(t, xp.float64)
    base = xp.maximum(wide, xp.full_like(wide, 1e-8))
    step = 0.01 * base
    total = sum(
        weight * (derivative(base + k * step) - derivative(base - k * step))
        for k, weight in ((1, 45), (2, -9), (3, 1))
    )
    return xp.astype(total / (60 * step), t.dtype)
