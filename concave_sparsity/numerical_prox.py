"""The proximal operator of a penalty of which nothing is known but its value and derivative."""

from __future__ import annotations

from collections.abc import Callable

from concave_sparsity.arrays import Array, Namespace
from concave_sparsity.proximal import improvement

_NODES = 200
_BISECTIONS = 60


def interval_prox(
    value: Callable[[Array], Array],
    derivative: Callable[[Array], Array],
    w: Array,
    step: Array,
    lower: Array,
    upper: Array,
    xp: Namespace,
) -> Array:
    """Minimise 1/2 (t - w)^2 + step r(t) over [lower, upper] by a grid and bisection of the stationarity."""
    width = upper - lower
    best = lower + 0.0 * (w + step)
    left, right = best, best
    previous = best
    pending = xp.zeros_like(best) > 1
    for k in range(1, _NODES + 1):
        node = lower + width * (k / _NODES) ** 3 if k < _NODES else upper + 0.0 * best
        right = xp.where(pending, node, right)
        better = improvement(value, w, step, best, node) < 0
        left = xp.where(better, previous, left)
        right = xp.where(better, node, right)
        best = xp.where(better, node, best)
        pending = better
        previous = node
    # A minimum is where the objective's slope passes from negative to positive.
    for _ in range(_BISECTIONS):
        middle = 0.5 * (left + right)
        falling = middle - w + step * derivative(middle) < 0
        left = xp.where(falling, middle, left)
        right = xp.where(falling, right, middle)
    for refined in (left, right):
        better = improvement(value, w, step, best, refined) < 0
        best = xp.where(better, refined, best)
    return best
