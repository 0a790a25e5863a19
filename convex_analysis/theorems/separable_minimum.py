"""T20: a separable lower bound of the global minimum around any point."""

from __future__ import annotations

import numpy as np

from convex_analysis import steering
from convex_analysis.losses.loss import Vector
from convex_analysis.separable_bound import separable_bound
from convex_analysis.theorems.case import Case
from convex_analysis.theorems.theorem import Theorem
from convex_analysis.theorems.verdict import Hypotheses, Hypothesis, Verdict


class SeparableMinimum(Theorem):
    """T20 Separable lower bound around any point."""

    name = "T20"
    title = "Separable lower bound around any point"
    statement = (
        "The global minimum is at least F(m) plus a sum of minima of one-dimensional functions; where the "
        "data fit has the curvature that each coordinate needs, m is a global minimiser."
    )
    quantity = "F(m) - min F (from below: F(m) - best F known)"
    formula = "sum_j max over t of -[delta_j / 2 (t - m_j)^2 + g_j (t - m_j) + lam (r(|t|) - r(|m_j|))]"
    needs_target = False
    needs_unit_box = False
    needs_concave_penalty = False
    knows_groups = True

    def _examine(self, case: Case, hypotheses: Hypotheses) -> Verdict:
        problem = case.problem
        hypotheses.require(
            Hypothesis.given("solution", case.point),
            Hypothesis.at_most("number of features", problem.n_features, steering.SEPARABLE_LIMIT),
        )
        assert case.point is not None
        if problem.ridge is None:
            hypotheses.require(
                Hypothesis.at_least("number of samples", problem.n_samples, problem.n_features)
            )
        found = separable_bound(problem, case.point, case.point_intercept)
        hypotheses.append(Hypothesis.below("the bound", found.gap, np.inf))
        value = case.point_objective
        known = [value, *(problem.objective(*other) for other in self._others(case))]
        rounding = 2.0 * case.rounding_of_objective(case.point, case.point_intercept)
        exact = found.gap <= rounding + 1e-9 * abs(value)
        return self._verdict(
            hypotheses,
            bound=found.gap,
            measured=value - min(known),
            tolerance=rounding,
            quantities={
                "lower bound of min F": value - found.gap,
                "best known F": min(known),
                "coordinates (groups) with the curvature that they need": float(
                    np.count_nonzero(found.curvature >= found.needed * (1.0 - 1e-9))
                ),
            },
            remark="The point is a global minimiser, up to the figures above." if exact else "",
        )

    @staticmethod
    def _others(case: Case) -> list[tuple[Vector, float]]:
        """Return other points of the box, with their intercepts, that might have a lower objective."""
        problem = case.problem
        if case.target is None or not ((case.target >= problem.lower) & (case.target <= problem.upper)).all():
            return []
        return [(case.target, case.target_intercept)]
