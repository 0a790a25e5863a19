"""T8: with a penalty that becomes flat, one step from a good start gives the oracle estimate."""

from __future__ import annotations

import math

import numpy as np

from convex_analysis.constants import strong_convexity
from convex_analysis.convex_step import ConvexStep
from convex_analysis.theorems.case import Case
from convex_analysis.theorems.theorem import Theorem
from convex_analysis.theorems.verdict import Hypotheses, Hypothesis, Verdict


class TwoStepOracle(Theorem):
    """T8 Two-step oracle."""

    name = "T8"
    title = "Two-step oracle"
    statement = (
        "If the penalty is flat where the start is large and steep where it is small, one majorize-minimize"
        " step returns the fit that knows the support."
    )
    quantity = "||step - oracle||_2"
    formula = "what the duality gap of the step and the oracle's own gap allow"

    def _examine(self, case: Case, hypotheses: Hypotheses) -> Verdict:
        problem = case.problem
        hypotheses.require(
            Hypothesis.at_least("k, the number of ones in the target", case.k, 1),
            Hypothesis.true("a problem without intercept", not problem.fit_intercept),
        )
        solver = ConvexStep(problem)
        l1 = np.full(problem.n_features, case.lam)
        start = solver.compute(l1).x if case.start is None else np.asarray(case.start, dtype=np.float64)
        oracle_problem = problem.with_bounds(0.0, np.where(case.support, 1.0, 0.0))
        oracle = ConvexStep(oracle_problem).compute(np.zeros(problem.n_features))
        slope = problem.gradient(oracle.x)
        weights = problem.weights(start)
        flat = float(weights[case.support].max(initial=0.0))
        slack = (weights + slope)[~case.support]
        least = float(slack.min(initial=np.inf))
        hypotheses.append(Hypothesis.at_most("largest weight lam r'(m^0) on S", flat, 0.0))
        hypotheses.append(Hypothesis.above("least lam r'(m^0) + grad f(oracle) off S", least, 0.0))
        face = strong_convexity(case.factor_on_box[:, case.support])
        hypotheses.append(Hypothesis.above("strong convexity of f on the face m_N = 0", face.value, 0.0))
        bound = measured = math.nan
        if face.value > 0:
            step = solver.compute(weights, start=start)
            measured = float(np.linalg.norm(step.x - oracle.x))
            bound = self._reach(case, step.gap, oracle.gap, least if least > 0 else np.inf, face.value)
        stays = float(oracle.x[case.support].min(initial=np.inf))
        return self._verdict(
            hypotheses,
            bound=bound,
            measured=measured,
            constants={"mu on the face": face},
            quantities={
                "flat from": case.penalty.flat_from,
                "least entry of the oracle on S": stays,
                "the oracle stays (1: yes)": float(stays >= case.penalty.flat_from),
                "duality gap of the oracle": oracle.gap,
            },
        )

    @staticmethod
    def _reach(case: Case, gap: float, oracle_gap: float, slack: float, mu: float) -> float:
        """Bound the distance of two points with these gaps in the step and on the face, by the proof of T8.

        With d the distance on the face and v that off it: ``v <= gap / slack`` and
        ``mu/2 d^2 <= gap + L v d``, where L bounds the Hessian of f.
        """
        problem = case.problem
        rounding = case.rounding_of_objective(np.ones(problem.n_features), 0.0)
        gap, oracle_gap = gap + rounding, oracle_gap + rounding
        root = np.sqrt(problem.row_weights)[:, None] * case.design
        lipschitz = problem.loss.smoothness * float(np.linalg.norm(root, 2)) ** 2
        own = np.sqrt(2.0 * oracle_gap / mu)  # the oracle itself is known to within this
        slack = slack - lipschitz * own
        off = gap / slack if slack > 0 else np.inf
        on = (lipschitz * off + np.sqrt((lipschitz * off) ** 2 + 2.0 * mu * gap)) / mu
        return float(np.hypot(off, on) + own)
