"""One run of majorize-minimize from a given start: steps on a working set, each lowering the objective."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from convex_analysis.design import Indices
from convex_analysis.duality import DualPoint, best_dual_point
from convex_analysis.intercept import best_intercept
from convex_analysis.kernels.stationarity import box_violations
from convex_analysis.local_search import LocalSearch
from convex_analysis.losses.loss import Vector
from convex_analysis.near_columns import NearColumns
from convex_analysis.quadratic_model import QuadraticModel
from convex_analysis.reweighting import RestrictedPenalty, Reweighting, reweight
from convex_analysis.solution import Status

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem

# Relative to the objective: below this a rise is rounding.
_SLACK = 1e-14
_FEW = 32  # new columns at most in a round that asks for newcomers
_NEWCOMERS = 32  # columns at most that are asked whether a move of their own would pay
_PRUNED = 0.9  # a zero whose gradient is below this share of its weight may be dropped
_PRUNED_SHARE = 0.1  # of the working set at least, or it is not worth the copying
_LOOKS = 20  # at the near columns between two passes over X
_MANY = 50  # steps on one model before the gradient is made anew


@dataclass(frozen=True, eq=False)
class Start:
    """A point with what is known of it.

    Attributes
    ----------
    x, intercept
        The point, inside the box.
    z, gradient
        Linear predictors ``A x`` without the intercept, and the gradient of the data fit.
    dual
        The dual point of a convex step that ended here, if there was one.
    """

    x: Vector
    z: Vector
    intercept: float
    gradient: Vector
    dual: DualPoint | None = None

    @classmethod
    def at(cls, problem: Problem, x: Vector) -> Start:
        """Return a point with the best intercept there."""
        if not x.any():
            zero, intercept = problem.start_at_zero()
            if not zero.any():
                return cls(x, np.zeros(problem.n_samples), intercept, problem.gradient_at_start())
        z = problem.predictor(x)
        intercept = best_intercept(problem, z) if problem.fit_intercept else 0.0
        rows = problem.row_weights * problem.loss.derivative(z + intercept, problem.y)
        return cls(x, z, intercept, problem.design.rmatvec(rows))


class Descent:
    """One run of majorize-minimize; the state after each pass over X."""

    def __init__(self, problem: Problem, model: QuadraticModel, start: Start, tolerance: float) -> None:
        self.problem = problem
        self.model = model
        self.tolerance = tolerance
        self._final = 0.3 * tolerance
        self.penalty = RestrictedPenalty(problem)
        self.search = not self.penalty.straight
        self.searched: tuple[int, bytes] | None = None
        self._entry: Vector | None = None
        self.violations = np.empty(problem.n_features)
        self.intercept_violation = 0.0
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
        return self.n_iter > 0 and not (self.search and self._outside_newcomers().size)

    def certificate(self) -> tuple[float, DualPoint]:
        """Return the duality gap of the convex step at the last weights, and its dual point."""
        problem, weights = self.problem, self.weights
        z = self.z + self.intercept
        dual, point = best_dual_point(problem, weights, -self.rows, z, -self.gradient)
        finite = np.where(np.isinf(weights), 0.0, weights)
        value = float(problem.row_weights @ problem.loss.value(z, problem.y))
        value += float(finite @ np.abs(self.x))
        return max(value - dual, 0.0), point

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
        at = self.penalty.entries(x)
        self.weights = self.penalty.weights(at)
        box_violations(x, self.gradient, self.weights, problem.lower, problem.upper, self.violations)
        self.stationarity = float(self.violations.max())
        if problem.fit_intercept:
            self.intercept_violation = abs(float(self.rows.sum()))
            self.stationarity = max(self.stationarity, self.intercept_violation)
        self.objective = float(s @ loss.value(predictor, y)) + self.penalty.value(at)

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
        if not problem.loss.quadratic:
            self._prune()
        new, complete = model.violators(self.x, self.violations, problem.lower, problem.upper)
        few = new.size <= _FEW
        if self.search and few:
            new = np.union1d(new, self._outside_newcomers())
        model.update(new, predictor)
        W = model.working.columns
        if not W.size:  # nothing can move: that counts as a step, or the run would never end
            self.n_iter += 1
            return False, []
        worst = float(self.violations.max())
        share = 0.1 if new.size or self.search else 1e-3
        tolerance = max(share * worst, self._final)
        if problem.loss.quadratic:
            return self._quadratic_step(tolerance, complete, few, max_steps)
        penalty = self.penalty.on(W)
        old, low, high = self.x[W], problem.lower[W], problem.upper[W]
        found = reweight(model, penalty, self.gradient[W], old, low, high, tolerance, max_steps)
        self.n_iter += max(1, len(found.decreases))
        return self._search(penalty, found.x, old, low, high), []

    def _quadratic_step(
        self, tolerance: float, complete: bool, few: bool, max_steps: int
    ) -> tuple[bool, list[float]]:
        """Step on a model that is exact: look at near columns, search around, tighten, then move.

        Parameters
        ----------
        tolerance
            First-order violation on the working set to begin with.
        complete
            Whether every violating column is in the working set.
        few
            Whether there were few violating columns.
        max_steps
            Largest number of reweighting steps at a time.
        """
        problem, model = self.problem, self.model
        near = NearColumns(problem, self.x, self.gradient, self.weights, model.working)
        W = model.working.columns
        found = Reweighting(self.x[W], self.gradient[W])
        for _ in range(_LOOKS):
            W = model.working.columns
            penalty = self.penalty.on(W)
            low, high = problem.lower[W], problem.upper[W]
            found = found.then(
                reweight(model, penalty, found.gradient, found.x, low, high, tolerance, max_steps)
            )
            x = self.x.copy()
            x[W] = found.x
            predictor = problem.design.matvec(x)
            if problem.fit_intercept:
                predictor += best_intercept(problem, predictor)
            rows = problem.row_weights * problem.loss.derivative(predictor, problem.y)
            outside, gradient, violations = near.look(rows, model.working)
            if violations.max(initial=0.0) > tolerance:
                wanted = np.flatnonzero(violations)
                if wanted.size > (room := model.room()):
                    wanted = wanted[np.argpartition(-violations[wanted], room - 1)[:room]]
                found = self._enlarge(found, outside[wanted], gradient[wanted], predictor)
                continue
            if not complete:
                break
            if self.search and few and self._pattern(found.x) != self.searched:
                before = found.x
                search = LocalSearch(model, penalty, low, high, abs(self.objective), tolerance)
                found = found.then(search.run(found.x, found.gradient, max_steps))
                self.searched = self._pattern(found.x)
                if (found.x != before).any():
                    continue
            if self.search and few:
                eager = self._newcomers(outside, gradient)
                if eager.size:
                    found = self._enlarge(found, outside[eager], gradient[eager], predictor)
                    continue
            if tolerance <= self._final or not self._newton_is_cheap(found.x):
                break
            tolerance = self._final
        self.n_iter += max(1, len(found.decreases))
        x = self.x.copy()
        x[model.working.columns[: found.x.size]] = found.x
        moved = bool((x != self.x).any())
        if moved:
            self._look(x, problem.design.matvec(x), self.intercept)
        return moved, found.decreases

    def _pattern(self, x: Vector) -> tuple[int, bytes]:
        return self.model.working.size, np.sign(x).tobytes()

    def _newton_is_cheap(self, x: Vector) -> bool:
        """Say whether a factorisation on the support costs less than a pass over X."""
        return float(np.count_nonzero(x)) ** 3 <= 8.0 * self.problem.design.n_entries

    def _enlarge(
        self, found: Reweighting, columns: Indices, gradient: Vector, predictor: Vector
    ) -> Reweighting:
        """Take columns into the working set, at the values they have, and go on from the point found."""
        self.model.update(columns, predictor)
        x = np.concatenate([found.x, self.x[columns]])
        return Reweighting(x, np.concatenate([found.gradient, gradient]), found.decreases)

    def _outside_newcomers(self) -> Indices:
        """Return the columns outside the working set that would enter by a move of their own."""
        absent = self.model.working.position < 0
        outside = np.flatnonzero(absent & self._may_enter(slice(None), self.gradient))
        return outside[self._newcomers(outside, self.gradient[outside])]

    def _may_enter(self, columns: Indices | slice, gradient: Vector) -> NDArray[np.bool_]:
        """Say of which columns, zero now, it is not certain that no move of their own would pay."""
        if not self.problem.loss.quadratic:
            return np.zeros(gradient.size, dtype=bool)
        if self._entry is None:
            self._entry = self.penalty.entry_slope(self.problem.squared_norms)
        zero: NDArray[np.bool_] = self.x[columns] == 0.0
        return zero & (np.abs(gradient) > self._entry[columns])

    def _newcomers(self, columns: Indices, gradient: Vector) -> Indices:
        """Return the places of those columns that would enter by a move of their own.

        Only those with the largest gradients are asked.
        """
        problem = self.problem
        places = np.flatnonzero(self._may_enter(columns, gradient))
        if not places.size:
            return places
        if places.size > _NEWCOMERS:
            places = np.sort(places[np.argpartition(-np.abs(gradient[places]), _NEWCOMERS)[:_NEWCOMERS]])
        low, high = problem.lower[columns[places]], problem.upper[columns[places]]
        curvature = problem.squared_norms[columns[places]]
        able = (low < high) & (curvature > 0.0)
        places, curvature, low, high = places[able], curvature[able], low[able], high[able]
        target = -gradient[places] / curvature
        penalty = self.penalty.on(columns[places])
        moved = np.flatnonzero(penalty.prox(np.arange(places.size), target, curvature, low, high))
        eager: Indices = places[moved]
        return eager

    def _compact(self) -> None:
        """Drop the working columns that are zero and far from entering."""
        W = self.model.working.columns
        near = np.abs(self.gradient[W]) > 0.5 * np.abs(self.gradient[W]).max(initial=0.0)
        self.model.working.keep(np.flatnonzero((self.x[W] != 0.0) | (self.violations[W] > 0.0) | near))

    def _prune(self) -> None:
        """Drop the working columns that are at rest, before a Gram matrix that is made anew anyway."""
        working = self.model.working
        W, problem = working.columns, self.problem
        slack = np.empty(W.size)
        weights = _PRUNED * self.weights[W]
        box_violations(self.x[W], self.gradient[W], weights, problem.lower[W], problem.upper[W], slack)
        resting = (self.x[W] == 0.0) & (slack <= 0.0)
        if np.count_nonzero(resting) > _PRUNED_SHARE * W.size:
            working.keep(np.flatnonzero(~resting))

    def _search(
        self, penalty: RestrictedPenalty, point: Vector, old: Vector, low: Vector, high: Vector
    ) -> bool:
        """Go to the model's minimiser if that lowers the objective, else a shorter way on the majorizer."""
        model = self.model
        W = model.working.columns
        if not self._advance(W, old, point, 1.0, penalty):
            weights = penalty.weights(penalty.entries(old))
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
            mass = float(h.sum())  # on separable data it can underflow to zero
            b = best_intercept(problem, z, b - t * float(h @ dz) / mass if mass > 0.0 else b)
        x = self.x.copy()
        x[W] = new if t == 1.0 else np.clip(old + t * step, problem.lower[W], problem.upper[W])
        value = float(s @ loss.value(z + b, y)) + self.penalty.value(self.penalty.entries(x))
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
