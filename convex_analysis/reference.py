"""The convex step stated in cvxpy and solved by Clarabel: an independent check of our own kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from convex_analysis.losses.loss import Vector
from convex_analysis.problems.validation import check_weights
from convex_analysis.stacked_design import StackedDesign

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem


class ReferenceStep(NamedTuple):
    """Minimiser and minimum of a convex step as an interior-point method finds them."""

    x: Vector
    intercept: float
    value: float
    """Value of the convex step, ``f(A x + b) + linear'x + weights'|x|``, at x clipped to the box."""


def convex_step(
    problem: Problem, weights: Vector, *, linear: Vector | None = None, tolerance: float = 1e-11
) -> ReferenceStep:
    """Minimise ``f(A x + b) + linear'x + weights'|x|`` over the box with cvxpy and Clarabel.

    f holds offset and ridge term; with groups the last term is ``sum_g w_g ||x_g||``.

    Parameters
    ----------
    problem
        Any problem; its penalty and lam are not used.
    weights
        Weights of ``|x_j|``, shape (n_features,), not negative; inf fixes a coordinate at zero.
    linear
        Coefficients of an added linear term; none by default.
    tolerance
        Clarabel's absolute and relative gap and feasibility tolerance.
    """
    import cvxpy

    weights = check_weights(weights, problem.n_features)
    x = cvxpy.Variable(problem.n_features)
    b: Any = cvxpy.Variable() if problem.fit_intercept else 0.0
    scale = problem.design.scale
    scaled = x if scale is None else cvxpy.multiply(scale, x)
    offset = 0.0 if problem.offset is None else problem.offset
    stacked = isinstance(problem.design, StackedDesign)
    predictor = problem.design.columns(np.arange(problem.n_features)) @ x if stacked else problem.X @ scaled
    losses = problem.loss.expression(predictor + offset + b, problem.y)
    finite = np.isfinite(weights)
    charged = np.where(finite, weights, 0.0)
    objective = problem.row_weights @ losses
    if problem.group is None:
        objective += charged @ cvxpy.abs(x)
    else:
        for group in np.unique(problem.group):
            members = np.flatnonzero(problem.group == group)
            objective += charged[members[0]] * cvxpy.norm(x[members], 2)
    if problem.ridge is not None:
        objective += 0.5 * cvxpy.sum(cvxpy.multiply(problem.ridge, cvxpy.square(x)))
    if linear is not None:
        objective += linear @ x
    constraints = []
    below = np.flatnonzero(np.isfinite(problem.lower) & finite)
    above = np.flatnonzero(np.isfinite(problem.upper) & finite)
    if below.size:
        constraints.append(x[below] >= problem.lower[below])
    if above.size:
        constraints.append(x[above] <= problem.upper[above])
    if not finite.all():
        constraints.append(x[np.flatnonzero(~finite)] == 0)
    statement = cvxpy.Problem(cvxpy.Minimize(objective), constraints)
    statement.solve(
        solver=cvxpy.CLARABEL,
        tol_gap_abs=tolerance,
        tol_gap_rel=tolerance,
        tol_feas=tolerance,
        max_iter=500,
    )
    if x.value is None:
        raise RuntimeError(f"Clarabel found no solution of the convex step: {statement.status}.")
    point = np.clip(np.where(finite, x.value, 0.0), problem.lower, problem.upper)
    intercept = float(b.value) if problem.fit_intercept else 0.0
    value = problem.data_fit(point, intercept) + problem.regulariser.norm(charged, point)
    if linear is not None:
        value += float(linear @ point)
    return ReferenceStep(point, intercept, value)
