"""Minima of a convex quadratic over the signs that a box imposes: compatibility (theory.md, T10, T15)."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from convex_analysis.constants.constant import Constant
from convex_analysis.constants.curvature import Matrix
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
    import cvxpy

    size = signed.shape[1]
    scale = float(np.abs(signed).max()) or 1.0
    if signed.shape[0] > size:
        # The triangular factor has the same Gram matrix and fewer rows.
        signed = np.asarray(np.linalg.qr(signed, mode="r"))
    x = cvxpy.Variable(size, nonneg=True)
    constraints = [cvxpy.sum(x[np.flatnonzero(simplex)]) == 1]
    rest = np.flatnonzero(~simplex)
    if rest.size:
        constraints.append(cvxpy.sum(x[rest]) <= alpha)
    statement = cvxpy.Problem(cvxpy.Minimize(cvxpy.sum_squares((signed / scale) @ x)), constraints)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an inaccurate solution costs sharpness, not validity
            statement.solve(solver=cvxpy.CLARABEL)
    except cvxpy.error.SolverError:
        return np.zeros(size)
    return np.zeros(size) if x.value is None else np.asarray(x.value, dtype=np.float64)
