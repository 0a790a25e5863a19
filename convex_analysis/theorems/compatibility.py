"""T10: a compatibility constant that can be computed, because the box fixes the signs of the error."""

from __future__ import annotations

import math

from convex_analysis.constants import sign_cone_minimum
from convex_analysis.theorems.case import Case
from convex_analysis.theorems.theorem import Theorem, few_features, no_worse_than_target
from convex_analysis.theorems.verdict import Hypotheses, Hypothesis, Verdict


def no_worse_in_cone(case: Case, hypotheses: Hypotheses) -> float:
    """Require that the error of a point no worse than the target is in a cone; return its allowed excess."""
    hypotheses.require(
        Hypothesis.at_least("k, the number of ones in the target", case.k, 1),
        Hypothesis.above("lam", case.lam, 0.0),
        Hypothesis.below("kappa_N", case.noise_off_support, 1.0),
        few_features(case),
    )
    if case.point is None:
        return 0.0
    hypotheses.append(no_worse_than_target(case))
    return case.used_excess + float(case.gradient_rounding.sum())


def widened(case: Case, alpha: float, excess: float) -> tuple[float, float]:
    """Return T10's ``alpha_eps`` and its bound of ||h||_1 in the case ``||h_S||_1 <= eps``."""
    rest = excess / (case.lam * (1.0 - case.noise_off_support))
    if rest == 0.0:
        return alpha, 0.0
    eps = math.sqrt(rest)
    return alpha + rest / eps, (1.0 + alpha) * eps + rest


def positive_root(square: float, linear: float, constant: float) -> float:
    """Return the largest x with ``square x^2 <= linear x + constant``; inf if square is not positive."""
    if not square > 0:
        return math.inf
    # Without squares of the figures, which may overflow.
    root = math.hypot(linear, 2.0 * math.sqrt(square) * math.sqrt(constant))
    return 0.5 * (linear + root) / square


class Compatibility(Theorem):
    """T10 A compatibility constant that can be computed."""

    name = "T10"
    title = "A compatibility constant that can be computed"
    statement = (
        "The signs of the error are known, so the compatibility constant is a convex quadratic program; it "
        "bounds the l1 error of every point no worse than the target, also with fewer samples than "
        "parameters."
    )
    quantity = "||m - target||_1"
    formula = "(1 + alpha) 2 (1 + kappa_S)_+ lam k / phi^2"

    def _examine(self, case: Case, hypotheses: Hypotheses) -> Verdict:
        excess = no_worse_in_cone(case, hypotheses)
        alpha, near = widened(case, case.cone, excess)
        minimum = sign_cone_minimum(case.factor_at_target, case.support, alpha)
        hypotheses.append(Hypothesis.above("phi^2 / k", minimum.value, 0.0))
        pull = case.lam * max(0.0, 1.0 + case.noise_on_support)
        root = positive_root(0.5 * minimum.value, pull, excess)
        bound = max(near, (1.0 + alpha) * root)
        return self._verdict(
            hypotheses,
            bound=bound,
            measured=case.distance_l1,
            constants={"phi^2 / k": minimum},
            quantities={
                "alpha": alpha,
                "phi^2": case.k * minimum.value,
                "bound of ||h_S||_1": root,
                "kappa_S": case.noise_on_support,
                "kappa_N": case.noise_off_support,
            },
        )
