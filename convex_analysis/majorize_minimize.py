"""Majorize-minimize: a concave penalty by a sequence of weighted l1 problems (theory.md, T7)."""

from __future__ import annotations

import time
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from convex_analysis.convex_step import ConvexSolution, ConvexStep
from convex_analysis.design import Indices
from convex_analysis.duality import DualPoint, dual_value, feasible_dual_point
from convex_analysis.intercept import best_intercept
from convex_analysis.kernels.stationarity import box_violations
from convex_analysis.local_search import LocalSearch
from convex_analysis.losses.loss import Vector
from convex_analysis.reweighting import RestrictedPenalty, reweight
from convex_analysis.solution import ConvergenceWarning, Solution, Status
from convex_analysis.suboptimality import suboptimality_bound

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem

# Relative to the objective: below this a rise is rounding.
_SLACK = 1e-14
# Duality gap of the l1 start, relative to the data fit at zero.
_START_GAP = 1e-6
_ROUGH_GAP = 3e-2
_FEW = 16  # new columns at most in a round that ends with a local search
_NEWCOMERS = 32  # columns at most that are taken in because a move of their own would pay
_MANY = 50  # steps on one model before the gradient is made anew


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
        "l1" (the default: the minimiser with the l1 penalty at the same lam), "zero" (the
        point of the box nearest to zero), "dense" (upper bounds where finite, else the minimiser
        without penalty but a small l1 term), "multi" (the best of the three), or a vector of
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
    solver = ConvexStep(problem)
    if isinstance(start, str) and start == "multi":
        runs = [run(problem, solver, kind, tol, max_iter) for kind in ("l1", "dense", "zero")]
        solution = min(runs, key=lambda run: run.objective)
    else:
        solution = run(problem, solver, start, tol, max_iter)
    if not solution.converged:
        warnings.warn(solution.message, ConvergenceWarning, stacklevel=2)
    return replace(solution, seconds=time.perf_counter() - begun)


def solve(problem: Problem, tol: float = 1e-8, max_iter: int = 1000) -> Solution:
    """Minimise the problem with the default settings: one convex step for L1, majorize-minimize otherwise."""
    return majorize_minimize(problem, None, tol, max_iter)


def _check_arguments(tol: float, max_iter: int) -> None:
    if not (np.isfinite(tol) and tol > 0):
        raise ValueError(f"tol must be a positive finite number, got {tol!r}.")
    if max_iter < 1:
        raise ValueError(f"max_iter must be at least 1, got {max_iter!r}.")


def run(
    problem: Problem, solver: ConvexStep, start: str | Vector | None, tol: float, max_iter: int
) -> Solution:
    """Solve as `majorize_minimize` does, without its warning, on the working set of a `ConvexStep`."""
    begun = time.perf_counter()
    scale = float(np.abs(problem.gradient_at_start()).max())
    convex = _start(problem, solver, start)
    descent = _Descent(problem, solver, convex, tol * scale)
    descent.run(max_iter)
    gap, dual = descent.certificate()
    message = (
        f"{descent.status.value} Stationarity {descent.stationarity:.3g}, tolerance {tol * scale:.3g}, "
        f"{descent.n_iter} steps, duality gap of the last step {gap:.3g}."
    )
    return Solution(
        x=descent.x,
        intercept=descent.intercept,
        objective=descent.objective,
        objectives=np.array(descent.objectives),
        stationarity=descent.stationarity,
        tolerance=tol * scale,
        gap=gap,
        status=descent.status,
        message=message,
        n_iter=descent.n_iter,
        seconds=time.perf_counter() - begun,
        suboptimality_bound=suboptimality_bound(problem, descent.objective, [convex.point, dual]),
        lam=problem.lam,
    )


