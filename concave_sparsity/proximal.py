"""The proximal operator of a penalty of |x| in a box, reduced to a minimum over an interval of [0, inf)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device, is_numpy_array

from concave_sparsity.arrays import Array, Namespace, dtype_name, is_array, on_host, to_floating

# minimise 1/2 (t - w)^2 + step r(t) over lower <= t <= upper <= max(lower, w), all of them nonnegative
IntervalProx = Callable[[Array, Array, Array, Array, Namespace], Array]


def boxed_prox(interval_prox: IntervalProx, v: Any, step: Any, lower: Any, upper: Any) -> Any:
    """Return argmin over [lower, upper] of 1/2 (x - v)^2 + step r(|x|), elementwise; see `Penalty.prox`.

    Reduction: mirror so that v >= 0. A negative x is then worse than the feasible point nearest to 0, so if
    the box reaches above zero the answer is in its nonnegative part, else it is the upper end of the box.
    Beyond max(v, lower) the objective increases.
    """
    arguments = [v, step, lower, upper]
    arrays = [x for x in arguments if is_array(x)]
    if not is_array(v) and not isinstance(v, (int, float)):
        v = np.asarray(v)
        arrays.append(v)
    scalar = not arrays
    if scalar:
        arrays = [np.asarray(v, dtype=np.float64)]
    xp = array_namespace(*arrays)
    like = to_floating(v if is_array(v) else arrays[0], xp)
    dtype = like.dtype
    if dtype_name(like) in ("float16", "bfloat16"):
        like = xp.astype(like, xp.float32)

    def cast(x: Any) -> Array:
        if is_array(x):
            return x if x.dtype == like.dtype else xp.astype(x, like.dtype)
        return xp.full((), float(x), dtype=like.dtype, device=device(like))

    v, step, low, high = (
        cast(v),
        cast(step),
        cast(-np.inf if lower is None else lower),
        cast(np.inf if upper is None else upper),
    )
    _check(step, low, high, xp)
    if is_numpy_array(like):
        with np.errstate(all="ignore"):
            x = np.asarray(_solve(interval_prox, v, step, low, high, xp), dtype=dtype)
        return float(x) if scalar else x
    x = _solve(interval_prox, v, step, low, high, xp)
    return x if x.dtype == dtype else xp.astype(x, dtype)


def _check(step: Array, lower: Array, upper: Array, xp: Namespace) -> None:
    """Refuse a bad step or box; on an accelerator the check is left out, as it would wait for the device."""
    if on_host(step) and not bool(xp.all((step >= 0) & (step < np.inf))):
        raise ValueError("step must be finite and not negative (and not NaN)")
    if (
        on_host(lower)
        and on_host(upper)
        and not bool(xp.all((lower <= upper) & (lower < np.inf) & (upper > -np.inf)))
    ):
        raise ValueError("the box must satisfy lower <= upper, and hold a finite number")


def _solve(
    interval_prox: IntervalProx, v: Array, step: Array, low: Array, high: Array, xp: Namespace
) -> Array:
    negative = v < 0
    w = xp.abs(v)
    near = xp.where(negative, -high, low)
    far = xp.where(negative, -low, high)
    zero = xp.zeros_like(far)
    start = xp.maximum(near, zero)
    end = xp.maximum(start, xp.minimum(far, w))
    t = interval_prox(w, step, start, end, xp)
    # A box with no positive part: its end nearest to zero.
    t = xp.where(far <= 0, far, t)
    x = xp.where(negative, -t, t)
    # Infinite v goes to the end of the box; NaN stays NaN.
    return xp.where(w < np.inf, x, xp.minimum(xp.maximum(v, low), high))


def improvement(value: Callable[[Array], Array], w: Array, step: Array, first: Array, second: Array) -> Array:
    """Return objective(second) - objective(first), without the cancellation of (second - w)^2 at large w."""
    return (second - first) * (0.5 * (second + first) - w) + step * (value(second) - value(first))


def best_of(
    value: Callable[[Array], Array], w: Array, step: Array, candidates: list[Array], xp: Namespace
) -> Array:
    """Return the candidate with the least objective, of equals the first: pass them in increasing order."""
    best = candidates[0]
    for candidate in candidates[1:]:
        best = xp.where(improvement(value, w, step, best, candidate) < 0, candidate, best)
    return best
