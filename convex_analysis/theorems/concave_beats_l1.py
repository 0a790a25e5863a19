"""T3: the bound of a concave penalty is strictly below that of l1 wherever the latter says anything."""

from __future__ import annotations

import math

import numpy as np

from convex_analysis.constants.curvature import EPS
from convex_analysis.theorems.case import Case
from convex_analysis.theorems.level_set_bound import closed_bound
from convex_analysis.theorems.theorem import Theorem
from convex_analysis.theorems.verdict import Hypotheses, Hypothesis, Verdict


class ConcaveBeatsL1(Theorem):
    """T3 Concave is strictly tighter wherever l1 says anything."""

    name = "T3"
    title = "Concave is strictly tighter wherever l1 says anything"
    statement = (
        "If the error bound of l1 is below sqrt(k), that of a penalty with curvature c > 0 is strictly "
        "smaller; with c = 1 and no noise it is zero."
    )
    quantity = "error bound of this penalty"
    formula = "error bound of l1, 2 (1 + kappa_S) lam sqrt(k) / mu (strictly)"

    def _examine(self, case: Case, hypotheses: Hypotheses) -> Verdict:
        mu, c = case.convexity_at_target, case.penalty.curvature
        noise = case.noise_on_support
        needed = [
            Hypothesis.at_least("k, the number of ones in the target", case.k, 1),
            Hypothesis.above("lam", case.lam, 0.0),
            Hypothesis.above("c, the curvature of the penalty", c.value, 0.0),
            Hypothesis.above("kappa_S", noise, -1.0),
            Hypothesis.at_most("kappa_N", case.noise_off_support, 1.0),
            Hypothesis.above("mu (the l1 bound is below sqrt(k))", mu.value, 2.0 * case.lam * (1.0 + noise)),
        ]
        hypotheses += needed
        constants = {"mu": mu, "c": c}
        if not case.k or case.lam == 0 or not math.isfinite(noise):
            return self._verdict(hypotheses, constants=constants)
        used = min(c.value, max(0.0, 1.0 + noise))
        ours = closed_bound(noise, case.lam, case.k, mu.value, used)
        l1 = closed_bound(noise, case.lam, case.k, mu.value, 0.0)
        # What c' gains of the bound, relatively; below rounding it cannot be seen in the two figures.
        with np.errstate(divide="ignore"):
            gain = used * (np.divide(1.0, 1.0 + noise) - 2.0 * case.lam / mu.value) if mu.value > 0 else 0.0
        unseen = gain <= 8.0 * EPS and ours <= l1 * (1.0 + 8.0 * EPS)
        return self._verdict(
            hypotheses,
            bound=l1,
            measured=ours,
            conclusion=bool(ours < l1 or unseen),
            constants=constants,
            quantities={
                "ratio of the bounds": ours / l1 if l1 > 0 else math.nan,
                "sqrt(k)": math.sqrt(case.k),
            },
        )
