"""Supports of a layer: which weights a score keeps, in exact number, and the best values on them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import lapack

from convex_analysis.threads import one_thread
from nets.granularity.names import n_and_m

Weights = NDArray[np.float64]
Scores = NDArray[np.floating]
Mask = NDArray[np.bool_]


def density_count(density: float, total: int) -> int:
    """Return how many of `total` weights a density keeps: round(density * total), at least one.

    Raises
    ------
    ValueError
        If the density is outside (0, 1].
    """
    if not 0 < density <= 1:
        raise ValueError(f"a density is a share in (0, 1], got {density:g}")
    return max(1, round(density * total))


def choose(scores: Scores, density: float | str, by: str = "layer") -> Mask:
    """Return the mask of the largest scores; of equal ones the first are kept.

    Parameters
    ----------
    scores : ndarray, shape (out, d)
        One score a weight.
    density : float or str
        Share to keep of the whole matrix, exactly `density_count`; or "N:M": the N largest of every M
        consecutive ones of a row, of r < M at its end min(N, r).
    by : str
        Where scores are compared: in the "layer", or in each "row", whose counts then differ by at most one.
        Without meaning for N:M.

    Returns
    -------
    ndarray of bool, shape (out, d)

    Raises
    ------
    ValueError
        If the density is neither in (0, 1] nor a pattern N:M.
    """
    rows, d = scores.shape
    if isinstance(density, str):
        n, m = pattern(density)
        padded = np.full((rows, -(-d // m) * m), -np.inf)
        padded[:, :d] = scores
        kept = _first(padded.reshape(-1, m), n).reshape(rows, -1)[:, :d]
        return np.ascontiguousarray(kept)
    if by == "layer":
        return largest(scores, density_count(density, scores.size))
    return _first(scores, row_counts(density, rows, d))


def largest(scores: Scores, count: int) -> Mask:
    """Return the mask of the `count` largest of all scores; of equal ones the first are kept."""
    return _first(scores.reshape(1, -1), count).reshape(scores.shape)


def row_counts(density: float, rows: int, d: int) -> NDArray[np.int64]:
    """Return how many weights each row keeps: they sum to `density_count` and differ by at most one."""
    return evenly(density_count(density, rows * d), rows)


def evenly(count: int, rows: int) -> NDArray[np.int64]:
    """Return counts a row that sum to `count` and differ by at most one."""
    return np.diff(count * np.arange(rows + 1, dtype=np.int64) // rows)


def pattern(density: str) -> tuple[int, int]:
    """Return (N, M) of a pattern "N:M".

    Raises
    ------
    ValueError
        If it is none, or keeps all.
    """
    pair = n_and_m(density.replace(" ", ""))
    if pair is None or not 1 <= pair[0] < pair[1]:
        raise ValueError(f'a density is a share in (0, 1] or a pattern N:M such as "2:4", got {density!r}')
    return pair


def _first(scores: Scores, counts: int | NDArray[np.int64]) -> Mask:
    """Return the masks of the largest `counts` scores in each row, ties by index."""
    order = np.argsort(-scores, axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(scores.shape[1])[None, :], axis=1)
    return rank < np.reshape(counts, (-1, 1))


def damped(gram: Weights, ridge: float) -> Weights:
    """Return gram + ridge * mean(diag gram) * I, shape (d, d).

    Raises
    ------
    ValueError
        If the result cannot be positive definite: no input was ever different from zero, or no ridge.
    """
    mean = float(np.trace(gram)) / len(gram)
    if not (np.isfinite(mean) and mean > 0 and ridge >= 0):
        raise ValueError(f"a layer's inputs need a positive mean square, got {mean:g} (ridge {ridge:g})")
    result = gram.copy()
    result[np.diag_indices_from(result)] += ridge * mean
    return result


def refit(weights: Weights, gram: Weights, mask: Mask) -> Weights:
    """Return the minimiser of tr((V - W) G (V - W)') over V that vanish outside the mask.

    Parameters
    ----------
    weights : ndarray, shape (out, d)
        Dense weights W.
    gram : ndarray, shape (d, d)
        Damped Gram matrix G: positive definite.
    mask : ndarray of bool, shape (out, d)

    Returns
    -------
    ndarray, shape (out, d)

    Raises
    ------
    ValueError
        If the Gram matrix is singular on a support.
    """
    return least_squares(weights @ gram, gram, mask)


def least_squares(correlations: Weights, gram: Weights, mask: Mask) -> Weights:
    """Return the rows v with G_SS v_S = c_S on their supports S, zero elsewhere, shape (out, d).

    By a Cholesky factorisation of G_SS; rows are done side by side on as many threads as torch has, each
    with one of BLAS, and the result does not depend on it. Parameters and errors as of `refit`.
    """
    result = np.zeros_like(correlations)
    alike = len(mask) > 1 and bool((mask == mask[0]).all())  # whole channels: one factorisation serves all
    block = np.arange(len(mask))

    def one(i: int) -> None:
        places = np.flatnonzero(mask[i])
        if len(places) == 0:
            return
        rows = block if alike else block[i : i + 1]
        try:
            factor = np.linalg.cholesky(gram[np.ix_(places, places)])  # without the interpreter's lock
        except np.linalg.LinAlgError:
            raise ValueError(
                f"the inputs of row {i} depend linearly on each other; raise the ridge"
            ) from None
        values, _ = lapack.dpotrs(factor.T, correlations[np.ix_(rows, places)].T, lower=0)
        result[np.ix_(rows, places)] = values.T

    todo = range(1 if alike else len(mask))
    with one_thread():
        if len(todo) == 1:
            one(0)
        else:
            with ThreadPoolExecutor(torch.get_num_threads()) as pool:
                list(pool.map(one, todo))
    return result


def conjugate_gradients(start: Any, mask: Mask, gram: Any, correlations: Any, steps: int) -> Any:
    """Return the rows `start` brought nearer to `least_squares` on their supports, all rows at once.

    Parameters
    ----------
    start : ndarray of floats, shape (out, d)
        Zero outside the mask; its dtype and that of the others is the result's.
    mask : ndarray of bool, shape (out, d)
    gram : ndarray, shape (d, d)
        Of unit diagonal: the diagonal is no preconditioner then.
    correlations : ndarray, shape (out, d)
        Rows c.
    steps : int
        A product with the Gram matrix each.
    """
    values = start
    residual = np.where(mask, correlations - values @ gram, 0)
    direction, square = residual, np.sum(residual * residual, axis=1, keepdims=True)
    for _ in range(steps):
        image = np.where(mask, direction @ gram, 0)
        curvature = np.sum(direction * image, axis=1, keepdims=True)
        length = np.divide(square, curvature, out=np.zeros_like(square), where=curvature > 0)
        values = values + length * direction
        residual = residual - length * image
        following = np.sum(residual * residual, axis=1, keepdims=True)
        share = np.divide(following, square, out=np.zeros_like(square), where=square > 0)
        direction, square = residual + share * direction, following
    return values


def relative_error(weights: Weights, pruned: Weights, gram: Weights) -> float:
    """Return tr((V - W) G (V - W)') / tr(W G W'): the error of the outputs relative to the outputs."""
    change = pruned - weights
    return float(np.vdot(change @ gram, change) / np.vdot(weights @ gram, weights))
