"""T2: error of every point no worse than the target."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from convex_analysis.constants import Constant
from convex_analysis.losses.loss import Vector
from convex_analysis.theorems.case import Case
from convex_analysis.theorems.euclidean_norm import euclidean_norm
from convex_analysis.theorems.theorem import Theorem, no_worse_than_target
from convex_analysis.theorems.verdict import Hypotheses, Hypothesis, Verdict

_KINKS = 64  # tried at most


def sharp_bound(
    gradient: Vector,
    support: NDArray[np.bool_],
    lam: float,
    mu: float,
    curvature: float,
    excess: float = 0.0,
    rounding: Vector | float = 0.0,
) -> tuple[float, float]:
    """Return the smallest bound of T2 (2) over c' in [0, c], and that c'; (inf, 0) if mu is not positive.

    Any c' will do. Tried are a grid and the kinks, where an entry of w vanishes: with one noise level on S
    the best is ``min(c, (1 + kappa_S)_+)``, a kink.
    """
    best, chosen = math.inf, 0.0
    grid = np.linspace(0.0, curvature, 33)
    if lam > 0:
        with np.errstate(over="ignore"):
            kinks = np.where(support, 1.0 + (gradient + rounding) / lam, (rounding - gradient) / lam - 1.0)
        kinks = kinks[(kinks > 0.0) & (kinks < curvature)]
        if kinks.size > _KINKS:
            kinks = np.quantile(kinks, np.linspace(0.0, 1.0, _KINKS))
        grid = np.union1d(grid, kinks)
    for c in grid:
        strength = mu - 2.0 * lam * c
        if strength <= 0:
            break
        pull = np.where(support, lam * (1.0 - c) + gradient, -lam * (1.0 + c) - gradient) + rounding
        w = euclidean_norm(np.maximum(pull, 0.0))
        bound = (w + math.hypot(w, math.sqrt(2.0 * strength) * math.sqrt(excess))) / strength
        if bound < best:
            best, chosen = bound, float(c)
    return best, chosen


def closed_bound(noise: float, lam: float, k: int, mu: float, curvature: float) -> float:
    """Return T2 (3): ``2 (1 + kappa_S - c)_+ lam sqrt(k) / (mu - 2 lam c)``; inf if mu <= 2 lam c."""
    strength = mu - 2.0 * lam * curvature
    if strength <= 0:
        return math.inf
    return 2.0 * max(0.0, 1.0 + noise - curvature) * lam * math.sqrt(k) / strength if k else 0.0


class LevelSetBound(Theorem):
    """T2 Error of every point no worse than the target."""

    name = "T2"
    title = "Error of every point no worse than the target"
    statement = (
        "If F(m) <= F(target) and f is mu-strongly convex as seen from the target, then m is close to the "
        "target, the closer the more concave the penalty is."
    )
    quantity = "||m - target||_2"
    formula = "2 ||w|| / (mu - 2 lam c'), w = (lam (1 - c') + g)_+ on S and (-lam (1 + c') - g)_+ off S"

    def _examine(self, case: Case, hypotheses: Hypotheses) -> Verdict:
        mu, c = case.convexity_at_target, case.penalty.curvature
        hypotheses.append(Hypothesis.above("mu, strong convexity seen from the target", mu.value, 0.0))
        excess = 0.0
        if case.point is not None:
            hypotheses.append(no_worse_than_target(case))
            excess = case.used_excess
        rounding = case.gradient_rounding if case.point is not None else 0.0
        bound, chosen = sharp_bound(
            case.gradient, case.support, case.lam, mu.value, c.value, excess, rounding
        )
        quantities = {
            "kappa_S (noise that pulls the support down, over lam)": case.noise_on_support,
            "kappa_N (noise that pulls the rest up, over lam)": case.noise_off_support,
            "c' used": chosen,
        }
        if case.k and case.lam > 0:
            noise = case.noise_on_support
            quantities["closed form with c"] = (
                closed_bound(noise, case.lam, case.k, mu.value, c.value)
                if case.noise_off_support <= 1 + c.value
                else math.inf
            )
            quantities["closed form of l1"] = (
                closed_bound(noise, case.lam, case.k, mu.value, 0.0)
                if case.noise_off_support <= 1
                else math.inf
            )
            if case.noise_off_support < 1:
                quantities["cone: ||h_N||_1 <= alpha ||h_S||_1 with alpha"] = case.cone
        if case.point is not None:
            gap = case.penalty.value(case.point) - case.point
            quantities["concavity gap Gamma(m)"] = float(gap.sum())
        constants: dict[str, Constant] = {"mu": mu, "c": c}
        return self._verdict(
            hypotheses, bound=bound, measured=case.distance, constants=constants, quantities=quantities
        )
