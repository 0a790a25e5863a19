"""Strong convexity of the data fit: certified smallest eigenvalues and diagonal minorants."""

from __future__ import annotations

import numpy as np

from convex_analysis.constants.constant import Constant
from convex_analysis.constants.curvature import Matrix
from convex_analysis.losses.loss import Vector


def eigenvalue_margin(size: int, rows: int, trace: float) -> float:
    """Return an allowance for rounding in a computed smallest eigenvalue of ``C'C``.

    The symmetric eigensolver is backward stable (an error of a small multiple of ``size * eps`` times
    the norm), and forming the Gram matrix adds at most ``rows * eps`` times its trace.
    """
    return float(np.finfo(float).eps) * (rows + 8.0 * size) * trace


def strong_convexity(factor: Matrix) -> Constant:
    """Return a certified lower bound of the smallest eigenvalue of ``C'C``.

    Parameters
    ----------
    factor
        The matrix C, shape (n_samples, n_features): see `curvature_factor`.
    """
    rows, size = factor.shape
    if size == 0:
        return Constant(np.inf, True, "no feature: there is only one point")
    if rows < size:
        return Constant(0.0, True, f"fewer samples ({rows}) than features ({size})")
    gram = factor.T @ factor
    value = float(np.linalg.eigvalsh(gram)[0]) - eigenvalue_margin(size, rows, float(np.trace(gram)))
    return Constant(max(0.0, value), True, "smallest eigenvalue, less an allowance for rounding")


def diagonal_curvature(factor: Matrix) -> Vector:
    """Return delta >= 0 with ``C'C >= diag(delta)``: the smallest eigenvalue of the correlation matrix.

    ``delta_j = lambda_min(Q^(-1/2) C'C Q^(-1/2)) Q_jj`` with Q the diagonal of ``C'C``. It does not
    depend on the scale of the columns, so that a mask over weights of very different sizes keeps
    a useful curvature for the large ones. Columns that are zero get zero.
    """
    rows, size = factor.shape
    delta = np.zeros(size)
    norms = np.sqrt(np.einsum("ij,ij->j", factor, factor))
    kept = np.flatnonzero(norms > 0)
    if kept.size == 0 or rows < kept.size:
        return delta
    scaled = factor[:, kept] / norms[kept]
    gram = scaled.T @ scaled
    value = float(np.linalg.eigvalsh(gram)[0]) - eigenvalue_margin(kept.size, rows, float(kept.size))
    delta[kept] = max(0.0, value) * norms[kept] ** 2
    return delta
