"""The proximal operator of a penalty of |x| in a box, reduced to a minimum over an interval of [0, inf)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from concave_sparsity.arrays import (
    BLOCK,
    NUMPY,
    Array,
    Namespace,
    device,
    is_array,
    namespace,
    on_host,
    to_computing,
    to_floating,
)

# minimise 1/2 (t - w)^2 + step r(t) over lower <= t <= upper <= max(lower, w), all of them nonnegative
IntervalProx = Callable[[Array, Array, Array, Array, Namespace], Array]


def boxed_prox(interval_prox: IntervalProx, v: Any, step: Any, lower: Any, upper: Any) -> Any:
    """Return argmin over [lower, upper] of 1/2 (x - v)^2 + step r(|x|), elementwise; see `Penalty.prox`."""
    lower = -math.inf if lower is None else lower
    upper = math.inf if upper is None else upper
    arguments = [v, step, lower, upper]
    for k, x in enumerate(arguments):
        if not is_array(x) and not isinstance(x, (int, float)):
            arguments[k] = np.asarray(x)
    v, step, lower, upper = arguments
    arrays = [x for x in arguments if is_array(x)]
    namespaces = {id(found): found for x in arrays if (found := namespace(x)) is not None}
    if len(namespaces) > 1:
        raise TypeError("v, step, lower and upper must be arrays of one kind, numpy or torch (or floats)")
    xp = next(iter(namespaces.values()), NUMPY)
    leader = to_floating(v if is_array(v) else (arrays or [np.zeros(())])[0], xp)
    computing = to_computing(leader, xp)

    def cast(x: Any) -> Array:
        if is_array(x):
            return x if x.dtype == computing.dtype else xp.astype(to_floating(x, xp), computing.dtype)
        return xp.full((), float(x), dtype=computing.dtype, device=device(computing))

    _check(step, lower, upper)
    shape = np.broadcast_shapes(*(x.shape for x in arrays))
    # What is known of the box before looking at arrays spares work on every element.
    if not is_array(lower) and lower >= 0:
        solve = _solve_nonnegative
    elif not is_array(lower) and not is_array(upper) and lower == -upper:
        solve = _solve_symmetric
    else:
        solve = _solve_any
    v, step, lower, upper = (cast(x) for x in arguments)
    with np.errstate(all="ignore") if xp is NUMPY else nullcontext():
        if on_host(computing) and math.prod(shape) > BLOCK:
            x = xp.empty(shape, dtype=computing.dtype, device=device(computing))
            _solve_in_blocks(solve, interval_prox, x, [v, step, lower, upper], xp)
        else:
            x = solve(interval_prox, v, step, lower, upper, xp)
    if not arrays:
        return float(x)
    # Operations on 0-d arrays of numpy give scalars.
    x = np.asarray(x) if xp is NUMPY else x
    return x if x.dtype == leader.dtype else xp.astype(x, leader.dtype)


def _check(step: Any, lower: Any, upper: Any) -> None:
    """Refuse a bad step or box; on an accelerator the check is left out, as it would wait for the device."""
    if on_host(step) and not _all((step >= 0) & (step < math.inf)):
        raise ValueError("step must be finite and not negative (nor NaN)")
    if on_host(lower) and on_host(upper):
        if not _all(lower <= upper):
            raise ValueError("the box must satisfy lower <= upper everywhere (and hold no NaN)")
        if not _all((lower < math.inf) & (upper > -math.inf)):
            raise ValueError("the box holds no finite number: lower must be below inf, upper above -inf")


def _all(condition: Any) -> bool:
    return bool(condition.all()) if is_array(condition) else bool(condition)


def _solve_in_blocks(
    solve: Callable[..., Array],
    interval_prox: IntervalProx,
    x: Array,
    arguments: Sequence[Array],
    xp: Namespace,
) -> None:
    flat = [a if a.ndim == 0 else xp.reshape(xp.broadcast_to(a, x.shape), (-1,)) for a in arguments]
    out = x.reshape(-1)
    for start in range(0, out.shape[0], BLOCK):
        block = slice(start, start + BLOCK)
        out[block] = solve(interval_prox, *(a if a.ndim == 0 else a[block] for a in flat), xp)


def _solve_nonnegative(
    interval_prox: IntervalProx, v: Array, step: Array, lower: Array, upper: Array, xp: Namespace
) -> Array:
    """Solve in a box in [0, inf): for v below it the objective increases, as for v = 0."""
    w = xp.maximum(v, xp.zeros_like(v))
    t = interval_prox(w, step, lower, xp.maximum(lower, xp.minimum(upper, w)), xp)
    return _with_limits(t, v, step, lower, upper, xp)


def _solve_symmetric(
    interval_prox: IntervalProx, v: Array, step: Array, lower: Array, upper: Array, xp: Namespace
) -> Array:
    """Solve in a box [-b, b], b >= 0: the answer has the sign of v."""
    w = xp.abs(v)
    t = interval_prox(w, step, xp.zeros_like(upper), xp.minimum(upper, w), xp)
    return _with_limits(xp.where(v < 0, 0 - t, t), v, step, lower, upper, xp)


def _solve_any(
    interval_prox: IntervalProx, v: Array, step: Array, lower: Array, upper: Array, xp: Namespace
) -> Array:
    """Solve in any box. Mirrored so that v >= 0, a negative x is worse than the feasible point nearest to 0.

    So if the mirrored box reaches above zero the answer is in its nonnegative part, else it is its upper end.
    """
    negative = v < 0
    w = xp.abs(v)
    near = xp.where(negative, 0 - upper, lower)
    far = xp.where(negative, 0 - lower, upper)
    start = xp.maximum(near, xp.zeros_like(near))
    t = interval_prox(w, step, start, xp.maximum(start, xp.minimum(far, w)), xp)
    t = xp.where(far <= 0, far, t)
    return _with_limits(xp.where(negative, 0 - t, t), v, step, lower, upper, xp)


def _with_limits(x: Array, v: Array, step: Array, lower: Array, upper: Array, xp: Namespace) -> Array:
    """Project where step is 0, send infinite v to the end of the box, and NaN to NaN."""
    return xp.where((xp.abs(v) < math.inf) & (step > 0), x, clip(v, lower, upper, xp))


def clip(t: Array, lower: Array, upper: Array, xp: Namespace) -> Array:
    """Return t clipped to [lower, upper]; all three are arrays."""
    return xp.minimum(xp.maximum(t, lower), upper)


def improvement(value: Callable[[Array], Array], w: Array, step: Array, first: Array, second: Array) -> Array:
    """Return objective(second) - objective(first), without the cancellation of (second - w)^2 at large w."""
    return (second - first) * (0.5 * second + 0.5 * first - w) + step * (value(second) - value(first))


def best_of(
    value: Callable[[Array], Array], w: Array, step: Array, candidates: Sequence[Array], xp: Namespace
) -> Array:
    """Return the candidate with the least objective, of equals the first: pass them in increasing order.

    A NaN among the candidates never wins.
    """
    best = candidates[0]
    for candidate in candidates[1:]:
        best = xp.where(improvement(value, w, step, best, candidate) < 0, candidate, best)
    return best
