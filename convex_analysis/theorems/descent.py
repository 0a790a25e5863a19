"""T7: majorize-minimize decreases the objective by a known amount at each step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from convex_analysis.constants import strong_convexity
from convex_analysis.losses.loss import Vector
from convex_analysis.regulariser import Grouped
from convex_analysis.theorems.case import Case
from convex_analysis.theorems.iterates import Iterates, iterate
from convex_analysis.theorems.theorem import Theorem
from convex_analysis.theorems.verdict import Hypotheses, Hypothesis, Verdict

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem


def starting_point(case: Case) -> tuple[Vector, float]:
    """Return the start given, else the upper end of the box (or the lower, or zero) of each coordinate."""
    problem = case.problem
    if case.start is None:
        upper = np.where(np.isfinite(problem.upper), problem.upper, np.maximum(problem.lower, 1.0))
        x = np.minimum(upper, problem.upper)
    else:
        x = np.clip(np.asarray(case.start, dtype=np.float64), problem.lower, problem.upper)
    return x, problem.best_intercept(x)


def tangent_gaps(problem: Problem, iterates: Iterates) -> Vector:
    """Return ``lam D_t`` of each step: how far the tangent of the penalty lies above it at the next point."""
    gaps, regulariser = [], problem.regulariser
    for before, after, weights in zip(
        iterates.points[:-1], iterates.points[1:], iterates.weights, strict=True
    ):
        moved = regulariser.sizes(after) - regulariser.sizes(before)
        with np.errstate(invalid="ignore"):
            change = np.where(moved == 0.0, 0.0, weights * moved)
        if isinstance(regulariser, Grouped):
            change = regulariser.entry(change)
        gaps.append(problem.penalty_value(before) + float(change.sum()) - problem.penalty_value(after))
    return np.array(gaps)


class Descent(Theorem):
    """T7 Majorize-minimize."""

    name = "T7"
    title = "Majorize-minimize"
    statement = (
        "Each exact step decreases F by at least mu/2 ||step||^2 plus lam times the tangent's gap; the "
        "steps are square-summable and the best stationarity gap falls like 1/T, with or without strong "
        "convexity."
    )
    quantity = "sum over steps of mu/2 ||m+ - m||^2 + lam D (less the duality gaps)"
    formula = "F(m^0) - F(m^T)"
    needs_target = False
    needs_unit_box = False
    needs_concave_penalty = False
    knows_groups = True

    def _examine(self, case: Case, hypotheses: Hypotheses) -> Verdict:
        problem = case.problem
        x, intercept = starting_point(case)
        iterates = iterate(problem, x, intercept, case.steps)
        steps = iterates.gaps.size
        gaps = tangent_gaps(problem, iterates)
        rounding = 2.0 * float(iterates.rounding.max())
        concave = float(gaps.min(initial=0.0))
        hypotheses.append(Hypothesis.at_least("least gap of the penalty's tangent", concave, -rounding))
        mu = strong_convexity(case.factor_on_box)
        moves = np.linalg.norm(np.diff(iterates.points, axis=0), axis=1)
        if mu.value > 0:
            # A gap is known up to rounding: one of zero leaves a step that short of the exact one, too.
            sure = np.maximum(moves - np.sqrt(2.0 * (iterates.gaps + rounding) / mu.value), 0.0)
            promised = 0.5 * mu.value * sure**2 - iterates.gaps + gaps
        else:
            promised = gaps - iterates.gaps
        decrease = -np.diff(iterates.objectives)
        measured, bound = float(promised.sum()), float(decrease.sum())
        each = bool((promised <= decrease + rounding).all() and (decrease >= -rounding - iterates.gaps).all())
        quantities = {
            "steps": float(steps),
            "ended by itself": float(iterates.ended),
            "largest duality gap of a step": float(iterates.gaps.max(initial=0.0)),
            "sum of ||step||^2": float(np.sum(moves**2)),
        }
        if steps:
            best = float((decrease - gaps + iterates.gaps).min())
            quantities["least stationarity gap G(m^t)"] = max(best, 0.0)
            quantities["its bound (F(m^0) - F(m^T)) / T"] = (
                float(decrease.sum() + iterates.gaps.sum()) / steps
            )
            each = each and best <= quantities["its bound (F(m^0) - F(m^T)) / T"] + rounding
        return self._verdict(
            hypotheses,
            bound=bound,
            measured=measured,
            tolerance=rounding * max(steps, 1),
            conclusion=each and measured <= bound + rounding * max(steps, 1),
            constants={"mu on the box": mu},
            quantities=quantities,
            remark=(
                "The slope at zero is infinite: entries that are zero stay zero."
                if math.isinf(problem.penalty.slope_at_zero)
                else ""
            ),
        )
