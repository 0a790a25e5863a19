"""SparseGPT: column after column, the error moved on (Frantar and Alistarh, ICML 2023, arXiv 2301.00774)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from nets.layerwise.support import choose, damped, density_count, largest, pattern

#: Columns whose mask is chosen together (the paper's B_s) and whose errors reach the columns behind them at
#: once (its B): 128 in the paper, too.
BLOCK = 128


def prune_layer(
    weights: NDArray[np.float64],
    gram: NDArray[np.float64],
    density: float | str,
    *,
    ridge: float = 0.01,
) -> NDArray[np.float64]:
    """Prune by the paper's algorithm 1. See `LayerSolver`.

    With U the upper Cholesky factor of the inverse of the damped Hessian, U_jj^2 = [(H_F)^-1]_jj over the
    columns F from j on. In each block of columns the weights of largest w^2 / U_jj^2 over all rows are kept
    (of N:M, group by group when its first column is reached); each column in turn loses its pruned weights,
    and what they did goes to the columns on its right by -(w_j / U_jj) U_j,: (the error w^2 / (2 U_jj^2)).
    """
    d = weights.shape[1]
    w = np.where(np.diag(gram) == 0, 0.0, weights)  # inputs that never were different from zero
    factor = inverse_factor(damped(gram, ridge))
    spread = np.diag(factor)
    group = pattern(density)[1] if isinstance(density, str) else 1
    total = 0 if isinstance(density, str) else density_count(density, weights.size)
    width = max(1, BLOCK // group) * group  # no group crosses a block
    for start in range(0, d, width):
        end = min(start + width, d)
        block = w[:, start:end].copy()
        local, divisors = factor[start:end, start:end], spread[start:end]
        kept = largest(np.square(block / divisors), total * end // d - total * start // d)
        errors = np.empty_like(block)
        for j in range(end - start):
            if isinstance(density, str) and j % group == 0:
                ahead = slice(j, j + group)
                kept[:, ahead] = choose(np.square(block[:, ahead] / divisors[ahead]), density)
            column = block[:, j].copy()
            errors[:, j] = np.where(kept[:, j], 0.0, column / divisors[j])
            block[:, j:] -= np.outer(errors[:, j], local[j, j:])
            block[:, j] = np.where(kept[:, j], column, 0.0)
        w[:, start:end] = block
        w[:, end:] -= errors @ factor[start:end, end:]
    return w


def inverse_factor(hessian: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the upper triangular U with U'U = H^-1: the inverse of R in H = R R', R upper triangular.

    Raises
    ------
    ValueError
        If H is not positive definite.
    """
    turned, code = lapack.dpotrf(hessian[::-1, ::-1], lower=1, clean=1)
    if code != 0:
        raise ValueError("the inputs of the layer depend linearly on each other; raise the ridge")
    factor, _ = lapack.dtrtri(np.ascontiguousarray(turned[::-1, ::-1]), lower=0)
    return np.ascontiguousarray(factor)
