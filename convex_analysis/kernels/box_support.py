"""The support function of a box minus a weighted l1 norm: what a dual value owes to the box."""

from __future__ import annotations

from typing import Any

import numpy as np

from concave_sparsity.compilation import compiled


@compiled
def box_support(t: Any, weights: Any, lower: Any, upper: Any, growth: Any) -> float:
    """Return ``sum_j max of t_j x - w_j |x|`` over zero and the finite ends of ``[l_j, u_j]``.

    An infinite weight leaves zero alone. ``growth`` gets how fast each term increases towards an infinite
    end, 0 where it does not: where it is positive the true maximum is infinite.
    """
    total = 0.0
    for j in range(t.size):
        weight, low, high = weights[j], lower[j], upper[j]
        best = 0.0 if low <= 0.0 <= high else -np.inf
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
