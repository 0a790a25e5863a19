"""The one loop of all solvers: minimise a model of the loss plus the penalty on a growing working set.

A convex step is the case of a straight regulariser. Each step takes in the worst violators, minimises
a quadratic model on the working set by reweighted l1, and goes there if the objective does not rise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from convex_analysis import steering
from convex_analysis.datafit import DataFit
from convex_analysis.design import Indices
from convex_analysis.losses.loss import Vector
from convex_analysis.regulariser import Regulariser, Separable
from convex_analysis.solver.model_columns import Model
from convex_analysis.solver.refine import LocalSearch
from convex_analysis.solver.reweighting import Reweighting, reweight
from convex_analysis.solver.stop import Progress, Status, Stop

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem

# Relative to the objective: below this a rise is rounding.
_SLACK = 1e-14


@dataclass(frozen=True, eq=False)
class Point:
    """A point with what is known of it.

    Attributes
    ----------
    x, intercept
        The point, inside the box.
    z, gradient
        Predictors ``A x + offset`` without the intercept, and the gradient of the data fit.
    """

    x: Vector
    z: Vector
    intercept: float
    gradient: Vector

    @classmethod
    def at(cls, fit: DataFit, x: Vector, intercept: float | None = None) -> Point:
        """Return a point with the best intercept there; ``intercept`` is a first guess."""
        z = fit.predictor(x)
        if not x.any():
            return cls(x, z, fit.intercept_at_zero, fit.gradient_at_zero)
        b = fit.best_intercept(z, intercept)
        return cls(x, z, b, fit.gradient(fit.rows(z + b), x))


class ActiveSet:
    """One run from a start; the state after each pass over X.

    Parameters
    ----------
    problem
        Supplies fit, regulariser and box.
    model
        Model of the fit on a working set; used and grown.
    start
        Where to begin.
    tolerance
        Stationarity at which to stop.
    refine
        Whether to exchange entries of the support around stationary points, besides moves of single
        coordinates.
    """

    def __init__(
        self, problem: Problem, model: Model, start: Point, tolerance: float, refine: bool = False
    ) -> None:
        self.problem = problem
        self.fit, self.regulariser = problem.fit, problem.regulariser
        self.lower, self.upper = problem.lower, problem.upper
        self.model = model
        self.tolerance = tolerance
        self._final = 0.3 * tolerance
        straight = self.regulariser.straight
        # On other models than the objective's own the search would be worth nothing.
        self.search = not straight and self.fit.quadratic and isinstance(self.regulariser, Separable)
        self.refine = refine
        self.searched: dict[bool, tuple[int, bytes]] = {}  # where was searched, without and with exchanges
        self._entry: Vector | None = None
        self.violations = np.empty(problem.n_features)
        self.intercept_violation = 0.0
        self.n_iter = 0
        self._work, self._allowed = 0.0, np.inf
        self._made: list[float] = []  # objectives after the steps of a round
        self.status = Status.ITERATION_LIMIT
        self._look(start.x, start.z, start.intercept, start.gradient)
        self.objectives = [self.objective]

    @property
    def point(self) -> Point:
        """The present point."""
        return Point(self.x, self.z, self.intercept, self.gradient)

    def run(self, stop: Stop, finished: Callable[[], bool] | None = None) -> None:
        """Step until finished, out of steps or time, or stuck in floating-point arithmetic.

        ``finished`` tells after each step whether to end; by default where the point is stationary within the
        tolerance, at least one step was made, and no column wants to enter by a move of its own.
        """
        finished = finished or self._settled
        stuck, best, waited = 0, self.stationarity, 0
        while not finished():
            if self.n_iter >= stop.max_iter or stop.is_late:
                self.status = Status.TIME_LIMIT if stop.is_late else Status.ITERATION_LIMIT
                break
            before, objective, stationarity = self.point, self.objective, self.stationarity
            self._made = []
            moved = self._step(stop.max_iter - self.n_iter)
            rise = self.objective - objective
            if rise > _SLACK * abs(objective):
                self._look(before.x, before.z, before.intercept, before.gradient)
                moved, self._made = False, []
            # A round that only looks for exchanges, and finds none, is no step.
            if moved or self.n_iter == 0 or stationarity > self.tolerance:
                self.objectives += [*self._made[:-1], self.objective]
            self.n_iter = len(self.objectives) - 1
            if stop.callback is not None and stop.callback(self._progress(stop)):
                self.status = Status.STOPPED
                break
            # Where the decrease is lost in rounding a slow fall of the stationarity is progress still.
            best, waited = (self.stationarity, 0) if self.stationarity < 0.9 * best else (best, waited + 1)
            falls = waited < steering.SLOW and (self.stationarity < stationarity or not self.fit.quadratic)
            better = moved and (rise < -_SLACK * abs(objective) or falls)
            stuck = 0 if better else stuck + 1
            if stuck >= 2:
                if not self.model.refine(self.z + self.intercept):
                    self.status = Status.STALLED
                    break
                stuck = 0
        if self.stationarity <= self.tolerance and self.status is not Status.STOPPED:
            self.status = Status.CONVERGED

    def _settled(self) -> bool:
        if self.stationarity > self.tolerance or self.n_iter == 0:
            return False
        if not self.search:
            return True
        # Exchanges come last, from the point where moves of single coordinates end: never above it.
        to_exchange = self.refine and np.count_nonzero(self.x) > 1
        if to_exchange and self._pattern(self.x[self.model.working.columns]) != self.searched.get(True):
            return False
        return not self._outside_newcomers().size

    def _progress(self, stop: Stop) -> Progress:
        x = self.x * self.problem.units
        return Progress(
            x, self.intercept, self.problem.lam, self.objective, self.stationarity, self.tolerance,
            self.n_iter, stop.seconds,
        )  # fmt: skip

    def _look(self, x: Vector, z: Vector, intercept: float, gradient: Vector | None = None) -> None:
        """Move to a point: objective, gradient and violations there (the gradient if it is not known yet)."""
        fit, regulariser = self.fit, self.regulariser
        if gradient is None:
            intercept = fit.best_intercept(z, intercept)
        self.x, self.z, self.intercept = x, z, intercept
        predictor = z + intercept
        rows = fit.rows(predictor)
        self.gradient = fit.gradient(rows, x) if gradient is None else gradient
        at = regulariser.entries(x)
        self.weights = regulariser.weights(at)
        regulariser.violations(x, self.gradient, self.weights, self.lower, self.upper, self.violations)
        self.stationarity = float(self.violations.max())
        if fit.fit_intercept:
            self.intercept_violation = abs(float(rows.sum()))
            self.stationarity = max(self.stationarity, self.intercept_violation)
        self.rows = rows
        self.objective = fit.value(predictor, x) + regulariser.value(at)

    # ---- one step

    def _step(self, max_steps: int) -> bool:
        """Minimise one model of the loss plus the penalty on a working set; say whether the point moved."""
        model = self.model
        self._work += steering.ROUND + 4.0 * self.fit.design.n_entries
        predictor = self.z + self.intercept
        # Once only, at the start: a column that came in later was wanted.
        if (
            self.search
            and self.n_iter == 0
            and model.working.size > max(steering.FEW, 3 * int(np.count_nonzero(self.x)))
        ):
            self._compact()
        if not self.fit.quadratic:
            self._prune()
        new, complete = self._violators()
        few = new.size <= steering.FEW
        if self.search and few:
            new = np.union1d(new, self._outside_newcomers())
        model.update(new, predictor)
        W = model.working.columns
        if not W.size:  # nothing can move
            return False
        worst = float(self.violations.max())
        share = 0.1 if new.size or not self.regulariser.straight else 1e-3
        tolerance = max(share * worst, self._final)
        if self.fit.quadratic:
            settled = not new.size and self.stationarity <= self.tolerance
            return self._quadratic_step(
                tolerance, complete, few, settled, min(steering.MODEL_STEPS, max_steps)
            )
        penalty = self.regulariser.on(W)
        old, low, high = self.x[W], self.lower[W], self.upper[W]
        found = reweight(model, penalty, self.gradient[W], old, low, high, tolerance, steering.MODEL_STEPS)
        return self._search(penalty, found.x, old, low, high)

    def _violators(self) -> tuple[Indices, bool]:
        """Return the columns to take in: all free ones that are missing, and the worst violators.

        The second result says whether these are all violators.
        """
        outside = self.model.working.position < 0
        candidates = np.flatnonzero(outside & (self.violations > 0.0))
        room = self.model.room()
        complete = candidates.size <= room
        if not complete:
            candidates = _largest(candidates, self.violations[candidates], room)
        missing = np.flatnonzero(outside & (self.x != 0.0) & (self.lower < self.x) & (self.x < self.upper))
        if missing.size:
            candidates = np.union1d(candidates, missing)
        return self.regulariser.complete(candidates), complete

    def _quadratic_step(
        self, tolerance: float, complete: bool, few: bool, settled: bool, max_steps: int
    ) -> bool:
        """Step on a model that is exact: look at near columns, search around, tighten, then move.

        Parameters
        ----------
        tolerance
            First-order violation on the working set to begin with.
        complete
            Whether every violating column is in the working set.
        few
            Whether there were few violating columns.
        settled
            Whether the point is stationary, and no column would enter by a move of its own.
        max_steps
            Largest number of steps; each is noted with its exact objective.
        """
        model, trace = self.model, _Trace(self)
        near = NearColumns(self)
        W = model.working.columns
        found = Reweighting(self.x[W], self.gradient[W])
        for _ in range(steering.LOOKS):
            W = model.working.columns
            penalty = self.regulariser.on(W)
            low, high = self.lower[W], self.upper[W]
            found = reweight(
                model, penalty, found.gradient, found.x, low, high, tolerance,
                max_steps - len(self._made), trace.accept,
            )  # fmt: skip
            left = max_steps - len(self._made)
            if left <= 0:
                break
            outside, gradient, violations = near.look(self.fit.rows(trace.predictor))
            if violations.max(initial=0.0) > tolerance:
                wanted = np.flatnonzero(violations)
                if wanted.size > (room := model.room()):
                    wanted = _largest(wanted, violations[wanted], room)
                found = self._enlarge(found, outside[wanted], gradient[wanted], trace.predictor)
                continue
            if not complete:
                break
            if self.search and few:
                better = self._searched(found, penalty, tolerance, left, trace, exchanges=False)
                if better is not None:
                    found = better
                    continue
                eager = self._newcomers(outside, gradient)
                if eager.size:
                    found = self._enlarge(found, outside[eager], gradient[eager], trace.predictor)
                    continue
                if self.refine and settled:
                    better = self._searched(found, penalty, tolerance, left, trace, exchanges=True)
                    if better is not None:
                        found = better
                        continue
            if tolerance <= self._final or not self._newton_is_cheap(found.x):
                break
            tolerance = self._final
        if not (trace.x != self.x).any():
            return False
        self._look(trace.x, self.fit.predictor(trace.x), self.intercept)
        return True

    def _searched(
        self, found: Reweighting, penalty: Regulariser, tolerance: float, left: int, trace: _Trace, *,
        exchanges: bool,
    ) -> Reweighting | None:  # fmt: skip
        """Search around a point; None where that was done already, is too dear, or found nothing better."""
        if not self.search or self._pattern(found.x) == self.searched.get(exchanges):
            return None
        exact = self.model.exact(trace.predictor)
        if exact is None:
            return None
        assert isinstance(penalty, Separable)
        if self._allowed == np.inf:
            self._allowed = steering.REFINING * self._work
        W = self.model.working.columns
        scale, rest = abs(self.objective), self._allowed - self._work
        search = LocalSearch(exact, penalty, self.lower[W], self.upper[W], scale, tolerance, rest)
        better = search.run(found.x, found.gradient, left, exchanges)
        self.searched[exchanges] = self._pattern(better.x)
        self._work += search.work + float(self.model.working.size) ** 2
        self.search = self._work < self._allowed
        return better if (better.x != found.x).any() and trace.accept(better.x) else None

    def _pattern(self, x: Vector) -> tuple[int, bytes]:
        return self.model.working.size, np.sign(x).tobytes()

    def _newton_is_cheap(self, x: Vector) -> bool:
        """Say whether a factorisation on the support costs less than a pass over X."""
        # Row counts play no part: a row twice and a row of weight two must take the same way.
        return float(np.count_nonzero(x)) ** 3 <= 8.0 * self.x.size * max(x.size, steering.MANY_COLUMNS)

    def _enlarge(
        self, found: Reweighting, columns: Indices, gradient: Vector, predictor: Vector
    ) -> Reweighting:
        """Take columns into the working set, at the values they have, and go on from the point found."""
        self.model.update(columns, predictor)
        x = np.concatenate([found.x, self.x[columns]])
        return Reweighting(x, np.concatenate([found.gradient, gradient]))

    def _search(self, penalty: Regulariser, point: Vector, old: Vector, low: Vector, high: Vector) -> bool:
        """Go to the model's minimiser if that lowers the objective, else a shorter way on the majorizer."""
        model = self.model
        W = model.working.columns
        if self._advance(W, old, point, 1.0):
            return True
        weights = penalty.weights(penalty.entries(old))
        if penalty.separable and (stuck := np.isinf(weights)).any():
            weights = np.where(stuck, 0.0, weights)
            low, high = np.where(stuck, 0.0, low), np.where(stuck, 0.0, high)
        point, gradient = old.copy(), self.gradient[W]
        model.minimise(penalty, gradient, point, weights, low, high, 0.1 * float(self.violations.max()))
        t = 1.0
        while t > 1e-12 and not self._advance(W, old, point, t):
            t *= 0.5
        return t > 1e-12

    def _advance(self, W: Indices, old: Vector, new: Vector, t: float) -> bool:
        """Move by the share t of the way if that does not raise the objective; say whether it was done."""
        fit = self.fit
        step = new - old
        moved = np.flatnonzero(step)
        if not moved.size:
            return False
        dz = fit.design.restricted_matvec(W[moved], step[moved])
        z, b = self.z + t * dz, self.intercept
        if fit.fit_intercept:
            h = fit.row_curvature(self.z + b)
            mass = float(h.sum())  # on separable data it can underflow to zero
            b = fit.best_intercept(z, b - t * float(h @ dz) / mass if mass > 0.0 else b)
        x = self.x.copy()
        x[W] = new if t == 1.0 else np.clip(old + t * step, self.lower[W], self.upper[W])
        value = fit.value(z + b, x) + self.regulariser.value(self.regulariser.entries(x))
        if not value <= self.objective + _SLACK * abs(self.objective):
            return False
        self._look(x, fit.predictor(x), b)
        return True

    # ---- which columns enter and leave

    def _outside_newcomers(self) -> Indices:
        """Return the columns outside the working set that would enter by a move of their own."""
        absent = self.model.working.position < 0
        outside = np.flatnonzero(absent & self._may_enter(slice(None), self.gradient))
        return outside[self._newcomers(outside, self.gradient[outside])]

    def _may_enter(self, columns: Indices | slice, gradient: Vector) -> NDArray[np.bool_]:
        """Say of which columns, zero now, it is not certain that no move of their own would pay."""
        if not (self.fit.quadratic and isinstance(self.regulariser, Separable)):
            return np.zeros(gradient.size, dtype=bool)
        if self._entry is None:
            self._entry = self.regulariser.entry_slope(self.fit.coordinate_curvature)
        zero: NDArray[np.bool_] = self.x[columns] == 0.0
        return zero & (np.abs(gradient) > self._entry[columns])

    def _newcomers(self, columns: Indices, gradient: Vector) -> Indices:
        """Return the places of those columns that would enter by a move of their own.

        Only those with the largest gradients are asked.
        """
        places = np.flatnonzero(self._may_enter(columns, gradient))
        if not places.size:
            return places
        if places.size > steering.FEW:
            places = _largest(places, np.abs(gradient[places]), steering.FEW)
        low, high = self.lower[columns[places]], self.upper[columns[places]]
        curvature = self.fit.coordinate_curvature[columns[places]]
        able = (low < high) & (curvature > 0.0)
        places, curvature, low, high = places[able], curvature[able], low[able], high[able]
        target = -gradient[places] / curvature
        penalty = self.regulariser.on(columns[places])
        assert isinstance(penalty, Separable)
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
        W = working.columns
        slack = np.empty(W.size)
        self.regulariser.on(W).violations(
            self.x[W],
            self.gradient[W],
            steering.PRUNED * self.weights[W],
            self.lower[W],
            self.upper[W],
            slack,
        )
        resting = (self.x[W] == 0.0) & (slack <= 0.0)
        if not self.regulariser.separable:  # whole groups stay or go
            stay = np.zeros(self.x.size, dtype=bool)
            stay[self.regulariser.complete(W[~resting])] = True
            resting = ~stay[W]
        if np.count_nonzero(resting) > steering.PRUNED_SHARE * W.size:
            working.keep(np.flatnonzero(~resting))


