"""T14: separable error bound of every stationary point."""

from __future__ import annotations

import numpy as np

from convex_analysis.losses.loss import Vector
from convex_analysis.theorems.case import Case
from convex_analysis.theorems.separable import SeparableFunction, stationary_minorants
from convex_analysis.theorems.stationary_bound import stationary
from convex_analysis.theorems.theorem import Theorem
from convex_analysis.theorems.verdict import Hypotheses, Hypothesis, Verdict


class SeparableStationary(Theorem):
    """T14 Separable bound at every stationary point."""

    name = "T14"
    title = "Separable bound at every stationary point"
    statement = (
        "At a stationary point a sum of functions of single coordinates is not positive; this bounds its "
        "error, and where all are positive the target is the only stationary point."
    )
    quantity = "||m - target||_2"
    formula = "sqrt(min over tau of sum_j max over s of s^2 - tau psi_j(s))"

    def _examine(self, case: Case, hypotheses: Hypotheses) -> Verdict:
        first = case.penalty.slope_at_zero
        hypotheses.append(Hypothesis.below("slope of the penalty at zero", first.value, np.inf))
        strongest = max(float(delta.max(initial=0.0)) for delta in case.monotone_diagonals)
        hypotheses.append(Hypothesis.above("largest diagonal monotonicity", strongest, 0.0))
        violations: Vector = np.zeros(case.problem.n_features)
        if case.point is not None:
            hypothesis, violations = stationary(case)
            hypotheses.append(hypothesis)
        bound = min(function.error_bound(0.0) for function in self.functions(case, violations))
        exact = self.functions(case, np.zeros_like(violations))
        alone = max(function.positive_until() for function in exact)
        return self._verdict(
            hypotheses,
            bound=bound,
            measured=case.distance,
            tolerance=1e-9 * bound,
            constants={"r'(0)": first, "r'(1)": case.penalty.slope_at_one},
            quantities={"target is the only stationary point within |m - target| <=": alone},
            remark=(
                "The target is the only stationary point: majorize-minimize converges to it from every start."
                if alone >= 1.0
                else ""
            ),
        )

    @staticmethod
    def functions(case: Case, violations: Vector) -> list[SeparableFunction]:
        """Return T14's functions, one for each diagonal monotonicity at hand."""
        on = stationary_minorants(case.penalty, case.slope_lines, case.lam, True)
        off = stationary_minorants(case.penalty, case.slope_lines, case.lam, False)
        linear = np.where(case.support, -case.gradient, case.gradient) - violations
        return [SeparableFunction(delta, linear, case.support, on, off) for delta in case.monotone_diagonals]
