"""T18: a sparse stationary point near the target exists, also with fewer samples than parameters."""

from __future__ import annotations

import warnings

import numpy as np

from convex_analysis.constants import curvature_factor, strong_convexity
from convex_analysis.constants.curvature import has_unimodal_curvature
from convex_analysis.losses.loss import Vector
from convex_analysis.solver.run import majorize_minimize
from convex_analysis.theorems.case import Case
from convex_analysis.theorems.level_set_bound import sharp_bound
from convex_analysis.theorems.theorem import Theorem
from convex_analysis.theorems.verdict import Hypotheses, Hypothesis, Verdict


class SparseWitness(Theorem):
    """T18 A sparse stationary point exists."""

    name = "T18"
    title = "A sparse stationary point exists"
    statement = (
        "If the columns of the support are independent and no other column correlates too much with them, a "
        "stationary point with the right zeros exists within a known distance of the target, also for n < d."
    )
    quantity = "||m - target||_2 of the best point found on the face m_N = 0"
    formula = "x = 2 ||(lam (1 - c') + g_S)_+|| / (mu_S - 2 lam c')"

    def _examine(self, case: Case, hypotheses: Hypotheses) -> Verdict:
        problem = case.problem
        known = has_unimodal_curvature(problem) and np.isfinite(problem.loss.smoothness)
        hypotheses.require(
            Hypothesis.true(
                "a smooth loss with unimodal second derivative, no intercept unless it is linear", known
            )
        )
        assert case.target is not None
        mu = strong_convexity(case.factor_at_target[:, case.support]) if case.k else None
        mu_value = mu.value if mu is not None else np.inf
        hypotheses.append(Hypothesis.above("mu_S, strong convexity on the support", mu_value, 0.0))
        c = case.penalty.curvature
        reach = 0.0
        if mu is not None:
            face = np.where(case.support, case.gradient, np.inf)  # off the support nothing pulls
            reach, _ = sharp_bound(face, case.support, case.lam, mu.value, c.value)
        first = case.penalty.slope_at_zero.value
        limit = case.lam * first if case.lam > 0 else 0.0
        off = ~case.support
        # x <= sqrt(k) in any case: the error on the face has entries of size at most one.
        reach_used = min(reach, np.sqrt(case.k))
        pull = (-case.gradient + self._cross(case) * reach_used)[off]
        highest = float(pull.max(initial=-np.inf))
        hypotheses.append(Hypothesis.at_most("max over N of -g_j + M_j x", highest, limit))
        if not np.isfinite(reach):
            return self._verdict(hypotheses)
        x, violation = self._witness(case)
        distance = float(np.linalg.norm(x - case.target))
        full = self._violations(case, x)
        rounding = float(case.rounding_of_gradient(x, 0.0).max())
        outside = float(full[off].max(initial=0.0))
        return self._verdict(
            hypotheses,
            bound=reach,
            measured=distance,
            tolerance=1e-9 * reach + float(np.sqrt(2.0 * case.rounding_of_objective(x, 0.0) / mu_value)),
            conclusion=bool(
                distance <= reach * (1 + 1e-9) + np.sqrt(2.0 * case.rounding_of_objective(x, 0.0) / mu_value)
                and outside <= 2.0 * rounding + violation
            ),
            constants={"c": c} | ({"mu_S": mu} if mu is not None else {}),
            quantities={
                "first-order violation on S": violation,
                "first-order violation off S": outside,
                "support recovered (1: yes)": float(bool((x[case.support] > 0).all())),
                "lam r'(0)": limit,
            },
        )

    @staticmethod
    def _violations(case: Case, x: Vector) -> Vector:
        problem = case.problem
        with np.errstate(invalid="ignore"):
            weights = np.where(case.lam > 0, case.lam * case.penalty.slope(x), 0.0)
        intercept = problem.best_intercept(x)
        return problem.violations(x, problem.gradient(x, intercept), weights)

    @staticmethod
    def _witness(case: Case) -> tuple[Vector, float]:
        """Return where majorize-minimize ends on the face, from the target, and its violation there."""
        assert case.target is not None
        if case.k == 0:
            return case.target, 0.0
        face = case.problem.with_bounds(0.0, case.target)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what was reached is measured and reported
            x = majorize_minimize(face, start=case.target, tol=1e-12, max_iter=case.steps).x
        return x, float(SparseWitness._violations(case, x)[case.support].max(initial=0.0))

    @staticmethod
    def _cross(case: Case) -> Vector:
        """Return M_j with ``|grad_j f(m) - g_j| <= M_j ||h||`` on the face."""
        problem = case.problem
        root = curvature_factor(problem, case.design, np.ones(problem.n_samples))  # centred for an intercept
        size = float(np.abs(root).max(initial=0.0))
        if case.k == 0 or size == 0.0:
            return np.zeros(problem.n_features)
        root = root / size  # squares of huge entries would overflow
        on = root[:, case.support]
        if problem.loss.quadratic:
            cross: Vector = np.linalg.norm(on.T @ root, axis=0)
            return cross * size * size
        each: Vector = np.linalg.norm(root, axis=0)
        return problem.loss.smoothness * float(np.linalg.norm(on, 2)) * each * size * size
