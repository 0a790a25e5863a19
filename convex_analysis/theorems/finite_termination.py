"""T16: how many steps majorize-minimize takes for piecewise linear and piecewise quadratic penalties."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from convex_analysis.constants import strong_convexity
from convex_analysis.constants.curvature import Matrix
from convex_analysis.losses.loss import Vector
from convex_analysis.theorems.case import Case
from convex_analysis.theorems.descent import starting_point
from convex_analysis.theorems.iterates import Iterates, iterate
from convex_analysis.theorems.theorem import Theorem
from convex_analysis.theorems.verdict import Hypotheses, Hypothesis, Verdict


class FiniteTermination(Theorem):
    """T16 How many steps majorize-minimize takes."""

    name = "T16"
    title = "How many steps majorize-minimize takes"
    statement = (
        "With a piecewise linear penalty majorize-minimize ends after finitely many exact steps; with a "
        "piecewise quadratic one it converges linearly once bounds and pieces have settled, and ends only "
        "if the free coordinates lie on linear pieces."
    )
    quantity = "number of steps, resp. contraction of the error in the norm of H"
    formula = "p^d + 1, resp. the largest eigenvalue of lam H_FF^-1 diag(beta)_FF"
    needs_target = False

    def _examine(self, case: Case, hypotheses: Hypotheses) -> Verdict:
        slopes = _number_of_slopes(case)
        bends = _bends(case)
        hypotheses.require(
            Hypothesis.true(
                "a penalty that is piecewise linear (l1, capped l1) or piecewise quadratic (MCP, SCAD)",
                slopes is not None or bends is not None,
            )
        )
        x, intercept = starting_point(case)
        iterates = iterate(case.problem, x, intercept, case.steps)
        if slopes is not None:
            return self._piecewise_linear(case, hypotheses, iterates, slopes)
        assert bends is not None
        return self._piecewise_quadratic(case, hypotheses, iterates, bends)

    def _piecewise_linear(
        self, case: Case, hypotheses: Hypotheses, iterates: Iterates, slopes: int
    ) -> Verdict:
        # Steps are solved up to a duality gap: a decrease that two such gaps explain is none.
        unsure = 2.0 * float(iterates.gaps.max(initial=0.0) + iterates.rounding.max())
        sure = -np.diff(iterates.objectives) > unsure
        steps = float(np.count_nonzero(sure))
        ended = iterates.ended or not sure.all()
        with np.errstate(over="ignore"):
            bound = float(np.exp2(np.log2(slopes) * case.problem.n_features)) + 1.0
        distinct = np.unique(iterates.weights, axis=0).shape[0] if steps else 0
        return self._verdict(
            hypotheses,
            quantity="number of steps",
            formula="p^d + 1, p the number of slopes",
            bound=bound,
            measured=steps,
            # Not ended within the steps allowed: nothing is known yet.
            conclusion=False if steps > bound else (True if ended else None),
            unknown=not ended,
            quantities={"slopes of the penalty": float(slopes), "distinct weight vectors": float(distinct)},
            remark="" if ended else f"Not ended after the {int(steps)} steps allowed: give more steps.",
        )

    def _piecewise_quadratic(
        self, case: Case, hypotheses: Hypotheses, iterates: Iterates, knots: Vector
    ) -> Verdict:
        problem = case.problem
        # A step of weight zero ends beside a bound by rounding, where its multiplier vanishes.
        iterates = replace(iterates, points=_at_bounds(iterates.points))
        hypotheses.require(Hypothesis.true("the linear loss", problem.loss.quadratic))
        mu = strong_convexity(case.factor_on_box)
        hypotheses.require(Hypothesis.above("smallest eigenvalue of H", mu.value, 0.0))
        last = iterates.points[-1]
        free = (last > 0.0) & (last < 1.0)
        hessian = (case.factor_on_box.T @ case.factor_on_box)[np.ix_(free, free)]
        beta = -_second_derivative(case, last[free])
        limit = self._limit(case, iterates, free, hessian, beta)
        slack = self._slack(case, last, float(iterates.intercepts[-1]), limit, free, knots)
        hypotheses.append(
            Hypothesis.above(
                "nondegeneracy of the limit (multipliers, distance to bounds and knots)", slack, 1e-6
            )
        )
        pieces = np.searchsorted(knots, iterates.points, side="left")
        settled = (pieces[:, free] == pieces[-1, free]).all(axis=1)
        settled &= ((iterates.points == 0.0) == (last == 0.0)).all(axis=1)
        settled &= ((iterates.points == 1.0) == (last == 1.0)).all(axis=1)
        begin = settled.size - int(np.argmin(settled[::-1])) if not settled.all() else 0
        root = np.linalg.cholesky(hessian) if free.any() else np.zeros((0, 0))
        half = np.linalg.solve(root, np.diag(np.sqrt(beta))) if free.any() else root
        rate = case.lam * float(np.linalg.norm(half, 2)) ** 2 if free.any() else 0.0
        measured, tolerance = self._contraction(iterates, begin, free, hessian, limit)
        return self._verdict(
            hypotheses,
            quantity="contraction of the error in the norm of H, from step to step",
            formula="the largest eigenvalue of lam H_FF^-1 diag(beta)_FF",
            bound=rate,
            measured=measured,
            tolerance=tolerance,
            constants={"mu on the box": mu},
            quantities={
                "steps": float(iterates.gaps.size),
                "ended by itself (1: yes)": float(iterates.ended),
                "settled from step": float(begin),
                "free coordinates at the end": float(free.sum()),
                "free coordinates on a bent piece": float(np.count_nonzero(beta)),
            },
        )

    @staticmethod
    def _limit(
        case: Case, iterates: Iterates, free: NDArray[np.bool_], hessian: Matrix, beta: Vector
    ) -> Vector | None:
        """Return the limit of the linear recursion on the last piece; None if it is not determined."""
        last: Vector = iterates.points[-1][free]
        shifted = hessian - case.lam * np.diag(beta)
        if not free.any():
            return last
        if np.linalg.cond(shifted) > 1e12:
            return None
        gradient = case.problem.gradient(iterates.points[-1], float(iterates.intercepts[-1]))[free]
        limit: Vector = last - np.linalg.solve(shifted, gradient + case.lam * case.penalty.slope(last))
        return limit

    @staticmethod
    def _contraction(
        iterates: Iterates, begin: int, free: NDArray[np.bool_], hessian: Matrix, limit: Vector | None
    ) -> tuple[float, float]:
        """Measure the contraction from step to step, where the error is well above the duality gaps."""
        if limit is None or not free.any():
            return 0.0, 0.0
        error = iterates.points[:, free] - limit
        norms = np.sqrt(np.maximum(np.einsum("ti,ij,tj->t", error, hessian, error), 0.0))
        worst, tolerance = 0.0, 0.0
        for t in range(begin, iterates.gaps.size):
            # A gap eps leaves the next point within sqrt(2 eps) of the exact one, in the norm of H.
            noise = np.sqrt(2.0 * max(iterates.gaps[t], 1e-16 * abs(iterates.objectives[t]))) + 1e-13
            if norms[t] > 1e3 * noise:
                ratio = norms[t + 1] / norms[t]
                if ratio > worst:
                    worst, tolerance = float(ratio), float(noise / norms[t])
        return worst, tolerance + 1e-9

    @staticmethod
    def _slack(
        case: Case,
        x: Vector,
        intercept: float,
        limit: Vector | None,
        free: NDArray[np.bool_],
        knots: Vector,
    ) -> float:
        """Return how far the limit is from degenerate; 0 or less if it is not where the iterates are."""
        if limit is None:
            return 0.0
        total = case.lam * case.penalty.slope(x) + case.problem.gradient(x, intercept)
        slack = np.inf
        if (~free).any():
            slack = float(np.min(np.where(x[~free] == 0.0, total[~free], -total[~free])))
        for knot in (0.0, *knots, 1.0):
            slack = min(slack, float(np.abs(limit - knot).min(initial=np.inf)))
            if ((limit < knot) != (x[free] < knot)).any():
                return 0.0
        return slack


def _at_bounds(points: Vector) -> Vector:
    """Return the points of the box with entries within 1e-12 of a bound on it."""
    return np.where(points < 1e-12, 0.0, np.where(points > 1.0 - 1e-12, 1.0, points))


def _slopes_within_pieces(case: Case) -> tuple[Vector, Vector, Vector] | None:
    """Return the ends of a pieces of a piecewise quadratic penalty on [0, 1], and two slopes in each."""
    penalty = case.problem.penalty
    if not penalty.is_piecewise_quadratic:
        return None
    ends = np.array([0.0, *(knot for knot in penalty.breakpoints if knot < 1.0), 1.0])
    third = np.diff(ends) / 3.0
    return ends, case.penalty.slope(ends[:-1] + third), case.penalty.slope(ends[:-1] + 2.0 * third)


def _number_of_slopes(case: Case) -> int | None:
    """Return how many slopes a piecewise linear penalty has on [0, 1], None for other penalties."""
    pieces = _slopes_within_pieces(case)
    if pieces is None or not np.allclose(pieces[1], pieces[2], rtol=1e-12, atol=1e-12):
        return None
    return np.unique(np.round(pieces[1], 12)).size


def _bends(case: Case) -> Vector | None:
    """Return the knots inside (0, 1) of a piecewise quadratic penalty whose slope does not jump."""
    pieces = _slopes_within_pieces(case)
    if pieces is None or any(kink < 1.0 for kink in case.problem.penalty.kinks):
        return None
    return pieces[0][1:-1]


def _second_derivative(case: Case, t: Vector) -> Vector:
    """Return r'' of a piecewise quadratic penalty between knots, by an exact difference."""
    bends = _bends(case)
    assert bends is not None
    ends = np.concatenate([[0.0], bends, [1.0]])
    piece = np.clip(np.searchsorted(ends, t) - 1, 0, ends.size - 2)
    third = (ends[piece + 1] - ends[piece]) / 3.0
    low, high = ends[piece] + third, ends[piece] + 2.0 * third
    slope = (case.penalty.slope(high) - case.penalty.slope(low)) / third
    flat = np.abs(slope) < 1e-9
    result: Vector = np.where(flat, 0.0, slope)
    return result
