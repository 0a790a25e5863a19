"""Dual values of a convex step: rigorous lower bounds, and how to make a dual point feasible."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.linalg import pinvh
from scipy.linalg.lapack import dpotrf, dpotrs

from convex_analysis.losses.loss import Vector
from convex_analysis.solver.stacked_set import StackedSet
from convex_analysis.solver.working_set import WorkingSet
from convex_analysis.stacked_design import StackedDesign

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem

# A pass over X is spared where a projection changes no correlation by more than this share of its weight.
_NO_SLACK = 1e-10
_NO_COST = 1e-13  # nor the dual value by more than this share of it
_SHORTEST = 1e-140  # the square of a shorter column may have lost digits


class DualPoint(NamedTuple):
    """A dual point and its correlation ``A' nu`` with the columns, known to within ``slack`` (None: 0)."""

    nu: Vector
    correlation: Vector
    slack: Vector | None = None

    def scaled(self, factor: float) -> DualPoint:
        """Return the point times a factor."""
        slack = None if self.slack is None else factor * self.slack
        return DualPoint(factor * self.nu, factor * self.correlation, slack)


def dual_value(
    problem: Problem,
    weights: Vector,
    nu: Vector,
    linear: Vector | None = None,
    correlation: Vector | None = None,
    slack: Vector | None = None,
) -> float:
    """Return the dual value at ``nu``: a lower bound of the convex step's minimum, for every ``nu``.

    The convex step is ``min f(A x + b) + linear'x + weights'|x|`` over the box, and

    ``D(nu) = -sum_i s_i phi*(-nu_i / s_i) - offset'nu
    - sum_j max over [l_j, u_j] of (a_j'nu - linear_j) x - w_j |x| - ridge_j x^2 / 2``.

    On a finite box every ``nu`` in the domain of the conjugate gives a finite value (theory.md,
    "Duality gap on the box"); a coordinate without bound and ridge needs ``|a_j'nu - linear_j| <= w_j``
    (a group: its norm), an intercept ``sum nu = 0``, else the value is -inf. The last two are checked to
    within rounding (1e-12 of the largest value that the product could have).

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
    slack
        By how much each entry of the correlation may be wrong, shape (n_features,); not at all by default.
        The value is the least that this allows.

    Raises
    ------
    ValueError
        If a shape does not fit the problem.
    """
    for name, vector, size in (
        ("weights", weights, problem.n_features),
        ("nu", nu, problem.n_samples),
        ("linear", linear, problem.n_features),
        ("correlation", correlation, problem.n_features),
        ("slack", slack, problem.n_features),
    ):
        if vector is not None and np.shape(vector) != (size,):
            raise ValueError(f"{name} must have shape ({size},), got {np.shape(vector)}.")
    if problem.fit_intercept and abs(float(nu.sum())) > 1e-12 * float(np.abs(nu).sum()):
        return -np.inf
    if correlation is None:
        correlation = problem.design.rmatvec(nu)
    if slack is not None:  # an error of t_j costs at most slack_j |x|
        weights = np.where(np.isinf(weights), weights, weights - slack)
    return problem.fit.dual_part(nu) - support_value(problem, weights, correlation, linear, nu)


def point_value(problem: Problem, weights: Vector, point: DualPoint, linear: Vector | None = None) -> float:
    """Return the `dual_value` at a dual point whose correlation is known."""
    return dual_value(problem, weights, point.nu, linear, point.correlation, point.slack)


def certified_value(
    problem: Problem, weights: Vector, point: DualPoint, linear: Vector | None = None
) -> tuple[float, DualPoint]:
    """Return the dual value at a point, or at zero where that says nothing, and the dual point.

    At zero the dual value is the sum of the least losses plus the least penalty: finite except for a
    linear term that outweighs the weights in a direction without bound.
    """
    value = point_value(problem, weights, point, linear)
    if value > -np.inf:
        return value, point
    zero = zero_dual_point(problem)
    return point_value(problem, weights, zero, linear), zero


def zero_dual_point(problem: Problem) -> DualPoint:
    """Return the dual point zero."""
    return DualPoint(np.zeros(problem.n_samples), np.zeros(problem.n_features))


def support_value(
    problem: Problem, weights: Vector, correlation: Vector, linear: Vector | None, nu: Vector
) -> float:
    """Return ``max over the box of t'x - weights'|x| - ridge'x^2/2`` with ``t = correlation - linear``."""
    t = correlation if linear is None else correlation - linear
    growth = np.empty_like(t)
    total = problem.regulariser.support_function(
        t, weights, problem.lower, problem.upper, problem.ridge, growth
    )
    # Rounding aside, an unbounded direction makes the dual value -inf.
    if growth.any():
        rounding = 1e-12 * float(np.abs(nu).sum()) * problem.fit.largest_entries
        if (growth > rounding).any():
            return np.inf
    return float(total)


