"""T4: error of every stationary point, with the smallest constants possible."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from convex_analysis.constants import Constant, SlopeLine
from convex_analysis.losses.loss import Vector
from convex_analysis.theorems.case import Case
from convex_analysis.theorems.euclidean_norm import euclidean_norm
from convex_analysis.theorems.theorem import Theorem
from convex_analysis.theorems.verdict import Hypotheses, Hypothesis, Verdict


def allowed_violation(case: Case) -> float:
    """Return what counts as stationary: the solver's tolerance, else 1e-8 of the gradient at zero."""
    tolerance = getattr(case.solution, "tolerance", None)
    if tolerance is None:
        x, intercept = case.problem.start_at_zero()
        tolerance = 1e-8 * float(np.abs(case.problem.gradient(x, intercept)).max())
    assert case.point is not None
    rounding = case.rounding_of_gradient(case.point, case.point_intercept)
    return float(tolerance) + 2.0 * float(rounding.max())


def stationary(case: Case) -> tuple[Hypothesis, Vector]:
    """Return the hypothesis of T4, T14, T19, and the violations as far as the certificate allows them."""
    allowed = allowed_violation(case)
    hypothesis = Hypothesis.at_most("largest first-order violation", float(case.violations.max()), allowed)
    return hypothesis, np.minimum(case.violations, allowed) + case.gradient_rounding


def line_bound(
    line: SlopeLine,
    gradient: Vector,
    support: NDArray[np.bool_],
    lam: float,
    mu: float,
    violations: Vector | float,
) -> float:
    """Return T4's bound for one admissible triple; inf if mu <= lam b."""
    strength = mu - lam * line.b if lam > 0 else mu
    if not strength > 0:
        return math.inf
    pull = np.where(support, lam * line.a + gradient, -lam * line.a0 - gradient) + violations
    return euclidean_norm(np.maximum(pull, 0.0)) / strength


class StationaryBound(Theorem):
    """T4 Error of every stationary point."""

    name = "T4"
    title = "Error of every stationary point"
    statement = (
        "Every stationary point of F on the box, which is what majorize-minimize returns, is close to the "
        "target, if the data fit is strongly monotone enough to outweigh the penalty's concavity."
    )
    quantity = "||m - target||_2"
    formula = "||w|| / (mu - lam b), w = (lam a + g + eta)_+ on S and (-lam a0 - g + eta)_+ off S"

    def _examine(self, case: Case, hypotheses: Hypotheses) -> Verdict:
        mu, lam = case.monotonicity_at_target, case.lam
        violations: Vector | float = 0.0
        if case.point is not None:
            hypothesis, violations = stationary(case)
            hypotheses.append(hypothesis)
            if case.support_floor > 0 and case.k:
                least = float(case.point[case.support].min())
                hypotheses.append(Hypothesis.at_least("least entry of m on S", least, case.support_floor))
        bounds = [
            line_bound(line, case.gradient, case.support, lam, mu.value, violations)
            for line in case.slope_lines
        ]
        best = int(np.argmin(bounds))
        line = case.slope_lines[best]
        least_b = min(line.b for line in case.slope_lines) if lam > 0 else 0.0
        needed = lam * least_b if lam > 0 else 0.0
        hypotheses.append(Hypothesis.above("mu, strong monotonicity seen from the target", mu.value, needed))
        constants: dict[str, Constant] = {
            "mu": mu,
            "a": Constant(line.a, line.certified, line.method),
            "b": Constant(line.b, line.certified, line.method),
            "a0": Constant(line.a0, line.certified, line.method),
        }
        quantities = {
            "kappa_S": case.noise_on_support,
            "kappa_N": case.noise_off_support,
            "bound with the constants c and rho alone": self._with_constants(case, mu.value, violations),
        }
        return self._verdict(
            hypotheses,
            bound=bounds[best],
            measured=case.distance,
            constants=constants,
            quantities=quantities,
        )

    @staticmethod
    def _with_constants(case: Case, mu: float, violations: Vector | float) -> float:
        for line in case.slope_lines:
            if line.method == "c and rho":
                return line_bound(line, case.gradient, case.support, case.lam, mu, violations)
        return math.inf
