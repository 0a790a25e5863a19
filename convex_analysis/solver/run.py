"""Majorize-minimize: a concave penalty by a sequence of weighted l1 problems (theory.md, T7)."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike

from convex_analysis import steering
from convex_analysis.certificate import Certificate
from convex_analysis.convex_step import ConvexStep
from convex_analysis.losses.loss import Vector
from convex_analysis.recession import falling_ray, remedy
from convex_analysis.solution import ConvergenceWarning, Solution
from convex_analysis.solver.active_set import ActiveSet, Point
from convex_analysis.solver.model_moments import MomentsModel
from convex_analysis.solver.stop import Progress, Status, Stop
from convex_analysis.solver_parameters import check_solver_parameters
from convex_analysis.threads import one_thread

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem

_CANNOT_JUDGE = (
    "Rounding alone may make a gradient this large, so that floating point cannot judge these data: centre "
    "and rescale the features, or leave out those that are all but equal."
)


def majorize_minimize(
    problem: Problem,
    start: str | Vector | None = None,
    tol: float = 1e-8,
    max_iter: int = 1000,
    *,
    refine: bool = True,
    callback: Callable[[Progress], bool | None] | None = None,
    time_limit: float | None = None,
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
        None (the default) begins at "zero" where the loss is linear and the penalty smooth and flat from
        some size on (MCP, SCAD), else with a rough l1 solution, between the slope at zero and the chord of
        the penalty; on a finite box with "l1". "l1" is the minimiser with the l1 penalty at the same lam;
        "zero" the point of the box nearest to zero; "dense" the upper bounds where finite, else the minimiser
        without penalty but a small l1 term; "multi" the best of these and the default; or a vector of
        shape (n_features,), which is clipped to the box.
    tol
        Stop when the stationarity is at most ``tol * max_j |grad_j f|`` at the point of the box
        nearest to zero: relative to the largest gradient, so that the units of X and y do not
        matter; never below what rounding leaves of a gradient that is zero. Columns whose norms
        differ by more than a factor of 1000 are brought to one length first, so that none hides another.
    max_iter
        Largest number of steps. A step minimises a quadratic model of the loss plus the penalty on a working
        set, by reweighted l1, and never raises the objective.
    refine
        Whether to go on to better minima by exchanges of an entry of the support for another column. Without,
        the run ends at a stationary point that few moves of a single coordinate, or none, would improve.
    callback
        Called after each step with a `Progress`; the run stops where it returns True.
    time_limit
        Seconds after which no further step begins; none by default.

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
    check_solver_parameters(
        "majorize_minimize", problem, start=start, tol=tol, max_iter=max_iter, refine=refine,
        callback=callback, time_limit=time_limit,
    )  # fmt: skip
    solution = Solver(problem).run(problem, start, Stop(tol, max_iter, refine, callback, time_limit))
    if not solution.converged:
        warnings.warn(solution.message, ConvergenceWarning, stacklevel=2)
    return replace(solution, seconds=time.perf_counter() - begun)


def solve(problem: Problem, tol: float = 1e-8, max_iter: int = 1000, *, refine: bool = True) -> Solution:
    """Minimise the problem with the default settings: one convex step for L1, majorize-minimize otherwise."""
    return majorize_minimize(problem, None, tol, max_iter, refine=refine)


class Solver:
    """Solves problems that share a data fit one after the other; what is computed from the data is kept.

    Parameters
    ----------
    problem
        Any of the problems: lam, penalty and box may change from run to run.
    precision
        dtype of the Gram matrix, as in `WorkingSet`.
    """

    def __init__(self, problem: Problem, precision: DTypeLike = np.float32) -> None:
        self._step = ConvexStep(problem.normalised(), precision)
        self._moments: MomentsModel | None = None
        self._last: Point | None = None
        self._scale: tuple[tuple[Any, ...], float, float] | None = None

    def _gradient_scale(self, scaled: Problem) -> tuple[float, float]:
        """Return the largest gradient at the start and its rounding: the same for every lam on one box."""
        same = (scaled.fit, scaled.lower, scaled.upper)
        if self._scale is None or any(a is not b for a, b in zip(self._scale[0], same)):
            largest = float(np.abs(scaled.gradient_at_start()).max())
            self._scale = same, largest, scaled.rounding()
        return self._scale[1:]

    def run(self, problem: Problem, start: str | Vector | None, stop: Stop) -> Solution:
        """Solve as `majorize_minimize` does, without its warning and checks."""
        with one_thread(), np.errstate(over="ignore", under="ignore"):
            if isinstance(start, str) and start == "multi":
                # The default first, on the working set it would find alone: the result is never above it.
                return self.best(problem, (None, "l1", "dense", "zero"), stop)
            return self._run(problem, start, stop)

    def best(self, problem: Problem, starts: Sequence[str | Vector | None], stop: Stop) -> Solution:
        """Return the best of runs from several starts; where callback or time stop one, it is the last."""
        runs: list[Solution] = []
        for start in starts:
            runs.append(self.run(problem, start, stop))
            if runs[-1].status is Status.STOPPED or stop.is_late:
                break
        best, last = min(runs, key=lambda run: run.objective), runs[-1]
        if last.status is Status.STOPPED and best is not last:
            best = replace(best, status=last.status, message=f"{last.status.value} {best.message}")
        return best

    def _run(self, problem: Problem, start: str | Vector | None, stop: Stop) -> Solution:
        begun = time.perf_counter()
        scaled = problem.normalised()
        largest, rounding = self._gradient_scale(scaled)
        tolerance, judged = max(stop.tol * largest, rounding), not rounding >= steering.JUDGED * largest > 0.0
        if MomentsModel.serves(scaled) and stop.callback is None and stop.max_iter > 0:
            found = self._from_moments(problem, scaled, start, tolerance, judged, begun)
            if found is not None:
                return found
        run = ActiveSet(scaled, self._step.model, self._start(scaled, start, stop), tolerance, stop.refine)
        run.run(stop)
        self._last = run.point
        return _solution(
            problem, scaled, run.x, run.intercept, run.objective, run.objectives, run.violations,
            run.intercept_violation, tolerance, run.status, judged, begun,
        )  # fmt: skip

    def _from_moments(
        self,
        problem: Problem,
        scaled: Problem,
        start: str | Vector | None,
        tolerance: float,
        judged: bool,
        begun: float,
    ) -> Solution | None:
        """Solve least squares with few columns at the price of their Gram matrix, if that is exact enough."""
        if self._moments is None or self._moments.fit is not scaled.fit:
            # One solve alone is as quick by the working set; of a path the second on goes this way.
            known = self._last is not None
            self._moments = (
                MomentsModel(scaled.fit) if known or scaled.n_features <= steering.MOMENTS_ALONE else None
            )
            if self._moments is None:
                return None
        x = np.zeros(problem.n_features)
        if start is not None and not isinstance(start, str):
            x = _given(scaled, start)
        x = np.clip(x, scaled.lower, scaled.upper)
        found = self._moments.solve(scaled, x, tolerance)
        if found is None:
            return None
        values = [self._moments.objective(scaled, x), found.objective]
        return _solution(
            problem, scaled, found.x, found.intercept, found.objective, values, found.violations, 0.0,
            tolerance, Status.CONVERGED, judged, begun,
        )  # fmt: skip

    def _start(self, problem: Problem, start: str | Vector | None, stop: Stop) -> Point:
        boxed = bool(np.isfinite(problem.lower).all() and np.isfinite(problem.upper).all())
        weights = problem.lam * problem.penalty_factor * problem.units
        zero = np.clip(0.0, problem.lower, problem.upper)
        fit_at_zero = (
            _finite_fit(problem, *problem.start_at_zero()) if zero.any() else problem.fit.loss_at_zero
        )
        grown = problem.is_convex or (problem.fit.quadratic and problem.regulariser.strength.flattens)
        if start is None and not (grown or boxed):
            return self._rough_l1(problem, stop)
        if start is None:
            start = "l1" if boxed and not problem.is_convex else "zero"
        if isinstance(start, str):
            gap = steering.START_GAP * abs(fit_at_zero)  # of a Poisson or gamma loss it may be negative
            if start == "l1" or (start == "dense" and not np.isfinite(problem.upper).all()):
                share = 1.0 if start == "l1" else 1e-3
                step = self._step.compute(share * weights, gap=gap, time_limit=stop.left, problem=problem)
                return step.point_of_fit
            x = zero if start == "zero" else problem.upper.copy()
        else:
            x = _given(problem, start)
            if self._last is not None and np.array_equal(x, self._last.x):
                return self._last  # all is known there
        with np.errstate(over="ignore", invalid="ignore"):
            point = Point.at(problem.fit, x)
        if x.any():
            _finite_fit(problem, x, point.intercept)
        return point

    def _rough_l1(self, problem: Problem, stop: Stop) -> Point:
        """Return a rough l1 solution: only its support matters, and whatever it cost would be cold."""
        from concave_sparsity import L1

        chord = float(problem.penalty.value(1.0))
        steep = problem.slope_at_zero if np.isfinite(problem.slope_at_zero) else chord
        straight = problem.with_penalty(L1()).with_lam(problem.lam * float(np.sqrt(steep * chord)))
        tolerance = steering.ROUGH * straight.lam * float(problem.penalty_factor.max())
        zero = Point.at(straight.fit, np.clip(0.0, straight.lower, straight.upper))
        run = ActiveSet(straight, self._step.model, zero, tolerance)
        run.run(replace(stop, tol=0.0, max_iter=steering.ROUGH_STEPS, callback=None))
        return run.point


def _solution(
    problem: Problem,
    scaled: Problem,
    x: Vector,
    intercept: float,
    objective: float,
    objectives: list[float],
    violations: Vector,
    intercept_violation: float,
    tolerance: float,
    status: Status,
    judged: bool,
    begun: float,
) -> Solution:
    """Return what was found in scaled coordinates as a solution in the problem's own."""
    units = scaled.units
    steepest = int(np.argmax(violations / units))
    violation = float(violations[steepest] / units[steepest])
    stationarity = max(violation, intercept_violation)
    tolerance = tolerance / (float(units[steepest]) if violation == stationarity else 1.0)
    steps = len(objectives) - 1
    own = np.clip(x * units, problem.lower, problem.upper)
    message = f"{status.value} Stationarity {stationarity:.3g}, tolerance {tolerance:.3g}, {steps} steps."
    if falling_ray(problem, own, intercept) is not None:
        status = Status.NO_MINIMISER
        message = f"{status.value} The coefficients are where the run stopped; {remedy(problem)}."
    elif not judged:
        message = f"{message} {_CANNOT_JUDGE}"
    return Solution(
        x=own,
        intercept=intercept,
        objective=objective,
        objectives=np.array(objectives),
        stationarity=stationarity,
        tolerance=tolerance,
        status=status,
        message=message,
        n_iter=steps,
        seconds=time.perf_counter() - begun,
        lam=problem.lam,
        certificate=Certificate(problem, own, intercept, objective),
        intercepts=problem.design.intercepts,
    )


def _given(problem: Problem, start: Vector) -> Vector:
    """Return a start in the coordinates and in the box of a scaled problem."""
    x = np.asarray(start, dtype=np.float64)
    if x.shape != (problem.n_features,) or not np.isfinite(x).all():
        raise ValueError(
            f"start must be a finite vector of shape ({problem.n_features},), got shape {x.shape}."
        )
    clipped: Vector = np.clip(x / problem.units, problem.lower, problem.upper)
    return clipped


def _finite_fit(problem: Problem, x: Vector, intercept: float = 0.0) -> float:
    """Return the data fit at a start; where it overflows, no step could be judged."""
    with np.errstate(over="ignore", invalid="ignore"):
        fit = problem.data_fit(x, intercept)
    if not np.isfinite(fit):
        raise ValueError("The loss overflows at the start: give bounds or a start of a smaller size.")
    return fit
