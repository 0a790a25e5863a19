"""Optimal Brain Compression: one exact removal at a time (Frantar, Singh and Alistarh, NeurIPS 2022).

arXiv 2208.11580, algorithms 1 and 2. A row of d weights takes d^3 / 3 multiplications, so this is
for layers of some hundred inputs.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from scipy.linalg import lapack

from nets.layerwise.support import damped, density_count, pattern, refit


def prune_layer(
    weights: NDArray[np.float64],
    gram: NDArray[np.float64],
    density: float | str,
    *,
    ridge: float = 0.01,
) -> NDArray[np.float64]:
    """Remove in each row, one after another, the weight of least w_p^2 / [H^-1]_pp. See `LayerSolver`.

    The rows' removals are then merged: the cheapest next one of all rows is made until the layer has its
    density (algorithm 2). For N:M, a group of M that has lost M - N loses no more. The values that are left
    are those of the removals, which are the least squares on the support.
    """
    hessian = damped(gram, ridge)
    inverse, code = lapack.dpotri(lapack.dpotrf(hessian, lower=1, clean=1)[0], lower=1)
    if code != 0 or not np.isfinite(inverse).all():
        raise ValueError("the inputs of the layer depend linearly on each other; raise the ridge")
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    rows, d = weights.shape
    if isinstance(density, str):
        n, m = pattern(density)
        room = np.maximum(0, np.minimum(m, d - np.arange(0, d, m)) - n)
        order, _ = removals(weights, inverse, m, room)
        counts = np.full(rows, room.sum())
    else:
        order, costs = removals(weights, inverse, d, np.array([d]))
        counts = merged(costs, weights.size - density_count(density, weights.size))
    mask = np.ones(weights.shape, dtype=bool)
    for kept, places, count in zip(mask, order, counts):
        kept[places[:count]] = False
    return refit(weights, hessian, mask)


def merged(costs: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Return how many removals each row makes when the cheapest next one of all rows is made `count` times.

    Parameters
    ----------
    costs : ndarray, shape (out, d)
        Cost of each row's first, second, ... removal. Its turn comes no earlier than that of those before it.
    """
    turns = np.maximum.accumulate(costs, axis=1)
    first = np.argsort(turns, axis=None, kind="stable")[:count]
    return np.bincount(first // costs.shape[1], minlength=len(costs))


def removals(
    weights: NDArray[np.float64], inverse: NDArray[np.float64], m: int, room: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the order in which each row loses its weights, and the cost of each removal, (out, d) both.

    Of the g-th M consecutive weights no more than room[g] are removed; the order is -1 where none may be.
    Rows are done side by side on as many threads as torch has. numba's own threads would set those of torch.
    """
    order = np.full(weights.shape, -1)
    costs = np.zeros(weights.shape)
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        list(
            pool.map(lambda i: _remove(weights[i], inverse, m, room, order[i], costs[i]), range(len(weights)))
        )
    return order, costs


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _remove(
    weights: NDArray[np.float64],
    inverse: NDArray[np.float64],
    m: int,
    room: NDArray[np.int64],
    order: NDArray[np.int64],
    costs: NDArray[np.float64],
) -> None:
    """Remove the weights of one row, shape (d,), one after another; fill in the order and the costs."""
    d = len(weights)
    w, h = weights.copy(), inverse.copy()
    here = np.arange(d)  # the weight that lies at each place: what is removed makes room at the end
    left = room.copy()
    for step in range(d):
        size = d - step
        best, cost = -1, np.inf
        for p in range(size):
            if left[here[p] // m] > 0:
                score = w[p] * w[p] / h[p, p]
                if score < cost or (score == cost and here[p] < here[best]):
                    best, cost = p, score
        if best < 0:
            break
        order[step], costs[step] = here[best], cost
        left[here[best] // m] -= 1
        gone = h[best, :size].copy()
        factor, pivot = w[best] / gone[best], gone[best]
        last = size - 1
        for p in range(size):
            w[p] -= factor * gone[p]
            scale = gone[p] / pivot
            for q in range(size):
                h[p, q] -= scale * gone[q]
        w[best], here[best] = w[last], here[last]
        h[best, :last] = h[last, :last]
        h[:last, best] = h[:last, last]
        h[best, best] = h[last, last]
