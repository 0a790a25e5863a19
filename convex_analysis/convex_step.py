"""The convex step of majorize-minimize: weighted l1 on a box, by working sets, to a duality gap."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike

from convex_analysis.duality import DualPoint, certified_value, feasible_dual_point
from convex_analysis.intercept import best_intercept
from convex_analysis.kernels.stationarity import box_violations
from convex_analysis.losses.loss import Vector
from convex_analysis.problems.validation import check_point, check_weights
from convex_analysis.quadratic_model import QuadraticModel

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem

# A round is solved to this share of the violation it began with.
_INNER = 0.1


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
        Linear predictors ``A x`` without the intercept, and the gradient of the data fit at the point.
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


class ConvexStep:
    """Solver of the convex steps of one problem.

    What it computes from X (working columns, their Gram matrix, the gradient at the last point)
    survives a change of weights, bounds and start: a warm step costs little more than one product ``X'r``.

    Parameters
    ----------
    problem
        Supplies loss, design, row weights and box; its penalty and lam are not used.
    precision
        dtype of the Gram matrix, as in `WorkingSet`: the results are exact either way, but in float64
        runs on data that differ by rounding stay together.
    """

    def __init__(self, problem: Problem, precision: DTypeLike = np.float32) -> None:
        self.problem = problem
        self.model = QuadraticModel(problem, precision)
        self._last: ConvexSolution | None = None
        self._last_x: Vector = np.empty(0)

    def compute(
        self,
        weights: Vector,
        *,
        start: Vector | None = None,
        intercept: float | None = None,
        linear: Vector | None = None,
        gap: float = 0.0,
        max_iter: int = 500,
    ) -> ConvexSolution:
        """Minimise ``f(A x + b) + linear'x + weights'|x|`` over the box until the duality gap is small.

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

        Raises
        ------
        ValueError
            If a weight is negative or NaN, or infinite where the box excludes zero; if weights, start
            or linear have another shape or are no numbers; if the gap is not a number from 0 up.
        """
        if not (isinstance(gap, Real) and gap >= 0.0):
            raise ValueError(f"gap must be a number, not negative, got {gap!r}.")
        problem, loss, s, y = self.problem, self.problem.loss, self.problem.row_weights, self.problem.y
        lower, upper = problem.lower, problem.upper
        weights = check_weights(weights, problem.n_features)
        fixed = np.isinf(weights)
        given = weights
        if fixed.any():
            if (lower[fixed] > 0).any() or (upper[fixed] < 0).any():
                raise ValueError(
                    "An infinite weight fixes a coordinate at zero, but the box excludes zero there."
                )
            lower, upper = np.where(fixed, 0.0, lower), np.where(fixed, 0.0, upper)
            weights = np.where(fixed, 0.0, weights)
        linear = None if linear is None else check_point(linear, problem.n_features, "linear")
        x = np.zeros(problem.n_features) if start is None else check_point(start, problem.n_features, "start")
        x = np.clip(x, lower, upper)
        last = self._last if self._last is not None and np.array_equal(self._last_x, x) else None
        if last is not None:  # a warm step from where the one before ended: all is known there
            z, b = last.z, last.intercept
        else:
            z = problem.design.matvec(x)
            b = best_intercept(problem, z, intercept or 0.0) if problem.fit_intercept else 0.0
        best: ConvexSolution | None = None
        best_dual = -np.inf
        violations = np.empty(problem.n_features)
        stalled = 0
        for passes in range(1, max_iter + 1):
            rows = s * loss.derivative(z + b, y)
            if passes == 1 and last is not None:
                gradient = last.gradient
            elif passes == 1 and not x.any():
                gradient = problem.gradient_at_start()
            else:
                gradient = problem.design.rmatvec(rows)
            total = gradient if linear is None else gradient + linear
            box_violations(x, total, weights, lower, upper, violations)
            worst = float(violations.max())
            value = float(s @ loss.value(z + b, y)) + float(weights @ np.abs(x))
            value += 0.0 if linear is None else float(linear @ x)
            feasible = feasible_dual_point(problem, given, -rows, z + b, -gradient)
            dual, at = certified_value(problem, given, feasible, linear)
            if dual > best_dual or passes == 1:
                best_dual, point = dual, at
            done = value - best_dual <= gap
            better = best is None or value < best.value or worst < 0.5 * best.violation
            stalled = 0 if better else stalled + 1
            if better:
                best = ConvexSolution(x.copy(), b, value, dual, point, worst, done, passes, z, gradient)
            if done or worst == 0.0 or passes == max_iter:
                break
            if stalled >= 2:
                if not self.model.refine(z + b):
                    break
                stalled = 0
            z, b = self._round(x, z, b, rows, total, violations, weights, lower, upper, linear)
        assert best is not None
        converged = best.value - best_dual <= gap
        self._last = replace(best, dual=best_dual, point=point, converged=converged, n_iter=passes)
        self._last_x = best.x.copy()  # what is returned may be changed by the caller
        return self._last

    def evaluate(
        self, x: Vector, weights: Vector, intercept: float | None = None, linear: Vector | None = None
    ) -> ConvexSolution:
        """Return the certificate of a given point, without improving it."""
        return self.compute(weights, start=x, intercept=intercept, linear=linear, max_iter=1)

    def _round(
        self,
        x: Vector,
        z: Vector,
        b: float,
        rows: Vector,
        total: Vector,
        violations: Vector,
        weights: Vector,
        lower: Vector,
        upper: Vector,
        linear: Vector | None,
    ) -> tuple[Vector, float]:
        """Take in the worst violators and minimise the quadratic model; x is changed in place."""
        problem, loss, s, y = self.problem, self.problem.loss, self.problem.row_weights, self.problem.y
        model = self.model
        model.update(model.violators(x, violations, lower, upper)[0], z + b)
        W = model.working.columns
        old = x[W]
        point, gradient = old.copy(), total[W]
        w, low, high = weights[W], lower[W], upper[W]
        model.minimise(gradient, point, w, low, high, _INNER * float(violations.max()))
        step = point - old
        moved = np.flatnonzero(step)
        if loss.quadratic:
            x[W] = point
            z = problem.design.matvec(x)
            return z, best_intercept(problem, z, b) if problem.fit_intercept else 0.0
        dz = problem.design.restricted_matvec(W[moved], step[moved])
        db = 0.0
        if problem.fit_intercept:
            h = model.row_curvature(z + b)
            # On separable data the curvature can underflow to zero: then the intercept follows later.
            db = -float(h @ dz) / mass if (mass := float(h.sum())) > 0.0 else 0.0

        def value_at(z: Vector, b: float, point: Vector) -> float:
            value = float(s @ loss.value(z + b, y)) + float(w @ np.abs(point))
            return value if linear is None else value + float(linear[W] @ point)

        base = value_at(z, b, old)
        slack = 1e-15 * abs(base)
        t = 1.0
        while True:
            trial = point if t == 1.0 else np.clip(old + t * step, low, high)
            trial_z, trial_b = z + t * dz, b + t * db
            if value_at(trial_z, trial_b, trial) <= base + slack or t < 1e-12:
                break
            t *= 0.5
        x[W] = trial
        z = trial_z if t == 1.0 else problem.design.matvec(x)
        return z, best_intercept(problem, z, trial_b) if problem.fit_intercept else 0.0
