"""Exact counts: how many entries a density keeps, and the largest so many of them."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_numpy_array

from concave_sparsity.arrays import Array


def density_count(density: float, n: int) -> int:
    """Return round(density * n), the number of n entries that a density keeps.

    Raises
    ------
    ValueError
        If the density is not in [0, 1], or n is negative.
    """
    n = operator.index(n)
    if n < 0:
        raise ValueError(f"n must not be negative, got {n}")
    if not 0 <= density <= 1 or math.isnan(density):
        raise ValueError(f"density is the share kept, between 0 and 1; got {density}")
    return round(density * n)


def largest(scores: Array, count: int) -> Array:
    """Return a boolean array that marks the ``count`` largest scores; ties go to the lowest flat index."""
    count = operator.index(count)
    scores = scores if hasattr(scores, "shape") else np.asarray(scores)
    xp: Any = array_namespace(scores)
    flat = xp.reshape(scores, (-1,))
    n = flat.shape[0]
    if not 0 <= count <= n:
        raise ValueError(f"count must lie between 0 and the number of scores {n}, got {count}")
    if count == 0 or count == n:
        return xp.full(scores.shape, count == n, dtype=xp.bool, device=getattr(scores, "device", None))
    if is_numpy_array(flat):
        threshold = np.partition(flat, n - count)[n - count]
    else:
        threshold = xp.min(flat.topk(count, sorted=False).values)
    above = flat > threshold
    tied = flat == threshold
    need = count - xp.sum(xp.astype(above, xp.int64))
    rank = xp.cumulative_sum(xp.astype(tied, xp.int64))
    return xp.reshape(above | (tied & (rank <= need)), scores.shape)
