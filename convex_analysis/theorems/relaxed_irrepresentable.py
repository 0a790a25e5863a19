"""T9: the relaxed irrepresentable condition decides whether a point with the right zeros is stationary."""

from __future__ import annotations

import numpy as np

from convex_analysis.constants import irrepresentable
from convex_analysis.losses.loss import Vector
from convex_analysis.solver.run import majorize_minimize
from convex_analysis.theorems.case import Case
from convex_analysis.theorems.theorem import Theorem
from convex_analysis.theorems.verdict import Hypotheses, Hypothesis, Verdict


class RelaxedIrrepresentable(Theorem):
    """T9 Relaxed irrepresentable condition."""

    name = "T9"
    title = "Relaxed irrepresentable condition"
    statement = (
        "A point that vanishes off the support and solves the equations on it is stationary exactly if no "
        "wrong column correlates with the residual beyond r'(0); a concave penalty raises that limit above "
        "the 1 of l1."
    )
    quantity = "largest first-order violation off S of the point that is stationary on S"
    formula = "lam max over N of (q_j - r'(0))_+ (an equality)"

    def _examine(self, case: Case, hypotheses: Hypotheses) -> Verdict:
        problem = case.problem
        assert case.target is not None
        plain = problem.loss.quadratic and problem.ridge is None
        hypotheses.require(
            Hypothesis.true("the linear loss without ridge", plain), Hypothesis.above("lam", case.lam, 0.0)
        )
        x, violation_on = self._stationary_on_support(case)
        free = np.flatnonzero((x > 0.0) & (x < 1.0))
        residual = problem.y - problem.predictor(case.target)
        found = irrepresentable(problem, case.design, residual, free, case.lam)
        hypotheses.require(
            Hypothesis.above("smallest eigenvalue of A_F' A_F", found.smallest_eigenvalue, 0.0),
            Hypothesis.at_most(
                "entries of the support at zero", int(np.count_nonzero(case.support & (x == 0.0))), 0
            ),
        )
        first, last = case.penalty.slope_at_zero.value, case.penalty.slope_at_one.value
        q = found.values(case.penalty.slope(x[free]))
        off = ~case.support
        largest = float(q[off].max(initial=-np.inf))
        hypotheses.append(
            Hypothesis.at_most("q_j = beta_j' r'(m_F) + <A_j, (I - P_F) e> / lam off S", largest, first)
        )
        violations = (
            np.maximum(-(self._gradient(case, x) + case.lam * first), 0.0)
            if np.isfinite(first)
            else np.zeros_like(x)
        )
        measured = float(violations[off].max(initial=0.0))
        bound = case.lam * max(largest - first, 0.0) if np.isfinite(first) else 0.0
        # How far q is known: the solver's residual on S travels through beta, rounding through the
        # condition number.
        travel = float(np.abs(found.coefficients).sum(axis=0).max(initial=0.0)) * violation_on
        rounding = float(case.rounding_of_gradient(x, case.target_intercept).max())
        condition = float(np.trace(case.design[:, free].T @ case.design[:, free])) / (
            problem.n_samples * found.smallest_eigenvalue
        )
        tolerance = 2.0 * travel + 4.0 * rounding * (1.0 + condition)
        ones = found.values(np.ones(free.size))
        least = float(x[case.support].min(initial=1.0))
        steepest = float(case.penalty.slope(np.array([least]))[0])
        worst = float(found.worst_case(last, steepest)[off].max(initial=-np.inf))
        return self._verdict(
            hypotheses,
            bound=bound,
            measured=measured,
            tolerance=tolerance,
            conclusion=abs(measured - bound) <= tolerance,
            constants={"r'(0)": case.penalty.slope_at_zero},
            quantities={
                "max q_j / r'(0)": largest / first if np.isfinite(first) else 0.0,
                "the same for l1 (its limit is 1)": float(ones[off].max(initial=-np.inf)),
                "worst case of q_j for m_S at least min m_S": worst,
                "least entry of m on S": least,
                "least q_j - r'(1) where m_j = 1": float(
                    (q[case.support & (x == 1.0)] - last).min(initial=np.inf)
                ),
            },
        )

    @staticmethod
    def _stationary_on_support(case: Case) -> tuple[np.ndarray, float]:
        """Return a point with ``m_N = 0`` that is stationary on S, and its violation there."""
        problem = case.problem
        assert case.target is not None
        if case.k == 0:
            x = case.target
        elif case.point is not None and not case.point[~case.support].any():
            x = case.point
        else:
            import warnings

            face = problem.with_bounds(0.0, case.target)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the violation reached enters the tolerance
                x = majorize_minimize(face, start=case.target, tol=1e-12, max_iter=case.steps).x
        violations = problem.violations(x, RelaxedIrrepresentable._gradient(case, x), problem.weights(x))
        return x, float(violations[case.support].max(initial=0.0))

    @staticmethod
    def _gradient(case: Case, x: Vector) -> Vector:
        problem = case.problem
        intercept = problem.best_intercept(x)
        return problem.gradient(x, intercept)