class _Descent:
    """One run of majorize-minimize; the state after each pass over X."""

    def __init__(self, problem: Problem, solver: ConvexStep, start: ConvexSolution, tolerance: float) -> None:
        self.problem = problem
        self.model = solver.model
        self.tolerance = tolerance
        self.search = not problem.is_convex
        self.searched: tuple[int, bytes] | None = None
        self.violations = np.empty(problem.n_features)
        self.n_iter = 0
        self.status = Status.ITERATION_LIMIT
        self._look(start.x, start.z, start.intercept, start.gradient)
        self.objectives = [self.objective]

    def run(self, max_iter: int) -> None:
        """Step until stationary, out of steps, or stuck in floating-point arithmetic."""
        stuck = 0
        while self.n_iter < max_iter:
            if self.stationarity <= self.tolerance and self._settled():
                self.status = Status.CONVERGED
                return
            before = (self.x, self.z, self.intercept, self.objective, self.stationarity, self.gradient)
            moved, decreases = self._step(min(_MANY, max_iter - self.n_iter))
            rise = self.objective - before[3]
            if rise > _SLACK * abs(before[3]):
                self._look(before[0], before[1], before[2], before[5])
                moved = False
            else:
                self._record(before[3], decreases)
            better = moved and (rise < -_SLACK * abs(before[3]) or self.stationarity < 0.9 * before[4])
            stuck = 0 if better else stuck + 1
            if stuck >= 2 and self.stationarity > self.tolerance:
                if not self.model.refine(self.z + self.intercept):
                    self.status = Status.STALLED
                    return
                stuck = 0
        if self.stationarity <= self.tolerance:
            self.status = Status.CONVERGED

    def _settled(self) -> bool:
        """Say whether a stationary point is final: a step has been made, and no column wants to enter."""
        return self.n_iter > 0 and not (self.search and self._newcomers().size)

    def certificate(self) -> tuple[float, DualPoint]:
        """Return the duality gap of the convex step at the last weights, and its dual point."""
        problem = self.problem
        weights = problem.weights(self.x)
        z = self.z + self.intercept
        nu, correlation = feasible_dual_point(problem, weights, -self.rows, z, -self.gradient)
        finite = np.where(np.isinf(weights), 0.0, weights)
        value = float(problem.row_weights @ problem.loss.value(z, problem.y))
        value += float(finite @ np.abs(self.x))
        gap = max(value - dual_value(problem, weights, nu, None, correlation), 0.0)
        return gap, DualPoint(nu, correlation)

    def _look(self, x: Vector, z: Vector, intercept: float, gradient: Vector | None = None) -> None:
        """Move to a point: objective, gradient and violations there (the gradient if it is not known yet)."""
        problem = self.problem
        s, y, loss = problem.row_weights, problem.y, problem.loss
        if problem.fit_intercept and gradient is None:
            intercept = best_intercept(problem, z, intercept)
        self.x, self.z, self.intercept = x, z, intercept
        predictor = z + intercept
        self.rows = s * loss.derivative(predictor, y)
        self.gradient = problem.design.rmatvec(self.rows) if gradient is None else gradient
        self.weights = problem.weights(x)
        box_violations(x, self.gradient, self.weights, problem.lower, problem.upper, self.violations)
        self.stationarity = float(self.violations.max())
        if problem.fit_intercept:
            self.stationarity = max(self.stationarity, abs(float(self.rows.sum())))
        self.objective = float(s @ loss.value(predictor, y)) + problem.penalty_value(x)

    def _step(self, max_steps: int) -> tuple[bool, list[float]]:
        """Make steps on one model of the loss; say whether the point moved, and what the steps gained."""
        problem, model = self.problem, self.model
        predictor = self.z + self.intercept
        # Once only, at the start: a column that came in later was wanted.
        if (
            self.search
            and self.n_iter == 0
            and model.working.size > max(_FEW, 3 * int(np.count_nonzero(self.x)))
        ):
            self._compact()
        new = model.violators(self.x, self.violations, problem.lower, problem.upper)
        if self.search and new.size <= _FEW:
            new = np.union1d(new, self._newcomers())
        model.update(new, predictor)
        W = model.working.columns
        if not W.size:  # nothing can move: that counts as a step, or the run would never end
            self.n_iter += 1
            return False, []
        penalty = RestrictedPenalty(problem, W)
        old = self.x[W]
        low, high = problem.lower[W], problem.upper[W]
        worst = float(self.violations.max())
        tolerance = max((0.1 if new.size else 1e-3) * worst, 0.1 * self.tolerance)
        found = reweight(model, penalty, self.gradient[W], old, low, high, tolerance, max_steps)
        point, decreases = found.x, found.decreases
        self.n_iter += max(1, len(decreases))
        if problem.loss.quadratic:
            pattern = (W.size, np.sign(point).tobytes())
            if self.search and new.size <= _FEW and pattern != self.searched:
                scale = abs(self.objective)
                search = LocalSearch(model, penalty, low, high, scale, tolerance)
                point, more = search.run(point, found.gradient, max_steps)
                decreases += more
                self.searched = (W.size, np.sign(point).tobytes())
            moved = bool((point != old).any())
            if moved:
                x = self.x.copy()
                x[W] = point
                self._look(x, problem.design.matvec(x), self.intercept)
            return moved, decreases
        return self._search(penalty, point, old, low, high), []

    def _newcomers(self) -> Indices:
        """Return columns outside the working set that would enter by a move of their own."""
        problem = self.problem
        if not problem.loss.quadratic:
            return np.empty(0, dtype=np.intp)
        everything = RestrictedPenalty(problem, np.arange(problem.n_features))
        slope = np.abs(self.gradient)
        outside = (self.model.working.position < 0) & (self.x == 0.0) & (problem.lower < problem.upper)
        eager = np.flatnonzero(outside & (slope > everything.entry_slope(problem.column_curvature)))
        if eager.size > _NEWCOMERS:
            eager = eager[np.argsort(-slope[eager], kind="stable")[:_NEWCOMERS]]
        return np.sort(eager)

    def _compact(self) -> None:
        """Drop the working columns that are zero and far from entering."""
        W = self.model.working.columns
        near = np.abs(self.gradient[W]) > 0.5 * np.abs(self.gradient[W]).max(initial=0.0)
        self.model.working.keep(np.flatnonzero((self.x[W] != 0.0) | (self.violations[W] > 0.0) | near))

    def _search(
        self, penalty: RestrictedPenalty, point: Vector, old: Vector, low: Vector, high: Vector
    ) -> bool:
        """Go to the model's minimiser if that lowers the objective, else a shorter way on the majorizer."""
        model = self.model
        W = model.working.columns
        if not self._advance(W, old, point, 1.0, penalty):
            weights = penalty.weights(old)
            stuck = np.isinf(weights)
            weights = np.where(stuck, 0.0, weights)
            low, high = np.where(stuck, 0.0, low), np.where(stuck, 0.0, high)
            point, gradient = old.copy(), self.gradient[W]
            model.minimise(gradient, point, weights, low, high, 0.1 * float(self.violations.max()))
            t = 1.0
            while t > 1e-12 and not self._advance(W, old, point, t, penalty):
                t *= 0.5
            return t > 1e-12
        return True

    def _advance(self, W: Indices, old: Vector, new: Vector, t: float, penalty: RestrictedPenalty) -> bool:
        """Move by the share t of the way if that does not raise the objective; say whether it was done."""
        problem, loss, s, y = self.problem, self.problem.loss, self.problem.row_weights, self.problem.y
        step = new - old
        moved = np.flatnonzero(step)
        if not moved.size:
            return False
        dz = problem.design.restricted_matvec(W[moved], step[moved])
        z, b = self.z + t * dz, self.intercept
        if problem.fit_intercept:
            h = self.model.row_curvature(self.z + b)
            b = best_intercept(problem, z, b - t * float(h @ dz) / float(h.sum()))
        x = self.x.copy()
        x[W] = new if t == 1.0 else np.clip(old + t * step, problem.lower[W], problem.upper[W])
        value = float(s @ loss.value(z + b, y)) + problem.penalty_value(x)
        if value > self.objective + _SLACK * abs(self.objective):
            return False
        self._look(x, problem.design.matvec(x), b)
        return True

    def _record(self, before: float, decreases: list[float]) -> None:
        """Append the objective after each step; the last is exact, those before it the model's."""
        total = sum(decreases)
        if len(decreases) > 1 and total > 0.0:
            gained = np.cumsum(decreases[:-1]) / total
            self.objectives.extend((before + gained * (self.objective - before)).tolist())
        self.objectives.append(self.objective)


def _start(problem: Problem, solver: ConvexStep, start: str | Vector | None) -> ConvexSolution:
    """Return the starting point, as the solution of a convex step where it is one."""
    l1_weights = problem.lam * problem.penalty_factor
    if start is None and problem.is_convex:
        start = "zero"
    if start is None:
        # Only the rough support matters here, unless the box makes the l1 minimum a bound (T1).
        boxed = bool(np.isfinite(problem.lower).all() and np.isfinite(problem.upper).all())
        gap = _START_GAP if boxed else _ROUGH_GAP
        return solver.compute(l1_weights, gap=gap * problem.data_fit(*problem.start_at_zero()))
    if isinstance(start, str) and start == "l1":
        return solver.compute(l1_weights, gap=_START_GAP * problem.data_fit(*problem.start_at_zero()))
    if isinstance(start, str):
        if start == "zero":
            x = np.clip(0.0, problem.lower, problem.upper)
        elif start == "dense":
            x = problem.upper.copy()
            if not np.isfinite(x).all():
                return solver.compute(
                    1e-3 * l1_weights, gap=_START_GAP * problem.data_fit(*problem.start_at_zero())
                )
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
