"""T5: from a small error to the exact mask, by a threshold or by the right density."""

from __future__ import annotations

import math

import numpy as np

from convex_analysis.losses.loss import Vector
from convex_analysis.theorems.case import Case
from convex_analysis.theorems.theorem import Theorem
from convex_analysis.theorems.verdict import Hypotheses, Hypothesis, Verdict


def largest_entries(m: Vector, count: int) -> Vector:
    """Return the mask of the ``count`` largest entries, ties by index."""
    mask = np.zeros(m.size)
    mask[np.argsort(-m, kind="stable")[:count]] = 1.0
    return mask


class Thresholding(Theorem):
    """T5 Thresholding."""

    name = "T5"
    title = "Thresholding"
    statement = (
        "Rounding a relaxed mask at one half makes at most 4 ||h||^2 errors, and keeping its k largest "
        "entries at most 2 floor(2 ||h||^2): exact if ||h|| is below 1/2, resp. 1/sqrt(2)."
    )
    quantity = "Hamming distance of 1[m > 1/2] from the target"
    formula = "min(floor(4 ||h||_2^2), floor(2 ||h||_1))"
    needs_concave_penalty = False

    def _examine(self, case: Case, hypotheses: Hypotheses) -> Verdict:
        hypotheses.require(Hypothesis.given("solution", case.point))
        assert case.target is not None
        assert case.point is not None
        square, sum_ = float(case.error @ case.error), float(np.abs(case.error).sum())
        # The floor must not fall below an integer by rounding of the norms.
        slack = 1.0 + 4e-16 * (case.error.size + 4)
        bound = min(math.floor(4.0 * square * slack), math.floor(2.0 * sum_ * slack))
        rounded = (case.point > 0.5).astype(np.float64)
        kept = largest_entries(case.point, case.k)
        by_half = int(np.abs(rounded - case.target).sum())
        by_count = int(np.abs(kept - case.target).sum())
        bound_by_count = 2 * math.floor(2.0 * square * slack)
        return self._verdict(
            hypotheses,
            bound=float(bound),
            measured=float(by_half),
            conclusion=by_half <= bound and by_count <= bound_by_count,
            quantities={
                "||h||_2": case.distance,
                "Hamming distance of the k largest entries": float(by_count),
                "its bound 2 floor(2 ||h||_2^2)": float(bound_by_count),
            },
        )
