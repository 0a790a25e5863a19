"""T1: l1 is the convex envelope, so a dual value bounds how far any point is from the global minimum."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from convex_analysis.certificate import chord_envelope
from convex_analysis.convex_step import ConvexStep
from convex_analysis.theorems.case import Case
from convex_analysis.theorems.theorem import Theorem
from convex_analysis.theorems.verdict import Hypotheses, Hypothesis, Verdict


class Envelope(Theorem):
    """T1 Envelope."""

    name = "T1"
    title = "Envelope"
    statement = (
        "The chord of the penalty is its convex envelope on the box (l1 on [0, 1]^d), so every point's "
        "objective exceeds the global minimum by at most its distance to a dual value of the envelope "
        "problem."
    )
    quantity = "F(m) - min F (from below: F(m) - best F known)"
    formula = "F(m) - D, D a dual value of the envelope problem"
    needs_target = False
    needs_unit_box = False
    needs_concave_penalty = False

    def _examine(self, case: Case, hypotheses: Hypotheses) -> Verdict:
        problem = case.problem
        hypotheses += self._chord_is_below(case)
        weights, linear, constant = chord_envelope(problem)
        envelope = ConvexStep(problem).compute(weights, linear=linear if linear.any() else None)
        x, intercept = (
            (envelope.x, envelope.intercept) if case.point is None else (case.point, case.point_intercept)
        )
        value = problem.objective(x, intercept)
        lower = envelope.dual + constant
        hypotheses.append(Hypothesis.above("dual value of the envelope problem", lower, -np.inf))
        at_envelope = problem.objective(envelope.x, envelope.intercept)
        known = [value, at_envelope] + ([] if case.target is None else self._target_value(case))
        rounding = 1e-14 * problem.n_features * (abs(value) + abs(lower) + abs(constant))
        rounding += case.rounding_of_objective(x, intercept)
        rounding += case.rounding_of_objective(envelope.x, envelope.intercept)
        return self._verdict(
            hypotheses,
            bound=value - lower,
            measured=value - min(known),
            tolerance=rounding,
            quantities={
                "lower bound of min F": lower,
                "best known F": min(known),
                "F at the envelope's minimiser": at_envelope,
                "concavity gap lam Gamma at the envelope's minimiser": at_envelope
                - (envelope.value + constant),
                "duality gap of the envelope problem": envelope.gap,
            },
            remark=(
                "The envelope's minimiser is a global minimiser up to its duality gap: the penalty equals "
                "its chord there."
                if at_envelope - lower <= envelope.gap + rounding
                else ""
            ),
        )

    @staticmethod
    def _target_value(case: Case) -> list[float]:
        assert case.target is not None
        problem = case.problem
        inside = ((case.target >= problem.lower) & (case.target <= problem.upper)).all()
        return [case.target_objective] if inside else []

    @staticmethod
    def _chord_is_below(case: Case) -> Iterable[Hypothesis]:
        """Measure the chord against the penalty on a grid of the box, coordinate by coordinate."""
        problem = case.problem
        weights, linear, constant = chord_envelope(problem)
        worst = 0.0
        low = np.where(np.isfinite(problem.lower), problem.lower, np.minimum(problem.upper, 0.0) - 100.0)
        high = np.where(np.isfinite(problem.upper), problem.upper, np.maximum(problem.lower, 0.0) + 100.0)
        for share in np.linspace(0.0, 1.0, 33):
            x = low + share * (high - low)
            envelope = float(weights @ np.abs(x) + linear @ x) + constant
            value = problem.penalty_value(x)
            worst = max(worst, envelope - value - 1e-13 * (abs(envelope) + abs(value) + abs(constant)))
        yield Hypothesis.at_most("how far the chord rises above the penalty on the box", worst, 0.0)
