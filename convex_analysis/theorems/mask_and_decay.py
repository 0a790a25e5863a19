"""T11: what a mask and weight decay do together."""

from __future__ import annotations

import numpy as np

from convex_analysis.losses.loss import Vector
from convex_analysis.theorems.case import Case
from convex_analysis.theorems.effective_penalty import EffectivePenalty
from convex_analysis.theorems.theorem import Theorem
from convex_analysis.theorems.verdict import Hypotheses, Hypothesis, Verdict


class MaskAndDecay(Theorem):
    """T11 What mask and weight decay do together."""

    name = "T11"
    title = "What mask and weight decay do together"
    statement = (
        "Penalised mask times decayed weight is a penalty psi on the product: concave in its square, like "
        "|b|^(2/3) near zero for every penalty of finite slope, and a ridge plus a constant for large "
        "products."
    )
    quantity = "largest violation of T11 (1), (2), (4) by psi on a grid of products, relative to lam"
    formula = "0"
    needs_target = False
    needs_unit_box = False

    def _examine(self, case: Case, hypotheses: Hypotheses) -> Verdict:
        hypotheses.require(Hypothesis.given("weight decay", case.weight_decay))
        assert case.weight_decay is not None
        hypotheses.require(
            Hypothesis.above("lam", case.problem.lam, 0.0),
            Hypothesis.above("weight decay", case.weight_decay, 0.0),
        )
        psi = EffectivePenalty(case.problem.penalty, case.problem.lam, case.weight_decay)
        scale = case.problem.lam * case.penalty.amplitude
        threshold = psi.ridge_from
        b = threshold * np.concatenate([np.geomspace(1e-4, 1.0, 200)[:-1], np.linspace(1.0, 3.0, 101)])
        values, mask = psi.value(b), psi.mask(b)
        ridge = scale + 0.5 * case.weight_decay * b**2
        far = b >= threshold
        found = {
            "below the ridge": float(np.max(values - ridge)),
            "equal to the ridge beyond b_0": float(np.max(np.abs(values - ridge)[far])),
            "increasing": float(np.max(-np.diff(values))),
            "concave in b^2": self._convexity(b**2, values),
        }
        unimodal = psi.is_unimodal
        if unimodal:
            near = b <= float(np.sqrt(scale * case.penalty.slope_at_one.value / case.weight_decay))
            found["concave in b up to b_0"] = self._convexity(b[near], values[near])
        # A direct search over masks must not find less than psi.
        grid = np.geomspace(1e-5, 1.0, 3001)
        penalty = case.problem.lam * np.asarray(case.problem.penalty.value(grid))
        direct = (penalty[None] + 0.5 * case.weight_decay * (b[:, None] / grid) ** 2).min(axis=1)
        found["the minimum over masks"] = float(np.max(values - direct))
        first = case.penalty.slope_at_zero.value
        quantities = {
            "b_0, the ridge begins": threshold,
            "psi is concave up to b_0 and convex beyond (1: yes)": float(unimodal),
            "optimal mask at b_0 / 100": float(psi.mask(np.array([threshold / 100.0]))[0]),
            "optimal mask at b_0": float(mask[far][0]),
        }
        if np.isfinite(first):
            small = threshold * 1e-5
            limit = 1.5 * (scale * first) ** (2.0 / 3.0) * (case.weight_decay * small**2) ** (1.0 / 3.0)
            quantities["psi / (3/2 (lam r'(0))^(2/3) (alpha b^2)^(1/3)) at 1e-5 b_0"] = float(
                psi.value(np.array([small]))[0] / limit
            )
        quantities |= {f"violation: {name}": value / scale for name, value in found.items()}
        return self._verdict(
            hypotheses,
            bound=0.0,
            measured=max(0.0, max(found.values())) / scale,
            # psi comes from a one-dimensional search, exact to about the square of its tolerance.
            tolerance=1e-9,
            quantities=quantities,
        )

    @staticmethod
    def _convexity(x: Vector, y: Vector) -> float:
        """Return how far y falls below its chords on an uneven grid: 0 for concave y."""
        if x.size < 3:
            return 0.0
        share = (x[1:-1] - x[:-2]) / (x[2:] - x[:-2])
        chord = y[:-2] + share * (y[2:] - y[:-2])
        return float(np.max(chord - y[1:-1]))
