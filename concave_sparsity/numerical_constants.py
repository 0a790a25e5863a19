"""The constants of a penalty of which nothing is known but its value and derivative."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Function = Callable[[Any], Any]


def _at(function: Function, t: float) -> float:
    with np.errstate(all="ignore"):
        return float(np.asarray(function(np.asarray([t], dtype=np.float64))).reshape(-1)[0])


def slope_at_zero(derivative: Function) -> float:
    """Return r'(0+)."""
    return _at(derivative, 0.0)


def slope_at_one(derivative: Function) -> float:
    """Return r'(1-)."""
    return _at(derivative, math.nextafter(1.0, 0.0))


def curvature(value: Function, derivative: Function) -> float:
    """Return inf over (0, 1) of (r(t) - r(1) t) / (t (1 - t))."""
    one = _at(value, 1.0)
    t = np.concatenate([np.geomspace(1e-7, 0.5, 4001), 1 - np.geomspace(1e-7, 0.5, 4001)])
    with np.errstate(all="ignore"):
        ratio = (np.asarray(value(t)) - one * t) / (t * (1 - t))
    ends = (slope_at_zero(derivative) - one, one - slope_at_one(derivative))
    return max(0.0, min(float(np.min(ratio)), *ends))


def weak_convexity(derivative: Function) -> float:
    """Return the least rho such that r + rho t^2 / 2 is convex on [0, 1]."""
    if math.isinf(slope_at_zero(derivative)):
        return math.inf
    t = np.concatenate([[0.0], np.geomspace(1e-9, 1.0, 20001)])
    with np.errstate(all="ignore"):
        slopes = np.asarray(derivative(t))
    return max(0.0, float(np.max(-np.diff(slopes) / np.diff(t))))


def flat_from(derivative: Function) -> float:
    """Return the least a with r' = 0 on [a, inf)."""
    low, high = 0.0, 1e12
    if _at(derivative, high) != 0:
        return math.inf
    for _ in range(200):
        middle = 0.5 * (low + high) if low > 1e-3 * high else max(math.sqrt(low * high), 1e-3 * high)
        if _at(derivative, middle) == 0:
            high = middle
        else:
            low = middle
    return high
