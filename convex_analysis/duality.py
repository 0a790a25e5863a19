"""Dual values of a convex step: rigorous lower bounds, and how to make a dual point feasible."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from convex_analysis.losses.loss import Vector

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem


class DualPoint(NamedTuple):
    """A dual point and its correlation ``A' nu`` with the columns."""

    nu: Vector
    correlation: Vector


def dual_value(
    problem: Problem,
    weights: Vector,
    nu: Vector,
    linear: Vector | None = None,
    correlation: Vector | None = None,
) -> float:
    """Return the dual value at ``nu``: a lower bound of the convex step's minimum, for every ``nu``.

    The convex step is ``min f(A x + b) + linear'x + weights'|x|`` over the box, and

    ``D(nu) = -sum_i s_i phi*(-nu_i / s_i) - sum_j max over [l_j, u_j] of (a_j'nu - linear_j) x - w_j |x|``.

    On a finite box every ``nu`` in the domain of the conjugate gives a finite value (theory.md,
    "Duality gap on the box"); a coordinate without bound needs ``|a_j'nu - linear_j| <= w_j``, an
    intercept ``sum nu = 0``, else the value is -inf. The last two are checked to within rounding
    (1e-12 of the largest value that the product could have).

    Parameters
    ----------
    problem
        Supplies loss, design, row weights, box; its penalty and lam are not used.
    weights
        Weights of ``|x_j|``, shape (n_features,), not negative; inf fixes a coordinate at zero.
    nu
        Dual point, shape (n_samples,); ``-s_i phi'(z_i)`` at the optimum.
    linear
        Coefficients of an added linear term, shape (n_features,); none by default.
    correlation
        ``A' nu`` where it is known already.
    """
    if problem.fit_intercept and abs(float(nu.sum())) > 1e-12 * float(np.abs(nu).sum()):
        return -np.inf
    if correlation is None:
        correlation = problem.design.rmatvec(nu)
    return conjugate_value(problem, nu) - box_support(problem, weights, correlation, linear, nu)


def certified_value(
    problem: Problem, weights: Vector, nu: Vector, linear: Vector | None, correlation: Vector
) -> tuple[float, DualPoint]:
    """Return the dual value at ``nu``, or at zero where that says nothing, and the dual point.

    At zero the dual value is the sum of the least losses plus the least penalty: finite except for a
    linear term that outweighs the weights in a direction without bound.
    """
    value = dual_value(problem, weights, nu, linear, correlation)
    if value > -np.inf:
        return value, DualPoint(nu, correlation)
    zero = zero_dual_point(problem)
    return dual_value(problem, weights, zero.nu, linear, zero.correlation), zero


def zero_dual_point(problem: Problem) -> DualPoint:
    """Return the dual point zero."""
    return DualPoint(np.zeros(problem.n_samples), np.zeros(problem.n_features))


def conjugate_value(problem: Problem, nu: Vector) -> float:
    """Return ``-sum_i s_i phi*(-nu_i / s_i)``, the dual value's part that does not depend on the box."""
    s = problem.row_weights
    counted = s > 0
    if not counted.all():
        if (nu[~counted] != 0).any():
            return -np.inf
        nu, s, y = nu[counted], s[counted], problem.y[counted]
    else:
        y = problem.y
    return -float(s @ problem.loss.conjugate(-nu / s, y))


def box_support(
    problem: Problem, weights: Vector, correlation: Vector, linear: Vector | None, nu: Vector
) -> float:
    """Return ``sum_j max over [l_j, u_j] of t_j x - w_j |x|`` with ``t = correlation - linear``."""
    lower, upper = problem.lower, problem.upper
    t = correlation if linear is None else correlation - linear
    at_lower = _at_bound(t, weights, lower)
    at_upper = _at_bound(t, weights, upper)
    best = np.maximum(at_lower, at_upper)
    holds_zero = (lower <= 0) & (upper >= 0)
    best[holds_zero] = np.maximum(best[holds_zero], 0.0)
    if np.isinf(best).any():
        # Rounding aside, an unbounded direction makes the dual value -inf.
        size = float(np.abs(nu).sum())
        for j in np.flatnonzero(best == np.inf):
            column = problem.design.columns(np.array([j]))
            largest = float(abs(column).max()) * size
            if max(t[j] - weights[j], -t[j] - weights[j]) > 1e-12 * largest:
                return np.inf
            best[j] = max(0.0, *(v for v in (at_lower[j], at_upper[j]) if v < np.inf))
    return float(best.sum())