def feasible_dual_point(
    problem: Problem, weights: Vector, nu: Vector, z: Vector, correlation: Vector | None = None
) -> DualPoint:
    """Return a dual point near ``nu`` at which the dual value is finite.

    First the unpenalised, unbounded directions (the intercept among them) are made orthogonal by
    a projection in the metric of the loss's curvature at ``z`` (it stays in the conjugate's domain);
    then, for coordinates with an infinite bound, ``nu`` is scaled down until ``|a_j'nu| <= w_j``,
    as for the lasso. On a finite box ``nu`` comes back as it is.
    """
    bare = True if problem.ridge is None else problem.ridge == 0.0  # a ridge term bounds every direction
    open_above, open_below = (problem.upper == np.inf) & bare, (problem.lower == -np.inf) & bare
    unbounded = open_above | open_below
    if correlation is None:
        correlation = problem.design.rmatvec(nu)
    point = DualPoint(nu, correlation)
    free = np.flatnonzero(unbounded & (weights == 0.0))
    if problem.fit_intercept or free.size:
        point = _project(problem, weights, point, problem.fit.metric(z), free)
    if unbounded.any():
        outward = np.where(open_above, point.correlation, 0.0)
        outward = np.maximum(outward, np.where(open_below, -point.correlation, 0.0))
        outward = problem.regulariser.sizes(outward)
        point = _shrunk(point, weights, outward)
    return point


def best_dual_point(
    problem: Problem, weights: Vector, nu: Vector, z: Vector, correlation: Vector
) -> tuple[float, DualPoint]:
    """Return the better of two dual values near ``nu``, and its point.

    One point uses the box; the other is scaled as if there were none, which is better where bounds
    are far away: on them a correlation that exceeds its weight by rounding counts with their size.
    """
    near = certified_value(problem, weights, feasible_dual_point(problem, weights, nu, z, correlation))
    scaled = _shrunk(near[1], weights, problem.regulariser.sizes(near[1].correlation))
    if scaled is near[1]:  # nothing to scale
        return near
    far = certified_value(problem, weights, scaled)
    return far if far[0] > near[0] else near


def _shrunk(point: DualPoint, weights: Vector, outward: Vector) -> DualPoint:
    """Scale a dual point down until no outward correlation exceeds its weight, where there is one."""
    if point.slack is not None:
        outward = outward + point.slack
    tight = np.flatnonzero((outward > weights) & (weights > 0))
    if not tight.size:
        return point
    return point.scaled(float(np.min(weights[tight] / outward[tight])) * (1.0 - 2e-16))


def _project(
    problem: Problem, weights: Vector, point: DualPoint, row_curvature: Vector, free: np.ndarray
) -> DualPoint:
    """Make a dual point orthogonal to the free columns and, with an intercept, to the constant one."""
    nu, correlation, design = point.nu, point.correlation, problem.design
    # Its scale cancels; on separable data it can be next to the smallest number there is.
    largest = float(row_curvature.max())
    metric = row_curvature / largest if largest > 0.0 else row_curvature
    size, constant = free.size, int(problem.fit_intercept)
    gram = np.empty((size + constant, size + constant))
    if size:
        columns = (
            StackedSet(design, problem.loss.responses > 1)
            if isinstance(design, StackedDesign)
            else WorkingSet(design, centred=False, precision=np.float64)
        )
        columns.add(free, metric)
        gram[:size, :size] = columns.gram[:size, :size]
    if constant:
        gram[size, :size] = gram[:size, size] = design.restricted_rmatvec(free, metric)
        gram[size, size] = metric.sum()
    solve = _solver(gram)
    moved = nu
    for _ in range(2):  # the second pass removes the rounding of the first
        products = np.append(design.restricted_rmatvec(free, moved), [moved.sum()] * constant)
        share = solve(products)
        step = design.restricted_matvec(free, share[:size]) + share[size:].sum()
        moved = moved - problem.fit.hessian_product(metric, step)
    slack = _slack(problem, moved - nu)
    exact = weights == 0.0
    exact[free] = True
    slack[exact] = 0.0
    if np.isfinite(weights).all() and (slack <= _NO_SLACK * weights).all():
        # On a far bound even a small slack would cost much.
        cost = float(slack @ (_finite_size(problem.lower) + _finite_size(problem.upper)))
        if cost <= _NO_COST * abs(problem.fit.dual_part(moved)):
            places = np.flatnonzero(exact)
            correlation = correlation.copy()
            correlation[places] = problem.design.restricted_rmatvec(places, moved)
            return DualPoint(moved, correlation, slack)
    return DualPoint(moved, problem.design.rmatvec(moved))


def _solver(gram: Vector) -> Callable[[Vector], Vector]:
    """Return how to solve with a positive semidefinite matrix; of dependent columns by the pseudo-inverse."""
    L, failed = dpotrf(gram, lower=1)
    pivots = L.diagonal()
    if not failed and float(pivots.min()) > 1e-7 * float(pivots.max()):
        return lambda v: dpotrs(L, v, lower=1)[0]
    inverse = np.asarray(pinvh(gram), dtype=np.float64)
    return lambda v: inverse @ v


def _finite_size(bound: Vector) -> Vector:
    return np.where(np.isfinite(bound), np.abs(bound), 0.0)


def _slack(problem: Problem, move: Vector) -> Vector:
    """Return by how much a move of the dual point changes its correlations at most (Cauchy-Schwarz)."""
    counted = problem.row_weights > 0.0
    if move[~counted].any():
        return np.full(problem.n_features, np.inf)
    length = float(np.sqrt(np.sum(move[counted] ** 2 / problem.row_weights[counted])))
    norms = np.sqrt(problem.fit.squared_norms)
    return np.where(norms > _SHORTEST, norms * length * (1.0 + 1e-12), np.inf)
