"""T12: lower bounds of the curvature of a loss, from the whole box down to one error."""

from __future__ import annotations

import math

import numpy as np

from convex_analysis.constants.curvature import has_unimodal_curvature
from convex_analysis.losses import Logistic
from convex_analysis.theorems.case import Case
from convex_analysis.theorems.theorem import Theorem
from convex_analysis.theorems.verdict import Hypotheses, Hypothesis, Verdict


class LossCurvature(Theorem):
    """T12 Curvature of the loss."""

    name = "T12"
    title = "Curvature of the loss"
    statement = (
        "A loss whose second derivative rises, then falls (logistic, Huber) is curved on the box; its "
        "average seen from the target is least at an end of the range, and much larger than the least value."
    )
    quantity = "1/2 h'Bh, B the curvature matrix at the target"
    formula = "f(m) - f(target) - g'h"
    needs_concave_penalty = False

    def _examine(self, case: Case, hypotheses: Hypotheses) -> Verdict:
        problem = case.problem
        known = has_unimodal_curvature(problem)
        hypotheses.require(
            Hypothesis.true("a loss with unimodal second derivative, no intercept unless it is linear", known)
        )
        quantities = {
            "mu on the box": case.convexity_on_box.value,
            "mu seen from the target": case.convexity_at_target.value,
            "mu of monotonicity seen from the target": case.monotonicity_at_target.value,
        }
        constants = {"mu": case.convexity_at_target}
        if case.point is None:
            return self._verdict(hypotheses, constants=constants, quantities=quantities)
        assert case.target is not None
        h = case.error
        value = problem.data_fit(case.point, case.point_intercept)
        fit = problem.data_fit(case.target, case.target_intercept)
        divergence = value - fit - float(case.gradient @ h)
        monotone = float((problem.gradient(case.point, case.point_intercept) - case.gradient) @ h)
        box, level, secant = (
            float(np.sum((factor @ h) ** 2))
            for factor in (case.factor_on_box, case.factor_at_target, case.monotone_factor)
        )
        tolerance = case.objective_rounding + float(case.gradient_rounding @ np.abs(h))
        quantities |= {
            "1/2 h'Bh on the box": 0.5 * box,
            "h'Bh of monotonicity": secant,
            "<grad f(m) - g, h>": monotone,
        }
        holds = [0.5 * level <= divergence + tolerance, 0.5 * box <= 0.5 * level + tolerance]
        holds += [secant <= monotone + 2.0 * tolerance, box <= secant + 2.0 * tolerance]
        if isinstance(problem.loss, Logistic):
            bach = self._self_concordant(case)
            quantities["Bach's h'H(target)h (exp(-D) + D - 1) / D^2"] = bach
            holds.append(bach <= divergence + tolerance)
        return self._verdict(
            hypotheses,
            bound=divergence,
            measured=0.5 * level,
            tolerance=tolerance,
            conclusion=all(holds),
            constants=constants,
            quantities=quantities,
        )

    @staticmethod
    def _self_concordant(case: Case) -> float:
        problem = case.problem
        assert case.target is not None
        u = case.design @ case.error
        z = problem.predictor(case.target)
        square = float(problem.row_weights @ (problem.loss.second_derivative(z, problem.y) * u**2))
        largest = float(np.abs(u).max())
        if largest < 1e-4:
            return square * (0.5 - largest / 6.0)
        return square * (math.exp(-largest) + largest - 1.0) / largest**2