def _at_bound(t: Vector, weights: Vector, bound: Vector) -> Vector:
    """Return ``t x - w |x|`` at a bound; for an infinite bound inf if it grows without limit, else -inf."""
    finite = np.isfinite(bound) & np.isfinite(weights)
    x = np.where(finite, bound, 0.0)
    value = t * x - np.where(finite, weights, 0.0) * np.abs(x)
    unbounded = np.isinf(bound) & (t * np.sign(np.where(np.isinf(bound), bound, 1.0)) > weights)
    return np.where(finite, value, np.where(unbounded, np.inf, -np.inf))


def feasible_dual_point(
    problem: Problem, weights: Vector, nu: Vector, z: Vector, correlation: Vector | None = None
) -> tuple[Vector, Vector]:
    """Return a dual point near ``nu`` at which the dual value is finite, and its correlation ``A' nu``.

    First the unpenalised, unbounded directions (the intercept among them) are made orthogonal by
    a projection in the metric of the loss's curvature at ``z`` (it stays in the conjugate's domain);
    then, for coordinates with an infinite bound, ``nu`` is scaled down until ``|a_j'nu| <= w_j``,
    as for the lasso. On a finite box ``nu`` comes back as it is.
    """
    open_above, open_below = np.isinf(problem.upper), np.isinf(problem.lower)
    unbounded = open_above | open_below
    if correlation is None:
        correlation = problem.design.rmatvec(nu)
    free = np.flatnonzero(unbounded & (weights == 0.0))
    if problem.fit_intercept or free.size:
        row_curvature = problem.row_weights * problem.loss.second_derivative(z, problem.y)
        nu, correlation = _project(problem, nu, row_curvature, free)
    if unbounded.any():
        outward = np.where(open_above, correlation, 0.0)
        outward = np.maximum(outward, np.where(open_below, -correlation, 0.0))
        nu, correlation = _shrunk(nu, correlation, weights, outward)
    return nu, correlation


def best_dual_point(
    problem: Problem, weights: Vector, nu: Vector, z: Vector, correlation: Vector
) -> tuple[float, DualPoint]:
    """Return the better of two dual values near ``nu``, and its point.

    One point uses the box; the other is scaled as if there were none, which is better where bounds
    are far away: on them a correlation that exceeds its weight by rounding counts with their size.
    """
    nu, correlation = feasible_dual_point(problem, weights, nu, z, correlation)
    near = certified_value(problem, weights, nu, None, correlation)
    scaled = _shrunk(near[1].nu, near[1].correlation, weights, np.abs(near[1].correlation))
    if scaled[0] is near[1].nu:  # nothing to scale
        return near
    far = certified_value(problem, weights, scaled[0], None, scaled[1])
    return far if far[0] > near[0] else near


def _shrunk(nu: Vector, correlation: Vector, weights: Vector, outward: Vector) -> tuple[Vector, Vector]:
    """Scale a dual point down until no outward correlation exceeds its weight, where there is one."""
    tight = (weights > 0) & (outward > weights)
    if not tight.any():
        return nu, correlation
    shrink = float(np.min(weights[tight] / outward[tight])) * (1.0 - 2e-16)
    return shrink * nu, shrink * correlation


def _project(problem: Problem, nu: Vector, row_curvature: Vector, free: np.ndarray) -> tuple[Vector, Vector]:
    basis = np.ones((problem.n_samples, int(problem.fit_intercept)))
    if free.size:
        columns = problem.design.columns(free)
        basis = np.hstack([basis, columns])
    # Its scale cancels; on separable data it can be next to the smallest number there is.
    largest = float(row_curvature.max())
    weighted = (row_curvature / largest if largest > 0.0 else row_curvature)[:, None] * basis
    gram = basis.T @ weighted
    try:
        np.linalg.cholesky(gram)
        inverse = np.linalg.inv(gram)
    except np.linalg.LinAlgError:  # dependent columns
        inverse = np.linalg.pinv(gram)
    for _ in range(2):  # the second pass removes the rounding of the first
        nu = nu - weighted @ (inverse @ (basis.T @ nu))
    correlation = problem.design.rmatvec(nu)
    return nu, correlation
