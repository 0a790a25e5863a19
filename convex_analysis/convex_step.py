"""The convex step of majorize-minimize: weighted l1 on a box, by working sets, to a duality gap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from convex_analysis.coordinate_descent import descend
from convex_analysis.duality import dual_value, feasible_dual_point
from convex_analysis.intercept import best_intercept
from convex_analysis.losses.loss import Vector

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem


@dataclass(frozen=True, eq=False)
class ConvexSolution:
    """Minimiser of a convex step with its certificate.

    Attributes
    ----------
    x, intercept
        The point.
    value
        ``f(A x + b) + linear'x + weights'|x|`` there.
    dual
        Dual value at ``nu``: a lower bound of the minimum.
    nu
        Dual point, shape (n_samples,).
    violation
        Largest first-order violation.
    converged
        Whether the gap reached the tolerance.
    """

    x: Vector
    intercept: float
    value: float
    dual: float
    nu: Vector
    violation: float
    converged: bool

    @property
    def gap(self) -> float:
        """Duality gap, not negative."""
        return max(self.value - self.dual, 0.0)


class ConvexStep:
    """Solver of convex steps of one problem; what it computes from X survives a change of weights.

    Parameters
    ----------
    problem
        Supplies loss, design, row weights and box; its penalty and lam are not used.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    def compute(
        self,
        weights: Vector,
        *,
        start: Vector | None = None,
        intercept: float | None = None,
        linear: Vector | None = None,
        gap: float = 0.0,
        max_iter: int = 200,
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
            Largest number of working sets tried.
        """
        problem, loss, s, y = self.problem, self.problem.loss, self.problem.row_weights, self.problem.y
        fixed = np.isinf(weights)
        lower = np.where(fixed, 0.0, problem.lower)
        upper = np.where(fixed, 0.0, problem.upper)
        finite_weights = np.where(fixed, 0.0, weights)
        x = np.clip(np.zeros(problem.n_features) if start is None else start, lower, upper)
        if (x < problem.lower).any() or (x > problem.upper).any():
            raise ValueError(
                "An infinite weight fixes a coordinate at zero, but the box excludes zero there."
            )
        z = problem.design.matvec(x)
        b = best_intercept(problem, z, intercept or 0.0) if problem.fit_intercept else 0.0
        size = 50
        solution = None
        best_dual, best_nu = -np.inf, -s * loss.derivative(z + b, y)
        for _ in range(max_iter):
            rows = s * loss.derivative(z + b, y)
            gradient = problem.design.rmatvec(rows)
            total = gradient if linear is None else gradient + linear
            violations = problem.violations(x, total, finite_weights)
            violations[fixed] = 0.0
            value = float(s @ loss.value(z + b, y)) + float(finite_weights @ np.abs(x))
            value += 0.0 if linear is None else float(linear @ x)
            curvature = s * loss.curvature(z + b, y)
            nu, correlation = feasible_dual_point(problem, weights, -rows, curvature, -gradient)
            dual = dual_value(problem, weights, nu, linear, correlation)
            if dual > best_dual:
                best_dual, best_nu = dual, nu
            worst = float(violations.max())
            previous = solution
            done = value - best_dual <= gap
            solution = ConvexSolution(x.copy(), b, value, best_dual, best_nu, worst, done)
            if done or (previous is not None and value >= previous.value and worst >= previous.violation):
                break
            active = np.flatnonzero((x != np.clip(0.0, lower, upper)) | (violations > 0))
            size = max(size, 2 * int(np.count_nonzero(x)))
            chosen = active[np.argsort(-violations[active], kind="stable")[:size]]
            chosen = np.union1d(chosen, np.flatnonzero(x))
            size *= 2
            z, b = self._improve(x, z, b, chosen, finite_weights, lower, upper, linear)
        assert solution is not None
        return solution

    def evaluate(
        self, x: Vector, weights: Vector, intercept: float | None = None, linear: Vector | None = None
    ) -> ConvexSolution:
        """Return the certificate of a given point, without improving it."""
        return self.compute(weights, start=x, intercept=intercept, linear=linear, max_iter=1)

    def _improve(
        self,
        x: Vector,
        z: Vector,
        b: float,
        chosen: np.ndarray,
        weights: Vector,
        lower: Vector,
        upper: Vector,
        linear: Vector | None,
    ) -> tuple[Vector, float]:
        """Minimise over the chosen coordinates by proximal Newton steps; x is changed in place."""
        problem, loss, s, y = self.problem, self.problem.loss, self.problem.row_weights, self.problem.y
        block = problem.design.columns(chosen)
        block = block.toarray() if problem.design.sparse else block
        c = np.zeros(chosen.size) if linear is None else linear[chosen]
        w, low, high = weights[chosen], lower[chosen], upper[chosen]

        def penalised(values: Vector) -> float:
            return float(w @ np.abs(values) + c @ values)

        value = float(s @ loss.value(z + b, y)) + penalised(x[chosen])
        slack = 1e-15 * abs(value)  # near the minimum values no longer tell steps apart
        for _ in range(50):
            h = s * loss.curvature(z + b, y)
            rows = s * loss.derivative(z + b, y)
            centred = block - (h @ block) / h.sum() if problem.fit_intercept else block
            G = np.ascontiguousarray(centred.T @ (h[:, None] * centred))
            gradient = centred.T @ rows + c
            old = x[chosen]
            new = old.copy()
            scale = float(np.abs(gradient).max()) + 1e-300
            descend(G, gradient, new, w, low, high, chosen.size, 2000, 1e-13 * scale)
            step = new - old
            dz = block @ step
            t = 1.0
            while True:
                trial = new if t == 1.0 else np.clip(old + t * step, low, high)
                trial_z = z + t * dz
                trial_b = best_intercept(problem, trial_z, b) if problem.fit_intercept else 0.0
                trial_value = float(s @ loss.value(trial_z + trial_b, y)) + penalised(trial)
                if trial_value <= value + slack or t < 1e-10:
                    break
                t *= 0.5
            if trial_value > value + slack:
                break
            x[chosen], z, b, value = trial, trial_z, trial_b, trial_value
            if loss.quadratic or np.abs(step).max() <= 1e-14 * np.abs(new).max():
                break
        return problem.design.matvec(x), b
