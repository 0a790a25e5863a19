"""Majorize-minimize: a concave penalty by a sequence of weighted l1 problems (theory.md, T7)."""

from __future__ import annotations

import time
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from convex_analysis.convex_step import ConvexSolution, ConvexStep
from convex_analysis.descent import Descent, Start
from convex_analysis.losses.loss import Vector
from convex_analysis.solution import ConvergenceWarning, Solution
from convex_analysis.solver_parameters import check_solver_parameters
from convex_analysis.suboptimality import suboptimality_bound

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem

# Duality gap of the l1 start, relative to the data fit at zero.
_START_GAP = 1e-6
# Stationarity of the rough l1 start, relative to the weights of l1.
_ROUGH = 0.3
_ROUGH_STEPS = 100


def majorize_minimize(
    problem: Problem, start: str | Vector | None = None, tol: float = 1e-8, max_iter: int = 1000
) -> Solution:
    """Minimise a concave-penalised problem by majorize-minimize (reweighted l1).

    Each step replaces the penalty by its tangent at the current point and solves the convex
    problem that results, ``x+ = argmin f(x) + sum_j lam factor_j r'(|x_j|) |x|``. The objective
    never increases, and limit points are first-order stationary (theory.md, T7). Steps are made on
    a working set; where the penalty's own curvature gives a better step, that one is taken
    (it must lower the objective as well).

    Parameters
    ----------
    problem
        A `MaskProblem` or `RegressionProblem`.
    start
        None (the default) begins with a rough l1 solution, between the slope at zero and the chord of
        the penalty; on a finite box with "l1". "l1" is the minimiser with the l1 penalty at the same
        lam, which gives the bound of T1; "zero" (the
        point of the box nearest to zero), "dense" (upper bounds where finite, else the minimiser
        without penalty but a small l1 term), "multi" (the best of these and the default), or a vector of
        shape (n_features,), which is clipped to the box.
    tol
        Stop when the stationarity is at most ``tol * max_j |grad_j f|`` at the point of the box
        nearest to zero: relative to the largest gradient, so that the units of X and y do not
        matter; never below what rounding leaves of a gradient that is zero. Columns whose norms
        differ by more than a factor of 1000 are brought to one length first, so that none hides another.
    max_iter
        Largest number of steps.

    Returns
    -------
    Solution

    Raises
    ------
    TypeError, ValueError
        One sentence on what is wrong with an argument, or where numbers overflow.

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
    check_solver_parameters("majorize_minimize", problem, start=start, tol=tol, max_iter=max_iter)
    solution = run(problem, ConvexStep(problem.normalised()), start, tol, max_iter)
    if not solution.converged:
        warnings.warn(solution.message, ConvergenceWarning, stacklevel=2)
    return replace(solution, seconds=time.perf_counter() - begun)


def solve(problem: Problem, tol: float = 1e-8, max_iter: int = 1000) -> Solution:
    """Minimise the problem with the default settings: one convex step for L1, majorize-minimize otherwise."""
    return majorize_minimize(problem, None, tol, max_iter)


def run(
    problem: Problem, solver: ConvexStep, start: str | Vector | None, tol: float, max_iter: int
) -> Solution:
    """Solve as `majorize_minimize` does, without its warning and checks.

    Parameters
    ----------
    problem, start, tol, max_iter
        As in `majorize_minimize`.
    solver
        Made of ``problem.normalised()``, perhaps at another lam; its working set is used and grown.
    """
    if isinstance(start, str) and start == "multi":
        # The default first, on the working set it would find alone: the result is never above it.
        runs = [run(problem, solver, kind, tol, max_iter) for kind in (None, "l1", "dense", "zero")]
        return min(runs, key=lambda run: run.objective)
    begun = time.perf_counter()
    scaled = problem.normalised()
    units = scaled.units
    beginning = _start(scaled, solver, start)
    scale = float(np.abs(scaled.gradient_at_start()).max())
    descent = Descent(scaled, solver.model, beginning, max(tol * scale, scaled.rounding()))
    descent.run(max_iter)
    gap, dual = descent.certificate()
    bound = gap  # a straight penalty is its own convex envelope
    if not problem.is_convex:
        duals = [dual] if beginning.dual is None else [beginning.dual, dual]
        in_units = [point.in_units(units) for point in duals]
        bound = suboptimality_bound(problem, descent.objective, in_units)
    steepest = int(np.argmax(descent.violations / units))
    violation = float(descent.violations[steepest] / units[steepest])
    stationarity = max(violation, descent.intercept_violation)
    tolerance = descent.tolerance / (float(units[steepest]) if violation == stationarity else 1.0)
    message = (
        f"{descent.status.value} Stationarity {stationarity:.3g}, tolerance {tolerance:.3g}, "
        f"{descent.n_iter} steps, duality gap of the last step {gap:.3g}."
    )
    return Solution(
        x=np.clip(descent.x * units, problem.lower, problem.upper),
        intercept=descent.intercept,
        objective=descent.objective,
        objectives=np.array(descent.objectives),
        stationarity=stationarity,
        tolerance=tolerance,
        gap=gap,
        status=descent.status,
        message=message,
        n_iter=descent.n_iter,
        seconds=time.perf_counter() - begun,
        suboptimality_bound=bound,
        lam=problem.lam,
    )


def _start(problem: Problem, solver: ConvexStep, start: str | Vector | None) -> Start:
    """Return the starting point, with the dual point of a convex step where that may give a bound (T1)."""
    boxed = bool(np.isfinite(problem.lower).all() and np.isfinite(problem.upper).all())
    weights = problem.lam * problem.penalty_factor * problem.units
    fit_at_zero = _finite_fit(problem, *problem.start_at_zero())
    if start is None and not problem.is_convex and not boxed:
        return _rough_l1(problem, solver)
    if start is None:
        start = "zero" if problem.is_convex else "l1"
    if isinstance(start, str):
        gap = _START_GAP * fit_at_zero
        if start == "l1":
            return _from_convex(solver.compute(weights, gap=gap))
        if start == "dense" and not np.isfinite(problem.upper).all():
            return _from_convex(solver.compute(1e-3 * weights, gap=gap))
        x = np.clip(0.0, problem.lower, problem.upper) if start == "zero" else problem.upper.copy()
    else:
        x = np.asarray(start, dtype=np.float64)
        if x.shape != (problem.n_features,) or not np.isfinite(x).all():
            raise ValueError(
                f"start must be a finite vector of shape ({problem.n_features},), got shape {x.shape}."
            )
        x = np.clip(x / problem.units, problem.lower, problem.upper)
    _finite_fit(problem, x)
    if boxed and not problem.is_convex:
        return _from_convex(solver.evaluate(x, weights))
    return Start.at(problem, x)


def _rough_l1(problem: Problem, solver: ConvexStep) -> Start:
    """Return a rough l1 solution: only its support matters, and whatever it cost would be cold."""
    from concave_sparsity import L1

    chord = float(problem.penalty.value(1.0))
    steep = problem.slope_at_zero if np.isfinite(problem.slope_at_zero) else chord
    straight = problem.with_penalty(L1()).with_lam(problem.lam * float(np.sqrt(steep * chord)))
    tolerance = _ROUGH * straight.lam * float(problem.penalty_factor.max())
    descent = Descent(straight, solver.model, Start.at(straight, problem.start_at_zero()[0]), tolerance)
    descent.run(_ROUGH_STEPS)
    return Start(descent.x, descent.z, descent.intercept, descent.gradient)


def _from_convex(found: ConvexSolution) -> Start:
    return Start(found.x, found.z, found.intercept, found.gradient, found.point)


def _finite_fit(problem: Problem, x: Vector, intercept: float = 0.0) -> float:
    """Return the data fit at a start; where it overflows, no step could be judged."""
    with np.errstate(over="ignore", invalid="ignore"):
        fit = problem.data_fit(x, intercept)
    if not np.isfinite(fit):
        raise ValueError("The loss overflows at the start: give bounds or a start of a smaller size.")
    return fit
