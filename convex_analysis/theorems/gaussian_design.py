"""T22: what a Gaussian design is worth before it is drawn, over the known signs (Gordon's inequality)."""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import gammaln, log_ndtr

from convex_analysis.constants import Constant
from convex_analysis.losses.loss import Vector
from convex_analysis.theorems.case import Case
from convex_analysis.theorems.level_set_bound import sharp_bound
from convex_analysis.theorems.theorem import Theorem
from convex_analysis.theorems.verdict import Hypotheses, Hypothesis, Verdict

#: Probability with which the bound may fail, over the draw of the design.
RISK = 1e-6
_STARTS, _STEPS = 8, 300  # of the search for a direction of little curvature


def squared_width(k: int, d: int, alpha: float = math.inf) -> float:
    """Return an upper bound of the squared Gaussian width of ``{x >= 0, alpha 1'x_S >= 1'x_N}``.

    ``min over u >= 0 of k E(g + u alpha)_+^2 + (d - k) E(g - u)_+^2``: d / 2 for the whole orthant.

    Parameters
    ----------
    k, d
        Entries of S, and all.
    alpha
        Opening of the cone, not negative.
    """
    if math.isinf(alpha):
        return 0.5 * d

    def width(u: float) -> float:
        return k * _positive_square(u * alpha) + (d - k) * _positive_square(-u)

    found = minimize_scalar(width, bounds=(0.0, 20.0), method="bounded")
    return min(0.5 * d, float(found.fun))


def _positive_square(a: float) -> float:
    """Return ``E (g + a)_+^2`` for a standard normal g."""
    return (1.0 + a * a) * math.exp(log_ndtr(a)) + a * math.exp(-0.5 * a * a) / math.sqrt(2.0 * math.pi)


def gaussian_curvature(n: int, squared_width: float, risk: float = RISK) -> float:
    """Return mu with ``||X h||^2 / n >= mu ||h||^2`` on a cone, for X of independent standard normals.

    Parameters
    ----------
    n
        Rows of X.
    squared_width
        Of the cone, see `squared_width`.
    risk
        Probability that it is false.

    Notes
    -----
    Gordon (1988): ``min ||X h|| >= E||g_n|| - width - t`` but with probability ``exp(-t^2 / 2)``.
    """
    mean = math.sqrt(2.0) * math.exp(gammaln(0.5 * (n + 1)) - gammaln(0.5 * n))
    reach = mean - math.sqrt(squared_width) - math.sqrt(-2.0 * math.log(risk))
    return max(0.0, reach) ** 2 / n


class GaussianDesign(Theorem):
    """T22 Gaussian designs."""

    name = "T22"
    title = "Gaussian designs"
    statement = (
        "If X has independent normal entries, the data fit is strongly convex over the known signs but for "
        "a stated probability, from about n = d / 2 samples on; T2 and T4 then hold with that constant."
    )
    quantity = "mu over the known signs, from Gordon's inequality"
    formula = "least h'Bh / ||h||^2 found with the known signs"

    def _examine(self, case: Case, hypotheses: Hypotheses) -> Verdict:
        problem = case.problem
        hypotheses.require(
            Hypothesis.given("standard deviation of a Gaussian design (gaussian=)", case.gaussian)
        )
        assert case.gaussian is not None
        equal = float(np.ptp(problem.row_weights)) <= 1e-12 * float(problem.row_weights.max())
        theta = problem.design.scale
        sizes = np.ones(problem.n_features) if theta is None else np.abs(theta)
        hypotheses.require(
            Hypothesis.true("the linear loss", problem.loss.quadratic),
            Hypothesis.true("equal sample weights", equal),
            Hypothesis.true("a problem without ridge", problem.ridge is None),
        )
        # Centring takes one of n independent normal rows; theta only scales within the signs.
        rows = problem.n_samples - int(problem.fit_intercept)
        n, d = problem.n_samples, problem.n_features
        scale = case.gaussian**2 * float(sizes.min()) ** 2 * rows / n if rows else 0.0
        mu = scale * gaussian_curvature(rows, squared_width(case.k, d)) if rows else 0.0
        hypotheses.append(Hypothesis.above("mu from Gordon's inequality", mu, 0.0))
        found = self._least_curvature(case)
        c = case.penalty.curvature.value
        error, _ = sharp_bound(case.gradient, case.support, case.lam, mu, c)
        quantities = {
            "probability that the bound is false": RISK,
            "n / d": n / d,
            "T2's bound of ||m - target||_2 with it": error,
        }
        if np.ptp(sizes) == 0.0 and case.k and case.lam > 0 and case.noise_off_support < 1:
            width = squared_width(case.k, d, case.cone)
            quantities["mu on the cone of T2"] = scale * gaussian_curvature(rows, width) if rows else 0.0
        return self._verdict(
            hypotheses,
            bound=found,
            measured=mu,
            constants={"mu": Constant(mu, True, f"Gordon's inequality, false with probability {RISK:g}")},
            quantities=quantities,
        )

    @staticmethod
    def _least_curvature(case: Case) -> float:
        """Return the least curvature found over the known signs: projected power iterations."""
        factor = case.factor_at_target * np.where(case.support, -1.0, 1.0)
        if not factor.any():
            return 0.0
        largest = float(np.linalg.norm(factor, 2)) ** 2
        rng = np.random.default_rng(0)
        best = math.inf
        for _ in range(_STARTS):
            x: Vector = np.abs(rng.standard_normal(factor.shape[1]))
            for _ in range(_STEPS):
                x = np.maximum(largest * x - factor.T @ (factor @ x), 0.0)
                norm = float(np.linalg.norm(x))
                if norm == 0.0:
                    break
                x /= norm
                best = min(best, float(np.sum((factor @ x) ** 2)))
        return best
