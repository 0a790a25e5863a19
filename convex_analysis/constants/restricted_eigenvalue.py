"""Restricted eigenvalues over known signs, from below by a doubly nonnegative relaxation (theory.md, T15)."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from convex_analysis.constants.constant import Constant
from convex_analysis.constants.curvature import Matrix
from convex_analysis.constants.strong_convexity import eigenvalue_margin


def restricted_eigenvalue(
    matrix: Matrix,
    support: NDArray[np.bool_],
    alpha: float = np.inf,
    shift: float = 0.0,
    rows: int = 0,
) -> Constant:
    """Return a certified lower bound of ``(h'Bh - shift ||h||^2) / ||h||^2`` over the cone of known signs.

    The cone is ``h_S <= 0 <= h_N``, ``||h_N||_1 <= alpha ||h_S||_1``. Any symmetric Y >= 0 (entrywise)
    and u >= 0 give the bound ``lambda_min(D B D - Y - (v u' + u v') / 2)`` with D the signs and
    ``v = alpha`` on S, -1 off S; a semidefinite program chooses them, the eigenvalue certifies.

    Parameters
    ----------
    matrix
        The symmetric matrix B, shape (n_features, n_features).
    support
        The set S, boolean, shape (n_features,).
    alpha
        Opening of the cone; inf for the whole orthant.
    shift
        A multiple of the identity to subtract.
    rows
        Number of rows of C if the matrix was computed as C'C: the rounding of that is allowed for.

    Notes
    -----
    The program has about ``n_features^2`` unknowns: seconds at 30 features, minutes at 60.
    """
    size = matrix.shape[0]
    sign = np.where(support, -1.0, 1.0)
    signed = 0.5 * (matrix + matrix.T) * np.outer(sign, sign)
    v = np.where(support, alpha, -1.0) if np.isfinite(alpha) else None
    scale = float(np.abs(signed).max()) or 1.0
    Y, u = _solve(signed / scale, v)
    remainder, size_of_terms = signed - scale * Y, np.abs(signed) + scale * Y
    if v is not None and u is not None:
        product = 0.5 * scale * (np.outer(v, u) + np.outer(u, v))
        remainder = remainder - product
        size_of_terms = size_of_terms + np.abs(product)
    # Of the terms, not of their difference: what cancels was rounded before.
    margin = eigenvalue_margin(size, size + rows, float(size_of_terms.sum(axis=1).max()))
    certified = float(np.linalg.eigvalsh(remainder)[0]) - margin
    size_of_matrix = max(float(np.abs(signed).sum(axis=1).max()), float(np.trace(np.abs(signed))))
    plain = float(np.linalg.eigvalsh(signed)[0]) - eigenvalue_margin(size, size + rows, size_of_matrix)
    best = max(certified, plain)
    return Constant(best - shift, True, "doubly nonnegative relaxation, certified by an eigenvalue")


def _solve(signed: Matrix, v: np.ndarray | None) -> tuple[Matrix, np.ndarray | None]:
    import cvxpy

    size = signed.shape[0]
    level = cvxpy.Variable()
    Y = cvxpy.Variable((size, size), symmetric=True)
    remainder = signed - level * np.eye(size) - Y
    constraints = [Y >= 0]
    u = None
    if v is not None:
        u = cvxpy.Variable((size, 1), nonneg=True)
        product = v[:, None] @ u.T
        remainder = remainder - 0.5 * (product + product.T)
    constraints.append(remainder >> 0)
    statement = cvxpy.Problem(cvxpy.Maximize(level), constraints)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an inaccurate solution costs sharpness, not validity
            statement.solve(solver=cvxpy.CLARABEL)
    except cvxpy.error.SolverError:
        return np.zeros((size, size)), None
    if Y.value is None:
        return np.zeros((size, size)), None
    values = np.maximum(0.5 * (Y.value + Y.value.T), 0.0)
    return values, None if u is None or u.value is None else np.maximum(np.asarray(u.value)[:, 0], 0.0)
