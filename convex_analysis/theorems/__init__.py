"""Theorems that run: each checks its hypotheses on given data, evaluates its bound and measures the truth.

``T4.check(problem, target_mask, solution)`` returns a `Verdict`; `check_all` returns one a theorem.
Statements and proofs: docs/theory.md.
"""

from __future__ import annotations

from typing import Any

from convex_analysis.theorems.case import Case
from convex_analysis.theorems.compatibility import Compatibility
from convex_analysis.theorems.compatibility_gain import CompatibilityGain, CompatibilityStationary
from convex_analysis.theorems.concave_beats_l1 import ConcaveBeatsL1
from convex_analysis.theorems.descent import Descent
from convex_analysis.theorems.effective_penalty import EffectivePenalty
from convex_analysis.theorems.envelope import Envelope
from convex_analysis.theorems.exactness import Exactness
from convex_analysis.theorems.finite_termination import FiniteTermination
from convex_analysis.theorems.level_set_bound import LevelSetBound
from convex_analysis.theorems.logistic_curvature import LogisticCurvature
from convex_analysis.theorems.mask_and_decay import MaskAndDecay
from convex_analysis.theorems.relaxed_irrepresentable import RelaxedIrrepresentable
from convex_analysis.theorems.retrained_ticket import RetrainedTicket
from convex_analysis.theorems.separable_certificate import SeparableCertificate
from convex_analysis.theorems.separable_stationary import SeparableStationary
from convex_analysis.theorems.sparse_witness import SparseWitness
from convex_analysis.theorems.stationary_bound import StationaryBound
from convex_analysis.theorems.theorem import Theorem
from convex_analysis.theorems.thresholding import Thresholding
from convex_analysis.theorems.two_step_oracle import TwoStepOracle
from convex_analysis.theorems.verdict import Hypothesis, Verdict

T1 = Envelope()
T2 = LevelSetBound()
T3 = ConcaveBeatsL1()
T4 = StationaryBound()
T5 = Thresholding()
T6 = Exactness()
T7 = Descent()
T8 = TwoStepOracle()
T9 = RelaxedIrrepresentable()
T10 = Compatibility()
T11 = MaskAndDecay()
T12 = LogisticCurvature()
T13 = SeparableCertificate()
T14 = SeparableStationary()
T15 = CompatibilityGain()
T16 = FiniteTermination()
T17 = RetrainedTicket()
T18 = SparseWitness()
T19 = CompatibilityStationary()

ALL: tuple[Theorem, ...] = (
    T1,
    T2,
    T3,
    T4,
    T5,
    T6,
    T7,
    T8,
    T9,
    T10,
    T11,
    T12,
    T13,
    T14,
    T15,
    T16,
    T17,
    T18,
    T19,
)
"""All theorems, in the order of docs/theory.md."""


def check_all(problem: Any, target_mask: Any = None, solution: Any = None, **given: Any) -> list[Verdict]:
    """Return one verdict a theorem; those whose hypotheses or data are missing say so.

    Parameters
    ----------
    problem
        A `MaskProblem` or `RegressionProblem`.
    target_mask
        The mask to compare with, entries 0 and 1, shape (n_features,). Without it the theorems on the
        distance to a target do not apply.
    solution
        A `Solution` or a vector in the box.
    **given
        Further data and limits: see `Case`.
    """
    case = Case(problem, target_mask, solution, **given)
    return [theorem.examine(case) for theorem in ALL]


__all__ = [
    "ALL",
    "T1",
    "T2",
    "T3",
    "T4",
    "T5",
    "T6",
    "T7",
    "T8",
    "T9",
    "T10",
    "T11",
    "T12",
    "T13",
    "T14",
    "T15",
    "T16",
    "T17",
    "T18",
    "T19",
    "Case",
    "EffectivePenalty",
    "Hypothesis",
    "Theorem",
    "Verdict",
    "check_all",
]
