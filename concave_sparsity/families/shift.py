"""How far the prox of a power or an exponential slope shifts: the equations u (1 - u)^p = k and u e^-u = k.

A stationary point of 1/2 (t - w)^2 + step r(t) is t = w - step r'(t). If r'(t) is proportional to (t + s)^-p,
write t = w - (w + s) u: then u (1 - u)^p = k with k = step r'(w) / (w + s). If r'(t) is proportional to
exp(-t / eps), write t = w - eps u: then u e^-u = k with k = step r'(w) / eps. The larger stationary point is
the smaller root u, which lies between 0 and the point u_max where the left side has its maximum k_max. As a
function of delta = sqrt(1 - k / k_max) that root is smooth on [0, 1], with a known value and slope at both
ends: a cubic through them is right to 2%, and two steps of Halley's method make that full double precision.
"""

from __future__ import annotations

import math

from concave_sparsity.arrays import Array, Namespace


def _first_guess(share: Array, k_max: float, u_max: float, slope: float, xp: Namespace) -> Array:
    """Return the cubic in 1 - delta through (0, 0) and (1, u_max), of slopes 2 k_max and ``slope`` there."""
    share = xp.minimum(share, xp.ones_like(share))
    # 1 - sqrt(1 - share) without cancellation.
    x = share / (1 + xp.sqrt(1 - share))
    first = 2 * k_max
    third = slope - first - 2 * (u_max - first)
    second = u_max - first - third
    return x * (first + x * (second + x * third))


def power_shift(k: Array, p: float, xp: Namespace) -> Array:
    """Return the smaller root u of u (1 - u)^p = k, 0 < p <= 2, k >= 0; 1/(1+p) where there is none."""
    k_max = math.exp(p * math.log(p) - (1.0 + p) * math.log1p(p))
    share = k / k_max
    if p == 1.0:
        share = xp.minimum(share, xp.ones_like(share))
        return 0.5 * (share / (1 + xp.sqrt(1 - share)))
    u_max = 1.0 / (1.0 + p)
    u = _first_guess(share, k_max, u_max, math.sqrt(2.0 * p * u_max) * u_max, xp)
    k = xp.minimum(k, xp.full_like(k, k_max))
    for _ in range(2):
        rest = 1 - u
        image = k / (rest * rest) if p == 2.0 else k * rest**-p
        residual = u - image
        ratio = p * image / rest
        slope = 1 - ratio
        u = u - _halley(residual, slope, ((p + 1.0) * ratio) / rest, xp)
    return u


def exponential_shift(k: Array, xp: Namespace) -> Array:
    """Return the smaller root u of u e^-u = k, k >= 0; its limit 1 where there is none.

    This is -W(-k), W the principal branch of Lambert's function.
    """
    u = _first_guess(k * math.e, 1.0 / math.e, 1.0, math.sqrt(2.0), xp)
    k = xp.minimum(k, xp.full_like(k, 1.0 / math.e))
    for _ in range(2):
        image = k * xp.exp(u)
        u = u - _halley(u - image, 1 - image, image, xp)
    return u


def _halley(residual: Array, slope: Array, bend: Array, xp: Namespace) -> Array:
    """Return Halley's step for a function with second derivative -bend; 0 at the double root."""
    denominator = 2 * slope * slope + residual * bend
    regular = denominator > 0
    return xp.where(regular, 2 * residual * slope, xp.zeros_like(residual)) / xp.where(
        regular, denominator, xp.ones_like(residual)
    )
