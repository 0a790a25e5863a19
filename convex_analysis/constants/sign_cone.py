"""Minima of quadratics over the signs that a box imposes (theory.md, T10, T15).

Compatibility constants are convex quadratic programs, restricted eigenvalues have a doubly nonnegative
relaxation. Both are solved by Clarabel and certified afterwards, whatever it returned: by a tangent, by
an eigenvalue.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from convex_analysis.constants.constant import Constant
from convex_analysis.constants.curvature import Matrix
from convex_analysis.constants.strong_convexity import eigenvalue_margin
from convex_analysis.losses.loss import Vector


def sign_cone_minimum(factor: Matrix, support: NDArray[np.bool_], alpha: float) -> Constant:
    """Return a certified lower bound of ``min h'C'Ch`` over the cone of known signs.

    The minimum is over ``h_S <= 0 <= h_N`` with ``||h_S||_1 = 1`` and ``||h_N||_1 <= alpha``; the
    compatibility constant phi^2 of T10 is k times this.

    Parameters
    ----------
    factor
        The matrix C, shape (n_samples, n_features).
    support
        The set S, boolean, shape (n_features,); not empty.
    alpha
        Not negative.
    """
    if not support.any():
        raise ValueError("The compatibility constant needs a target with at least one entry equal to one.")
    if not (np.isfinite(alpha) and alpha >= 0):
        raise ValueError(f"alpha must be finite and not negative, got {alpha!r}.")
    signed = factor * np.where(support, -1.0, 1.0)
    x = _solve(signed, support, alpha)
    x = np.maximum(x, 0.0)
    total = float(x[support].sum())
    x[support] = x[support] / total if total > 0 else 1.0 / support.sum()
    outside = float(x[~support].sum())
    if outside > alpha:
        x[~support] *= alpha / outside
    return _linearised(signed, x, support, alpha, f"convex QP over the sign cone, alpha = {alpha:.6g}")


def orthant_minimum(factor: Matrix, support: NDArray[np.bool_]) -> Constant:
    """Return a certified lower bound of ``min h'C'Ch`` over ``h_S <= 0 <= h_N``, ``||h||_1 = 1``.

    Positive iff the kernel of C meets the orthant in zero only; then the target is determined by the
    box alone. It bounds ``h'C'Ch / ||h||_2^2`` on the orthant from below.
    """
    signed = factor * np.where(support, -1.0, 1.0)
    everything = np.ones(signed.shape[1], dtype=bool)
    x = np.maximum(_solve(signed, everything, 0.0), 0.0)
    total = float(x.sum())
    x = x / total if total > 0 else np.full(x.size, 1.0 / x.size)
    return _linearised(signed, x, everything, 0.0, "convex QP over the simplex of known signs")


def _linearised(signed: Matrix, x: Vector, simplex: NDArray[np.bool_], alpha: float, method: str) -> Constant:
    """Bound ``x'C'Cx`` from below on the feasible set by its tangent at a feasible point."""
    image = signed @ x
    value = float(image @ image)
    slope = 2.0 * (signed.T @ image)
    rows, size = signed.shape
    norms = float(np.sqrt(np.einsum("ij,ij->j", signed, signed).max(initial=0.0)))
    margin = np.finfo(float).eps * (rows + size) * 4.0 * (1.0 + alpha) * norms * np.sqrt(value)
    lowest = float(slope[simplex].min())
    if not simplex.all():
        lowest += alpha * min(0.0, float(slope[~simplex].min()))
    bound = lowest - value - margin
    return Constant(max(0.0, bound), True, f"{method}, bounded by its tangent (value {value:.3g})")


def _solve(signed: Matrix, simplex: NDArray[np.bool_], alpha: float) -> Vector:
    """Minimise ``|signed x|^2`` over ``x >= 0`` with sum one on the simplex and at most alpha off it."""
    import clarabel

    size = signed.shape[1]
    scale = float(np.abs(signed).max(initial=0.0)) or 1.0
    if signed.shape[0] > size:
        # The triangular factor has the same Gram matrix and fewer rows.
        signed = np.asarray(np.linalg.qr(signed, mode="r"))
    rows = signed.shape[0]
    square = sparse.diags_array(np.concatenate((np.zeros(size), np.ones(rows))))  # variables: x, signed x
    matrix = np.zeros((rows + 2 + size, size + rows))
    matrix[:rows, :size], matrix[:rows, size:] = signed / scale, -np.eye(rows)
    matrix[rows, :size], matrix[rows + 1, :size] = simplex, ~simplex
    matrix[rows + 2 :, :size] = -np.eye(size)
    right = np.concatenate((np.zeros(rows), [1.0, alpha], np.zeros(size)))
    cones = [clarabel.ZeroConeT(rows + 1), clarabel.NonnegativeConeT(1 + size)]
    return _conic(square, np.zeros(size + rows), matrix, right, cones)[:size]


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
    Y, u = _relax(signed / scale, v)
    remainder, size_of_terms = signed - scale * Y, np.abs(signed) + scale * Y
    if v is not None:
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


def _relax(signed: Matrix, v: Vector | None) -> tuple[Matrix, Vector]:
    """Maximise t over Y, u >= 0 with ``signed - t I - Y - (v u' + u v') / 2`` positive semidefinite."""
    import clarabel

    size = signed.shape[0]
    i, j = np.tril_indices(size)  # the order in which Clarabel stacks a triangle
    weight = np.where(i == j, 1.0, np.sqrt(2.0))
    n_u = 0 if v is None else size
    matrix = np.zeros((2 * i.size + n_u, 1 + i.size + n_u))  # columns: t, Y, u
    matrix[: i.size, 0] = i == j
    matrix[: i.size, 1 : 1 + i.size] = np.diag(weight)
    if v is not None:
        entry = np.arange(i.size)
        np.add.at(matrix, (entry, 1 + i.size + j), 0.5 * weight * v[i])
        np.add.at(matrix, (entry, 1 + i.size + i), 0.5 * weight * v[j])
    matrix[i.size :, 1:] = -np.eye(i.size + n_u)
    right = np.concatenate((weight * signed[i, j], np.zeros(i.size + n_u)))
    cones = [clarabel.PSDTriangleConeT(size), clarabel.NonnegativeConeT(i.size + n_u)]
    none = sparse.csc_array((matrix.shape[1], matrix.shape[1]))
    found = np.maximum(_conic(none, -np.eye(1, matrix.shape[1])[0], matrix, right, cones), 0.0)
    Y = np.zeros((size, size))
    Y[i, j] = Y[j, i] = found[1 : 1 + i.size]
    return Y, found[1 + i.size :]


def _conic(square: Any, linear: Vector, matrix: Matrix, right: Vector, cones: list[Any]) -> Vector:
    """Minimise ``z'square z / 2 + linear'z`` with ``right - matrix z`` in the cones; zeros if that fails."""
    import clarabel

    settings = clarabel.DefaultSettings()
    settings.verbose = False
    solver = clarabel.DefaultSolver(
        sparse.csc_matrix(square), linear, sparse.csc_matrix(matrix), right, cones, settings
    )
    z = np.array(solver.solve().x, dtype=np.float64)
    return z if np.isfinite(z).all() else np.zeros(z.size)
