"""The quantities of the relaxed irrepresentable condition (theory.md, T9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from convex_analysis.constants.curvature import Matrix, curvature_factor
from convex_analysis.losses.loss import Vector

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem


@dataclass(frozen=True, eq=False)
class Irrepresentable:
    """What T9 compares with the penalty's slopes.

    Attributes
    ----------
    coefficients
        ``beta_j = G_F^{-1} <A_F, A_j>`` for every column j, shape (number of free, n_features).
    noise
        ``<A_j, (I - P_F) e> / lam``, shape (n_features,).
    free
        Indices of the free coordinates F.
    smallest_eigenvalue
        Of ``G_F``, less an allowance for rounding; 0 means that A_F has dependent columns and the rest is
        meaningless.
    """

    coefficients: Matrix
    noise: Vector
    free: NDArray[np.intp]
    smallest_eigenvalue: float

    def values(self, slopes: Vector) -> Vector:
        """Return ``q_j = beta_j' r'(m_F) + noise_j`` for every column, given the slopes on F."""
        q: Vector = self.coefficients.T @ slopes + self.noise
        return q

    def worst_case(self, least: float, largest: float) -> Vector:
        """Return the largest ``q_j`` over all slopes in [least, largest]."""
        up = np.maximum(self.coefficients, 0.0).sum(axis=0)
        down = np.maximum(-self.coefficients, 0.0).sum(axis=0)
        q: Vector = largest * up - least * down + self.noise
        return q


def irrepresentable(
    problem: Problem, design: Matrix, residual: Vector, free: NDArray[np.intp], lam: float
) -> Irrepresentable:
    """Return the quantities of T9 for the linear loss.

    Parameters
    ----------
    problem
        Supplies the row weights.
    design
        A as a dense array.
    residual
        ``e = y - A target``, shape (n_samples,).
    free
        Indices of the coordinates strictly inside (0, 1).
    lam
        Strength of the normalised penalty, positive.
    """
    root = np.sqrt(problem.row_weights)
    if problem.fit_intercept:
        residual = residual - problem.row_weights @ residual
    # With an intercept columns and residual are centred: it takes what they have in common.
    weighted, noise = curvature_factor(problem, design, np.ones(problem.n_samples)), root * residual
    if free.size == 0:
        empty = np.zeros((0, design.shape[1]))
        return Irrepresentable(empty, weighted.T @ noise / lam, free, np.inf)
    columns = weighted[:, free]
    singular = np.linalg.svd(columns, compute_uv=False)
    # The decomposition is backward stable: an error of a small multiple of eps times the norm.
    allowance = float(np.finfo(float).eps) * max(columns.shape) * float(singular[0])
    smallest = max(0.0, float(singular[-1]) - allowance) ** 2 if columns.shape[0] >= free.size else 0.0
    q, r = np.linalg.qr(columns)
    if smallest == 0.0 or np.abs(np.diag(r)).min() == 0.0:
        return Irrepresentable(np.zeros((free.size, design.shape[1])), np.zeros(design.shape[1]), free, 0.0)
    coefficients = np.linalg.solve(r, q.T @ weighted)
    for _ in range(2):  # the second projection removes the rounding of the first
        noise = noise - q @ (q.T @ noise)
    return Irrepresentable(coefficients, weighted.T @ noise / lam, free, smallest)
