"""The prox of a penalty of which nothing is known but its value and derivative: a search with lower bounds.

On a cell [a, b] the concave r lies above its chord, so the objective lies above a parabola whose minimum
over the cell is known. Cells whose bound is not below the best objective found are dropped, the others cut
in four, until they are narrower than 1e-7 of the interval; then the zero of the objective's slope beside the
best point is found by bisection. Nothing is assumed of where r bends, how fast, or how many minima there are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from concave_sparsity.arrays import NUMPY, Array, Namespace, device

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Function = Callable[[Floats], Floats]

_CUTS = 10
_BISECTIONS = 45
# More cells of one element than this are possible only where the objective is flat to rounding.
_CELLS = 64
# Elements worked on together, so that their cells stay in the processor's cache.
_TOGETHER = 1024

# The first cells: geometric towards the lower end, where a slope can be infinite, and even.
_FIRST = np.unique(np.concatenate([[0.0], 0.5 ** np.arange(4.0, 52.0, 1.5), np.linspace(0.0, 1.0, 17)]))


def interval_prox(
    value: Callable[[Any], Any],
    derivative: Callable[[Any], Any],
    w: Array,
    step: Array,
    lower: Array,
    upper: Array,
    xp: Namespace,
) -> Array:
    """Minimise 1/2 (t - w)^2 + step r(t) over [lower, upper]; see `Penalty.interval_prox`.

    Computes in float64 on the processor, whatever the arrays; the penalty sees arrays of their namespace.

    Returns
    -------
    array
        Points whose objective is within a few units of rounding of the global minimum. The points themselves
        are right to about 1e-12 where the objective is well curved there, and to the square root of rounding
        where it is flat.
    """

    def on_device(function: Callable[[Any], Any]) -> Function:
        def call(t: Floats) -> Floats:
            y = function(t if xp is NUMPY else xp.asarray(t, device=device(w)))
            return np.broadcast_to(_to_numpy(y), t.shape)

        return call

    # A derivative may be asked at its infinite end; an element that is not finite is settled elsewhere.
    arrays = [_to_numpy(x) for x in (w, step, lower, upper)]
    shape = np.broadcast_shapes(*(x.shape for x in arrays))
    flat = [np.broadcast_to(x, shape).reshape(-1) for x in arrays]
    t = np.array(flat[2])
    open_ = np.flatnonzero(np.isfinite(flat[0]) & (flat[3] > flat[2]))
    with np.errstate(all="ignore"):
        for start in range(0, open_.size, _TOGETHER):
            some = open_[start : start + _TOGETHER]
            t[some] = _search(on_device(value), on_device(derivative), *(x[some] for x in flat))
    t = t.reshape(shape)
    if xp is NUMPY:
        return t.astype(w.dtype)
    return xp.astype(xp.asarray(t, device=device(w)), w.dtype)


def _to_numpy(x: Any) -> Floats:
    """Return any array as float64 numpy, detached from whatever records its gradient."""
    if hasattr(x, "detach"):
        x = x.detach().cpu()
    return np.asarray(x, dtype=np.float64)


class _Objective:
    """The objective less its value at the lower end, by element, free of the cancellation at large w."""

    def __init__(self, value: Function, w: Floats, step: Floats, lower: Floats) -> None:
        self.value, self.w, self.step, self.lower = value, w, step, lower
        self.at_lower = value(lower)

    def __call__(self, owner: Integers, t: Floats, r: Floats) -> Floats:
        """Return the objective of the elements ``owner`` at t, where the penalty is r."""
        lower, w, step = self.lower[owner], self.w[owner], self.step[owner]
        return (t - lower) * (0.5 * (t + lower) - w) + step * (r - self.at_lower[owner])

    def bound(self, owner: Integers, a: Floats, b: Floats, ra: Floats, rb: Floats) -> Floats:
        """Return a lower bound of the objective over the cells [a, b], from the chord of the penalty."""
        slope = (rb - ra) / (b - a)
        t = np.minimum(np.maximum(self.w[owner] - self.step[owner] * slope, a), b)
        return self(owner, t, ra + slope * (t - a))


class _Best:
    """The best point found of each element, the smaller of equals."""

    def __init__(self, t: Floats) -> None:
        self.t = t.copy()
        self.objective = np.zeros_like(t)

    def offer(self, owner: Integers, t: Floats, objective: Floats) -> None:
        """Take in candidates; ``owner`` may repeat."""
        order = np.lexsort((t, objective, owner))
        owner, t, objective = owner[order], t[order], objective[order]
        first = np.ones(owner.size, dtype=bool)
        first[1:] = owner[1:] != owner[:-1]
        owner, t, objective = owner[first], t[first], objective[first]
        better = objective < self.objective[owner]
        self.t[owner[better]] = t[better]
        self.objective[owner[better]] = objective[better]


def _search(
    value: Function, derivative: Function, w: Floats, step: Floats, lower: Floats, upper: Floats
) -> Floats:
    nodes = lower[:, None] + (upper - lower)[:, None] * _FIRST
    nodes[:, -1] = upper
    r = np.asarray(value(nodes))
    objective = _Objective(value, w, step, lower)
    best = _Best(lower)
    elements = np.arange(w.size)
    owner = np.repeat(elements, _FIRST.size)
    best.offer(owner, nodes.ravel(), objective(owner, nodes.ravel(), r.ravel()))

    owner = np.repeat(elements, _FIRST.size - 1)
    a, b, ra, rb = (x.ravel() for x in (nodes[:, :-1], nodes[:, 1:], r[:, :-1], r[:, 1:]))
    owner, a, b, ra, rb = _promising(objective, best, owner, a, b, ra, rb)
    for _ in range(_CUTS):
        if owner.size == 0:
            break
        ends = a[:, None] + (b - a)[:, None] * np.array([0.0, 0.25, 0.5, 0.75, 1.0])
        ends[:, -1] = b
        inner = np.asarray(value(ends[:, 1:-1]))
        values = np.concatenate([ra[:, None], inner, rb[:, None]], axis=1)
        thrice = np.repeat(owner, 3)
        best.offer(thrice, ends[:, 1:-1].ravel(), objective(thrice, ends[:, 1:-1].ravel(), inner.ravel()))
        owner = np.repeat(owner, 4)
        a, b, ra, rb = (x.ravel() for x in (ends[:, :-1], ends[:, 1:], values[:, :-1], values[:, 1:]))
        owner, a, b, ra, rb = _promising(objective, best, owner, a, b, ra, rb)

    return _polished(value, derivative, objective, best, upper)


def _polished(
    value: Function, derivative: Function, objective: _Objective, best: _Best, upper: Floats
) -> Floats:
    """Return the best points moved to the zero of the objective's slope beside them, if there is one.

    Around a minimum the objective is flat to rounding: there its slope tells the place better than its value.
    """
    w, step, lower = objective.w, objective.step, objective.lower
    beside = 1e-6 * (upper - lower)
    left, right = np.maximum(best.t - beside, lower), np.minimum(best.t + beside, upper)

    def falls(t: Floats) -> NDArray[np.bool_]:
        return np.asarray(t - w + step * derivative(t) < 0)

    passes = falls(left) & ~falls(right)
    for _ in range(_BISECTIONS):
        middle = 0.5 * (left + right)
        falling = falls(middle)
        left, right = np.where(falling, middle, left), np.where(falling, right, middle)
    root = 0.5 * (left + right)
    reached = objective(np.arange(w.size), root, np.asarray(value(root)))
    rounding = 1e-14 * (root * (root + w) + step * np.asarray(value(root)))
    return np.where(passes & (reached <= best.objective + rounding), root, best.t)


def _promising(
    objective: _Objective, best: _Best, owner: Integers, a: Floats, b: Floats, ra: Floats, rb: Floats
) -> tuple[Integers, Floats, Floats, Floats, Floats]:
    """Return the cells that may hold a point better than the best one, the most promising of each element."""
    bound = objective.bound(owner, a, b, ra, rb)
    # The cells next to the best point stay: the bound of a cell at a smooth minimum is below it.
    keep = np.flatnonzero((bound < best.objective[owner]) & (b > a))
    if keep.size and np.max(np.bincount(owner[keep])) > _CELLS:
        order = keep[np.lexsort((bound[keep], owner[keep]))]
        starts = np.flatnonzero(np.concatenate([[True], owner[order][1:] != owner[order][:-1]]))
        rank = np.arange(order.size) - np.repeat(starts, np.diff(np.append(starts, order.size)))
        keep = np.sort(order[rank < _CELLS])
    return owner[keep], a[keep], b[keep], ra[keep], rb[keep]
