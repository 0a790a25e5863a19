"""T6: when the target itself is a local, or the only global, minimiser."""

from __future__ import annotations

import math

import numpy as np

from convex_analysis.convex_step import ConvexStep
from convex_analysis.theorems.case import Case
from convex_analysis.theorems.separable_certificate import level_functions
from convex_analysis.theorems.theorem import Theorem
from convex_analysis.theorems.verdict import Hypotheses, Hypothesis, Verdict


class Exactness(Theorem):
    """T6 Exactness certificate."""

    name = "T6"
    title = "Exactness certificate"
    statement = (
        "If the gradient at the target stays below -lam r'(1) on the support and above -lam r'(0) off it, "
        "the target is a strict local minimiser and a fixed point of majorize-minimize; if F is also "
        "strictly convex, it is the unique global minimiser."
    )
    quantity = "||x - target||_1, x the convex step from the middle of the box with the target's weights"
    formula = "(duality gap of the step) / (least slack of the two inequalities)"

    def _examine(self, case: Case, hypotheses: Hypotheses) -> Verdict:
        problem, lam, penalty = case.problem, case.lam, case.penalty
        assert case.target is not None
        first, last = penalty.slope_at_zero.value, penalty.slope_at_one.value
        pull_on = lam * last if lam > 0 else 0.0
        pull_off = lam * first if lam > 0 else 0.0
        on = case.gradient[case.support] + pull_on
        off = case.gradient[~case.support] + pull_off
        highest, lowest = float(on.max(initial=-np.inf)), float(off.min(initial=np.inf))
        hypotheses.append(Hypothesis.below("max over S of g + lam r'(1)", highest, 0.0))
        hypotheses.append(Hypothesis.above("min over N of g + lam r'(0)", lowest, 0.0))
        slack = min(-highest, lowest)
        mu = case.convexity_on_box
        rho = penalty.weak_convexity.value
        convex = bool(mu.value > (lam * rho if lam > 0 else 0.0))
        basin = max(function.positive_until() for function in level_functions(case))
        bound, measured, conclusion = math.nan, math.nan, None
        if slack != 0 and np.isfinite(slack):
            slopes = np.where(case.support, pull_on, pull_off)
            step = ConvexStep(problem).compute(slopes, start=0.5 * (problem.lower + problem.upper))
            rounding = case.rounding_of_objective(case.target, case.target_intercept)
            bound = (step.gap + 2.0 * rounding + float(case.gradient_rounding.sum())) / abs(slack)
            measured = float(np.abs(step.x - case.target).sum())
            conclusion = measured <= bound * (1.0 + 1e-9)
            if case.point is not None and (convex or basin >= 1.0):
                conclusion = conclusion and case.excess >= -case.objective_rounding
        return self._verdict(
            hypotheses,
            bound=bound,
            measured=measured,
            conclusion=conclusion,
            constants={"mu on the box": mu, "rho": penalty.weak_convexity},
            quantities={
                "least slack": slack,
                "mu - lam rho": mu.value - (lam * rho if lam > 0 else 0.0),
                "target is the unique minimiser of F over |m - target| <= (T13)": basin,
            },
            remark=self._remark(slack, convex, basin),
        )

    @staticmethod
    def _remark(slack: float, convex: bool, basin: float) -> str:
        if slack > 0 and convex:
            return "F is strictly convex, so the target is the unique global minimiser."
        if basin >= 1.0:
            return "By T13 the target is the unique global minimiser, although F need not be convex."
        return ""
