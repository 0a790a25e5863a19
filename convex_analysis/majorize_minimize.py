"""Majorize-minimize: a concave penalty by a sequence of weighted l1 problems (theory.md, T7)."""

from __future__ import annotations

import time
import warnings
from typing import TYPE_CHECKING

import numpy as np

from convex_analysis.convex_step import ConvexSolution, ConvexStep
from convex_analysis.losses.loss import Vector
from convex_analysis.solution import ConvergenceWarning, Solution, Status
from convex_analysis.suboptimality import suboptimality_bound

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem


def majorize_minimize(
    problem: Problem, start: str | Vector | None = None, tol: float = 1e-8, max_iter: int = 1000
) -> Solution:
    """Minimise a concave-penalised problem by majorize-minimize (reweighted l1).

    Each step replaces the penalty by its tangent at the current point and solves the convex
    problem that results, ``x+ = argmin f(x) + sum_j lam factor_j r'(|x_j|) |x|``. The objective
    never increases, and limit points are first-order stationary (theory.md, T7).

    Parameters
    ----------
    problem
        A `MaskProblem` or `RegressionProblem`.
    start
        "l1" (the default: the minimiser with the l1 penalty at the same lam), "zero" (the
        point of the box nearest to zero), "dense" (upper bounds where finite, else the minimiser
        without penalty but a small ridge), "multi" (the best of the three), or a vector of
        shape (n_features,), which is clipped to the box.
    tol
        Stop when the stationarity is at most ``tol * max_j |grad_j f|`` at the point of the box
        nearest to zero: relative to the largest gradient, so that the units of X and y do not matter.
    max_iter
        Largest number of steps.

    Returns
    -------
    Solution

    Warns
    -----
    ConvergenceWarning
        If the run stops before the tolerance; the message gives both figures.

    Notes
    -----
    Where the penalty's slope at zero is infinite (Lq without smoothing), an entry that is zero
    stays zero in every later step; the start decides its support.
    """
    begun = time.perf_counter()
    _check_arguments(tol, max_iter)
    if isinstance(start, str) and start == "multi":
        runs = [majorize_minimize(problem, kind, tol, max_iter) for kind in ("l1", "dense", "zero")]
        return min(runs, key=lambda run: run.objective)
    solver = ConvexStep(problem)
    zero, zero_intercept = problem.start_at_zero()
    tolerance = tol * float(np.abs(problem.gradient(zero, zero_intercept)).max())
    convex = _start(problem, solver, start)
    x, intercept = convex.x, convex.intercept
    duals = [convex.nu]
    objectives = [problem.objective(x, intercept)]
    stationarity = problem.stationarity(x, intercept)
    gap, status = convex.gap, Status.ITERATION_LIMIT
    n_iter = 0
    while n_iter < max_iter:
        n_iter += 1
        convex = solver.compute(problem.weights(x), start=x, intercept=intercept)
        gap = convex.gap
        objective = problem.objective(convex.x, convex.intercept)
        if objective > objectives[-1] + 1e-14 * abs(objectives[-1]):
            status = Status.CONVERGED if stationarity <= tolerance else Status.STALLED
            break
        unchanged = bool((convex.x == x).all()) and convex.intercept == intercept
        x, intercept = convex.x, convex.intercept
        objectives.append(objective)
        stationarity = problem.stationarity(x, intercept)
        if stationarity <= tolerance:
            status = Status.CONVERGED
            break
        if unchanged:
            status = Status.STALLED
            break
    duals.append(convex.nu)
    message = (
        f"{status.value} Stationarity {stationarity:.3g}, tolerance {tolerance:.3g}, "
        f"{n_iter} steps, duality gap of the last step {gap:.3g}."
    )
    if status is not Status.CONVERGED:
        warnings.warn(message, ConvergenceWarning, stacklevel=2)
    return Solution(
        x=x,
        intercept=intercept,
        objective=objectives[-1],
        objectives=np.array(objectives),
        stationarity=stationarity,
        tolerance=tolerance,
        gap=gap,
        status=status,
        message=message,
        n_iter=n_iter,
        seconds=time.perf_counter() - begun,
        suboptimality_bound=suboptimality_bound(problem, objectives[-1], duals),
        lam=problem.lam,
    )


def solve(problem: Problem, tol: float = 1e-8, max_iter: int = 1000) -> Solution:
    """Minimise the problem with the default settings: one convex step for L1, majorize-minimize otherwise."""
    return majorize_minimize(problem, None, tol, max_iter)


def _check_arguments(tol: float, max_iter: int) -> None:
    if not (np.isfinite(tol) and tol > 0):
        raise ValueError(f"tol must be a positive finite number, got {tol!r}.")
    if max_iter < 1:
        raise ValueError(f"max_iter must be at least 1, got {max_iter!r}.")


def _start(problem: Problem, solver: ConvexStep, start: str | Vector | None) -> ConvexSolution:
    """Return the starting point, as the solution of a convex step where it is one."""
    l1_weights = problem.lam * problem.penalty_factor
    if start is None or (isinstance(start, str) and start == "l1"):
        return solver.compute(l1_weights)
    if isinstance(start, str):
        if start == "zero":
            x = np.clip(0.0, problem.lower, problem.upper)
        elif start == "dense":
            x = problem.upper.copy()
            if not np.isfinite(x).all():
                return solver.compute(1e-3 * l1_weights)
        else:
            raise ValueError(
                f'Unknown start {start!r}: choose "l1", "zero", "dense", "multi" or pass a vector.'
            )
    else:
        x = np.asarray(start, dtype=np.float64)
        if x.shape != (problem.n_features,) or not np.isfinite(x).all():
            raise ValueError(
                f"start must be a finite vector of shape ({problem.n_features},), got shape {x.shape}."
            )
        x = np.clip(x, problem.lower, problem.upper)
    return solver.evaluate(x, l1_weights)
