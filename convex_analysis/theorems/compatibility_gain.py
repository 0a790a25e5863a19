"""T15 and T19: fewer samples than parameters, with the gain of the penalty's curvature."""

from __future__ import annotations

import numpy as np

from convex_analysis.constants import Constant, restricted_eigenvalue, sign_cone_minimum
from convex_analysis.constants.curvature import Matrix
from convex_analysis.theorems.case import Case
from convex_analysis.theorems.compatibility import no_worse_in_cone, positive_root, widened
from convex_analysis.theorems.stationary_bound import stationary
from convex_analysis.theorems.theorem import Theorem, few_features
from convex_analysis.theorems.verdict import Hypotheses, Hypothesis, Verdict


class ConeMinimum:
    """Lower bounds of ``min h'Bh - shift ||h||^2`` over the cone of opening alpha with ``||h_S||_1 = 1``."""

    def __init__(self, case: Case, factor: Matrix, alpha: float) -> None:
        self.alpha, self.k = alpha, case.k
        self.plain = sign_cone_minimum(factor, case.support, alpha)
        small = factor.shape[1] <= case.semidefinite_limit
        self.relaxed = (
            restricted_eigenvalue(factor.T @ factor, case.support, alpha, rows=len(factor)) if small else None
        )

    def shifted(self, shift: float) -> Constant:
        """Return the bound for one shift."""
        largest = 1.0 + self.alpha**2  # of ||h||_2^2 on the feasible set; the least is 1 / k
        best = Constant(self.plain.value - shift * largest, True, self.plain.method)
        if self.relaxed is not None:
            value = self.relaxed.value - shift
            value = value / self.k if value > 0 else value * largest
            if value > best.value:
                best = Constant(value, True, self.relaxed.method)
        return best


class CompatibilityGain(Theorem):
    """T15 Fewer samples than parameters, with the gain c."""

    name = "T15"
    title = "Fewer samples than parameters, with the gain c"
    statement = (
        "A compatibility constant reduced by 2 lam c bounds the l1 error of every point no worse than the "
        "target with 1 + kappa - c in place of 1 + kappa; with c = 1 and no noise the target is recovered "
        "exactly."
    )
    quantity = "||m - target||_1"
    formula = "(1 + alpha_c) 2 (1 + kappa_S - c)_+ lam k / phi_c^2"

    def _examine(self, case: Case, hypotheses: Hypotheses) -> Verdict:
        excess = no_worse_in_cone(case, hypotheses)
        lam, c, factor = case.lam, case.penalty.curvature, case.factor_at_target
        alpha, near = widened(case, case.cone, excess)
        wide = ConeMinimum(case, factor, alpha).shifted(2.0 * lam * c.value)
        hypotheses.append(Hypothesis.above("phi_c^2(alpha) / k", wide.value, 0.0))
        pull = max(0.0, 1.0 + case.noise_on_support - c.value)
        push = 1.0 - case.noise_off_support + c.value
        narrow = pull / push
        constants = {"phi_c^2(alpha) / k": wide, "c": c}
        quantities = {"alpha": alpha, "alpha_c": narrow}
        bound = np.inf
        if wide.value > 0:
            # ||h_N||_1 <= alpha_c ||h_S||_1 + rest, and ||h_S||_1 > eps or the first case of T10.
            rest = excess / (lam * push)
            opening = narrow + (np.sqrt(rest) if rest > 0 else 0.0)
            tight = ConeMinimum(case, factor, opening).shifted(2.0 * lam * c.value)
            level = max(tight.value, wide.value)
            constants["phi_c^2(alpha_c) / k"] = tight
            root = positive_root(0.5 * level, lam * pull, excess)
            small = (1.0 + narrow) * np.sqrt(rest) + rest
            bound = max(near, small, (1.0 + narrow) * root + rest)
        return self._verdict(
            hypotheses, bound=bound, measured=case.distance_l1, constants=constants, quantities=quantities
        )


class CompatibilityStationary(Theorem):
    """T19 Stationary points with fewer samples than parameters."""

    name = "T19"
    title = "Stationary points with fewer samples than parameters"
    statement = (
        "If the penalty's slope at one exceeds the noise, the error of every stationary point lies in a "
        "cone, and a compatibility constant bounds it also with fewer samples than parameters."
    )
    quantity = "||m - target||_1"
    formula = "(1 + alpha_b) (a + kappa_S)_+ lam k / phi_b^2"

    def _examine(self, case: Case, hypotheses: Hypotheses) -> Verdict:
        lam, penalty = case.lam, case.penalty
        first, last = penalty.slope_at_zero, penalty.slope_at_one
        extra = np.zeros(case.problem.n_features)
        if case.point is not None:
            hypothesis, extra = stationary(case)
            hypotheses.append(hypothesis)
        hypotheses.require(
            Hypothesis.at_least("k, the number of ones in the target", case.k, 1),
            Hypothesis.above("lam", lam, 0.0),
            Hypothesis.below("slope of the penalty at zero", first.value, np.inf),
            few_features(case),
        )
        support = case.support
        noise_on = float((case.gradient + extra)[support].max()) / lam
        noise_off = float((extra - case.gradient)[~support].max(initial=-np.inf)) / lam
        hypotheses.require(Hypothesis.below("kappa_N (with the violation)", noise_off, last.value))
        alpha = max(0.0, first.value + noise_on) / (last.value - noise_off)
        factor = case.monotone_factor
        best, least, narrow = np.inf, -np.inf, alpha
        constants: dict[str, Constant] = {}
        cone = ConeMinimum(case, factor, alpha)
        for line in case.slope_lines:
            if not np.isfinite(line.b) or noise_off > line.a0:
                continue
            minimum = cone.shifted(lam * line.b)
            least = max(least, minimum.value)
            if minimum.value > 0:
                pull = max(0.0, line.a + noise_on)
                # As in T15: the same inequality puts the error in a cone of its own, often a narrower one.
                opening = min(alpha, pull / (line.a0 - noise_off)) if line.a0 > noise_off else alpha
                if opening < alpha:
                    tight = ConeMinimum(case, factor, opening).shifted(lam * line.b)
                    minimum = tight if tight.value > minimum.value else minimum
                bound = (1.0 + opening) * pull * lam / minimum.value
                if bound < best:
                    best, narrow = bound, opening
                    constants = {
                        "phi_b^2 / k": minimum,
                        "a": Constant(line.a, line.certified, line.method),
                        "b": Constant(line.b, line.certified, line.method),
                    }
        hypotheses.append(Hypothesis.above("phi_b^2 / k, for some admissible (a, b)", least, 0.0))
        return self._verdict(
            hypotheses,
            bound=best,
            measured=case.distance_l1,
            constants=constants,
            quantities={"alpha": alpha, "alpha_b": narrow},
        )
