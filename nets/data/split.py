"""Splitting by seed, class by class."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def part_size(part: int | float, n: int, what: str) -> int:
    """Return the number of samples that `part` asks of `n`: a count (int) or a share (float below 1).

    Raises
    ------
    ValueError
        If it is negative, a share of 1 or more, or leaves no sample for training.
    """
    if isinstance(part, bool) or not isinstance(part, (int, float, np.integer, np.floating)):
        raise TypeError(f"{what} must be a count (int) or a share (float), got {part!r}")
    if isinstance(part, (float, np.floating)):
        if not 0.0 <= part < 1.0:
            raise ValueError(f"{what}={part!r} is a share and must lie in [0, 1); give a count as an int")
        size = round(float(part) * n)
    else:
        size = int(part)
    if not 0 <= size < n:
        raise ValueError(
            f"{what}={part!r} asks for {size} of {n} samples; it must leave at least one to train on"
        )
    return size


def stratified_split(
    labels: npt.ArrayLike, size: int, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Split 0 .. n-1 into (kept, held out) with `size` held out, in proportion to the classes.

    Each class gives its share rounded down; what is missing goes to the largest remainders, ties to the
    smaller class, and to a class that would be held out whole only when no other is left. Both results are
    sorted, so that the order of the data is kept.

    Parameters
    ----------
    labels : array of int, shape (n,)
        Class indices.
    size : int
        Number of samples to hold out, 0 <= size < n, or 0 of none.
    seed : int
        Fixes the choice (PCG64), the same on every platform and numpy version.
    """
    y = np.asarray(labels)
    n = len(y)
    held = np.zeros(n, dtype=bool)
    if size:
        # Raw bits of a bit generator are the same in every numpy version; a Generator's draws need not be.
        order = np.argsort(np.random.PCG64(seed).random_raw(n), kind="stable")
        _, inverse, counts = np.unique(y, return_inverse=True, return_counts=True)
        quota = counts * size // n
        remainder = counts * size - quota * n
        emptied = quota + 1 >= counts
        quota[np.lexsort((-remainder, emptied))[: size - int(quota.sum())]] += 1
        # Rank of each sample within its class, in the random order.
        shuffled = inverse[order]
        by_class = np.argsort(shuffled, kind="stable")
        rank = np.empty(n, dtype=np.int64)
        rank[by_class] = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)
        held[order] = rank < quota[shuffled]
    return np.flatnonzero(~held), np.flatnonzero(held)