class _Trace:
    """The way of a point on an exact model: each step counts only if the objective itself does not rise.

    Parameters
    ----------
    run
        The run; the objective after each step is appended to its ``_made``.
    """

    def __init__(self, run: ActiveSet) -> None:
        self._run = run
        self._last = run.objective
        self.x, self._z = run.x.copy(), run.z
        self.predictor = run.z + run.intercept

    def accept(self, new: Vector) -> bool:
        """Go to a point of the working set if that does not raise the objective; say whether it was done."""
        run, fit = self._run, self._run.fit
        W = run.model.working.columns[: new.size]
        old = self.x[W]
        step = new - old
        moved = np.flatnonzero(step)
        z = self._z + fit.design.restricted_matvec(W[moved], step[moved])
        predictor = z + fit.best_intercept(z) if fit.fit_intercept else z
        self.x[W] = new
        value = fit.value(predictor, self.x) + run.regulariser.value(run.regulariser.entries(self.x))
        if not value <= self._last + _SLACK * abs(self._last):
            self.x[W] = old
            return False
        self._z, self.predictor, self._last = z, predictor, value
        run._made.append(value)
        return True


class NearColumns:
    """The columns outside a working set that may enter next, as seen from one full gradient.

    A pass over X costs more than most rounds on a working set. Between two passes only these columns
    are looked at; what they miss, the next pass finds.

    Parameters
    ----------
    run
        The run, at the point where the gradient is known.
    """

    def __init__(self, run: ActiveSet) -> None:
        self._run = run
        d = run.x.size
        worthwhile = (
            run.fit.design.columns_are_cheap and d >= steering.MANY_COLUMNS and run.regulariser.separable
        )
        self.columns = np.empty(0, dtype=np.intp)
        if worthwhile:
            slack = np.empty_like(run.x)
            run.regulariser.violations(
                run.x, run.gradient, steering.NEAR * run.weights, run.lower, run.upper, slack
            )
            slack[run.model.working.columns] = 0.0
            near = np.flatnonzero(slack > 0.0)
            self.columns = _largest(near, slack[near], int(steering.NEAR_SHARE * d))

    def look(self, rows: Vector) -> tuple[Indices, Vector, Vector]:
        """Return the near columns still outside, their gradients and their first-order violations.

        ``rows`` are the derivatives of the losses at the present point, where these columns have not moved.
        """
        run = self._run
        columns = self.columns[run.model.working.position[self.columns] < 0]
        if not columns.size:
            return columns, np.empty(0), np.empty(0)
        x = run.x[columns]
        gradient = run.fit.restricted_gradient(rows, x, columns)
        violations = np.empty_like(gradient)
        run.regulariser.on(columns).violations(
            x, gradient, run.weights[columns], run.lower[columns], run.upper[columns], violations
        )
        return columns, gradient, violations


def _largest(places: Indices, sizes: Vector, count: int) -> Indices:
    """Return the places of the largest sizes, in order; of equals those that come first."""
    if places.size <= count:
        return places
    if count == 0:
        return places[:0]
    least = -np.partition(-sizes, count - 1)[count - 1]
    above = np.flatnonzero(sizes > least)
    equal = np.flatnonzero(sizes == least)[: count - above.size]
    return np.sort(places[np.concatenate([above, equal])])
