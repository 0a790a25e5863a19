"""Exact counts: how many entries a density keeps, and the largest so many of them."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from concave_sparsity.arrays import NUMPY, Array, dtype_name, namespace, on_host
from concave_sparsity.parameters import within


def density_count(density: float, n: int) -> int:
    """Return how many of n entries a density keeps: ``round(density * n)``, halves to even.

    Parameters
    ----------
    density : float
        Share kept, between 0 and 1 (sparsity is 1 - density).
    n : int
        Number of entries.

    Raises
    ------
    ValueError
        If the density is NaN or not in [0, 1], or n is negative.
    TypeError
        If the density is not a number, or n not an integer.
    """
    n = _count(n, "n")
    return round(within(density, "density, the share kept,", 0.0, 1.0) * n)


def largest(scores: Array, count: int) -> Array:
    """Return a mask of exactly ``count`` entries, the largest scores; of equals those of lowest flat index.

    Takes time proportional to the number of scores, and gives the same mask on every device.

    Parameters
    ----------
    scores : array
        Real numbers (numpy, torch, or a list), of any shape; infinite ones are allowed.
    count : int
        Between 0 and the number of scores.

    Returns
    -------
    array of bool
        Of the shape, namespace and device of the scores.

    Raises
    ------
    ValueError
        If count is out of range, or a score is NaN.
    TypeError
        If count is not an integer, or the scores are not real numbers.
    """
    count = _count(count, "count")
    xp: Any = namespace(scores)
    if xp is None:
        scores, xp = np.asarray(scores), NUMPY
    if not dtype_name(scores).startswith(("float", "bfloat", "longdouble", "int", "uint", "bool")):
        raise TypeError(f"scores must be real numbers, got an array of dtype {dtype_name(scores)}")
    scores = scores.detach() if hasattr(scores, "detach") else scores
    if dtype_name(scores) in ("bool", "bfloat16"):
        # Booleans cannot be ordered everywhere, and numpy has no bfloat16; both fit into float32.
        scores = xp.astype(scores, xp.float32)
    flat = xp.reshape(scores, (-1,))
    n = flat.shape[0]
    if count > n:
        raise ValueError(f"count must be at most the number of scores, {n}, got {count}")
    if bool(xp.any(flat != flat)):
        raise ValueError("a score is NaN, which has no place in an order")
    if on_host(flat):
        mask = xp.asarray(_largest_on_host(np.asarray(flat), count))
    elif count == 0:
        mask = flat != flat
    else:
        mask = _largest_on_accelerator(flat, count, xp)
    return xp.reshape(mask, scores.shape)


def _count(value: int, what: str) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{what} must be an integer, got {value!r}") from None
    if number < 0:
        raise ValueError(f"{what} must not be negative, got {number}")
    return number


def _largest_on_host(flat: Array, count: int) -> Array:
    mask = np.zeros(flat.size, dtype=bool)
    if count == 0:
        return mask
    threshold = np.partition(flat, flat.size - count)[flat.size - count]
    np.greater(flat, threshold, out=mask)
    mask[np.flatnonzero(flat == threshold)[: count - np.count_nonzero(mask)]] = True
    return mask


def _largest_on_accelerator(flat: Array, count: int, xp: Any) -> Array:
    # The array API standard has no selection by rank; every namespace with an accelerator has topk.
    threshold = xp.min(flat.topk(count, sorted=False).values)
    above = flat > threshold
    tied = flat == threshold
    wanted = count - xp.sum(xp.astype(above, xp.int64))
    return above | (tied & (xp.cumulative_sum(xp.astype(tied, xp.int64)) <= wanted))
