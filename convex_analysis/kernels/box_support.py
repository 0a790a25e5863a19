"""The support function of a box minus a weighted l1 norm: what a dual value owes to the box."""

from __future__ import annotations

from typing import Any

import numpy as np

from concave_sparsity.compilation import compiled


@compiled
def box_support(t: Any, weights: Any, lower: Any, upper: Any, ridge: Any, growth: Any) -> float:
    """Return ``sum_j max of t_j x - w_j |x| - ridge_j x^2 / 2`` over the finite part of ``[l_j, u_j]``.

    An infinite weight leaves zero alone; no ridge has size 0. ``growth`` gets how fast each term increases
    towards an infinite end, 0 where it does not: where it is positive the true maximum is infinite.
    """
    total = 0.0
    for j in range(t.size):
        weight, low, high = weights[j], lower[j], upper[j]
        best = 0.0 if low <= 0.0 <= high else -np.inf
        growth[j] = 0.0
        curvature = ridge[j] if ridge.size else 0.0
        if weight < np.inf and curvature > 0.0:
            # Each side of zero is a parabola: its vertex, or the nearest end of the interval.
            if high > 0.0:
                x = min(max((t[j] - weight) / curvature, max(low, 0.0)), high)
                best = max(best, t[j] * x - weight * x - 0.5 * curvature * x * x)
            if low < 0.0:
                x = max(min((t[j] + weight) / curvature, min(high, 0.0)), low)
                best = max(best, t[j] * x + weight * x - 0.5 * curvature * x * x)
        else:
            fastest = 0.0
            if high == np.inf:
                fastest = max(fastest, t[j] - weight)
            elif weight < np.inf:
                best = max(best, t[j] * high - weight * abs(high))
            if low == -np.inf:
                fastest = max(fastest, -t[j] - weight)
            elif weight < np.inf:
                best = max(best, t[j] * low - weight * abs(low))
            growth[j] = fastest
        total += best
    return total
