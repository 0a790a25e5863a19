"""The convex step of majorize-minimize: weighted l1 on a box, by working sets, to a duality gap."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike

from convex_analysis.duality import DualPoint, certified_value, feasible_dual_point
from convex_analysis.losses.loss import Vector
from convex_analysis.problems.validation import check_point, check_weights
from convex_analysis.solver.active_set import ActiveSet, Point
from convex_analysis.solver.model_columns import model_for
from convex_analysis.solver.stop import Stop
from convex_analysis.threads import one_thread

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem


@dataclass(frozen=True, eq=False)
class ConvexSolution:
    """Minimiser of a convex step with its certificate.

    Attributes
    ----------
    x, intercept
        The point, inside the box to the last bit.
    value
        ``f(A x + b) + linear'x + weights'|x|`` there.
    dual
        Dual value at ``nu``: a lower bound of the minimum.
    point
        The dual point and its correlation with the columns.
    violation
        Largest first-order violation.
    converged
        Whether the gap reached the tolerance.
    n_iter
        Passes over X.
    z, gradient
        Predictors ``A x + offset`` without the intercept, and the gradient of the data fit at the point.
    """

    x: Vector
    intercept: float
    value: float
    dual: float
    point: DualPoint = field(repr=False)
    violation: float
    converged: bool
    n_iter: int
    z: Vector = field(repr=False)
    gradient: Vector = field(repr=False)

    @property
    def nu(self) -> Vector:
        """Dual point, shape (n_samples,)."""
        return self.point.nu

    @property
    def gap(self) -> float:
        """Duality gap, not negative."""
        return max(self.value - self.dual, 0.0)

    @property
    def point_of_fit(self) -> Point:
        """The point with what is known of the data fit there."""
        return Point(self.x, self.z, self.intercept, self.gradient)


class ConvexStep:
    """Solver of the convex steps of one problem: the active-set loop with a straight regulariser.

    What it computes from X (working columns, their Gram matrix, the gradient at the last point)
    survives a change of weights, bounds and start: a warm step costs little more than one product ``X'r``.

    Parameters
    ----------
    problem
        Supplies data fit, groups and box; its penalty and lam are not used.
    precision
        dtype of the Gram matrix, as in `WorkingSet`: the results are exact either way, but in float64
        runs on data that differ by rounding stay together.
    """

    def __init__(self, problem: Problem, precision: DTypeLike = np.float32) -> None:
        self.problem = problem
        self.model = model_for(problem, precision)
        self._last: Point | None = None

    def compute(
        self,
        weights: Vector,
        *,
        start: Vector | None = None,
        intercept: float | None = None,
        linear: Vector | None = None,
        gap: float = 0.0,
        max_iter: int = 500,
        time_limit: float | None = None,
        problem: Problem | None = None,
    ) -> ConvexSolution:
        """Minimise ``f(A x + b) + linear'x + weights'|x|`` over the box until the duality gap is small.

        With groups the last term is ``sum_g w_g ||x_g||``, the weights of a group's features being equal.

        Parameters
        ----------
        weights
            Shape (n_features,), not negative; inf fixes a coordinate at zero.
        start, intercept
            Where to start; by default the point of the box nearest to zero.
        linear
            Coefficients of an added linear term; none by default.
        gap
            Absolute duality gap at which to stop; at 0, when floating-point arithmetic gives no more.
        max_iter
            Largest number of passes over X.
        time_limit
            Seconds after which no further pass begins; none by default.
        problem
            Another problem with the same data fit, whose box counts.

        Raises
        ------
        ValueError
            If a weight is negative or NaN, or infinite where the box excludes zero; if weights, start
            or linear have another shape or are no numbers; if the gap is not a number from 0 up.
        """
        if not (isinstance(gap, Real) and gap >= 0.0):
            raise ValueError(f"gap must be a number, not negative, got {gap!r}.")
        problem = problem or self.problem
        d = problem.n_features
        weights = check_weights(weights, d)
        step = problem.convex_step(weights, None if linear is None else check_point(linear, d, "linear"))
        x = np.zeros(d) if start is None else check_point(start, d, "start")
        x = np.clip(x, step.lower, step.upper)
        with one_thread(), np.errstate(over="ignore", under="ignore"):
            if self._last is not None and np.array_equal(self._last.x, x):
                beginning = self._last  # a warm step from where the one before ended: all is known there
                if linear is not None:
                    plain = beginning.gradient + linear
                    beginning = Point(beginning.x, beginning.z, beginning.intercept, plain)
            else:
                beginning = Point.at(step.fit, x, intercept)
            run = ActiveSet(step, self.model, beginning, problem.rounding())
            found = _Certified(problem, weights, linear, run, gap)
            run.run(Stop(0.0, max_iter - 1, time_limit=time_limit), found.is_done)
            found.look()
        gradient = run.gradient if linear is None else run.gradient - linear
        self._last = Point(run.x.copy(), run.z, run.intercept, gradient)  # x may be changed by the caller
        return ConvexSolution(
            run.x, run.intercept, run.objective, found.dual, found.point, float(run.violations.max()),
            run.objective - found.dual <= gap, run.n_iter + 1, run.z, gradient,
        )  # fmt: skip

    def evaluate(
        self, x: Vector, weights: Vector, intercept: float | None = None, linear: Vector | None = None
    ) -> ConvexSolution:
        """Return the certificate of a given point, without improving it."""
        return self.compute(weights, start=x, intercept=intercept, linear=linear, max_iter=1)


class _Certified:
    """The best dual value met in a run."""

    def __init__(
        self, problem: Problem, weights: Vector, linear: Vector | None, run: ActiveSet, gap: float
    ) -> None:
        self._problem, self._weights, self._linear = problem, weights, linear
        self._run, self._gap = run, gap
        self._seen: Vector | None = None
        self.dual = -np.inf

    def look(self) -> None:
        """Take the dual value at the run's present point."""
        run = self._run
        if self._seen is run.x:
            return
        self._seen = run.x
        gradient = run.gradient if self._linear is None else run.gradient - self._linear
        correlation = -gradient if self._problem.ridge is None else self._problem.ridge * run.x - gradient
        z = run.z + run.intercept
        feasible = feasible_dual_point(self._problem, self._weights, -run.rows, z, correlation)
        value, point = certified_value(self._problem, self._weights, feasible, self._linear)
        if value > self.dual or self.dual == -np.inf:
            self.dual, self.point = value, point

    def is_done(self) -> bool:
        """Whether the gap is small enough, or nothing can be improved."""
        self.look()
        run = self._run
        if run.objective - self.dual <= self._gap:
            return True
        return run.stationarity == 0.0 and run.n_iter > 0
