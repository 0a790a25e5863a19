"""T13: separable certificate of exactness, of a basin, of a lower bound and of an error bound."""

from __future__ import annotations

import math

import numpy as np

from convex_analysis.losses.loss import Vector
from convex_analysis.theorems.case import Case
from convex_analysis.theorems.separable import SeparableFunction, level_minorants
from convex_analysis.theorems.theorem import Theorem, no_worse_than_target
from convex_analysis.theorems.verdict import Hypotheses, Hypothesis, Verdict


def level_functions(case: Case, rounding: Vector | float = 0.0) -> list[SeparableFunction]:
    """Return T13's functions, one for each diagonal curvature at hand; all are valid.

    ``rounding`` is by how much each entry of g may be wrong: the functions are lowered accordingly.
    """
    on = level_minorants(case.penalty, case.lam, True)
    off = level_minorants(case.penalty, case.lam, False)
    linear = np.where(case.support, -case.gradient, case.gradient) - rounding
    return [
        SeparableFunction(0.5 * delta, linear, case.support, on, off) for delta in case.diagonals_at_target
    ]


class SeparableCertificate(Theorem):
    """T13 Separable certificate."""

    name = "T13"
    title = "Separable certificate"
    statement = (
        "F(m) - F(target) is at least a sum of functions of single coordinates; where all are positive the "
        "target is the unique global minimiser, and in any case they bound the error of every point no "
        "worse than the target."
    )
    quantity = "||m - target||_2"
    formula = "sqrt(min over tau of tau Delta + sum_j max over s of s^2 - tau phi_j(s))"

    def _examine(self, case: Case, hypotheses: Hypotheses) -> Verdict:
        functions = level_functions(case)
        strongest = max(float(function.square.max(initial=0.0)) for function in functions)
        hypotheses.append(Hypothesis.above("largest diagonal curvature", 2.0 * strongest, 0.0))
        excess, rounding = 0.0, np.zeros(case.support.size)
        if case.point is not None:
            hypotheses.append(no_worse_than_target(case))
            excess, rounding = case.used_excess, case.gradient_rounding
        bound = min(function.error_bound(excess) for function in level_functions(case, rounding))
        basin = max(function.positive_until() for function in functions)
        slack = max(float(function.least().sum()) for function in functions)
        lower = case.target_objective + slack
        quantities = {
            "target is the unique minimiser of F over |m - target| <=": basin,
            "lower bound of min F": lower,
            "F(target) exceeds min F by at most": max(0.0, -slack),
            "contact of the penalty at one": case.penalty.contact.value,
        }
        tolerance, conclusion = 1e-9 * bound, None
        if case.point is not None:
            below = case.point_objective - lower >= -2.0 * case.objective_rounding - float(rounding.sum())
            inside = float(np.abs(case.error).max(initial=0.0)) <= basin
            unique = not (
                inside
                and basin > 0
                and case.excess < -case.objective_rounding - excess - float(rounding.sum())
            )
            conclusion = case.distance <= bound + tolerance and below and unique
        exact = "The target is the unique global minimiser of F." if basin >= 1.0 else ""
        constants = {"c": case.penalty.curvature, "rho": case.penalty.weak_convexity}
        if not math.isfinite(case.penalty.weak_convexity.value):
            del constants["rho"]
        return self._verdict(
            hypotheses,
            bound=bound,
            measured=case.distance,
            tolerance=tolerance,
            conclusion=conclusion,
            quantities=quantities,
            constants=constants,
            remark=exact,
        )
