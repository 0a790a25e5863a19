"""The shape that all theorems share."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from convex_analysis.theorems.case import Case
from convex_analysis.theorems.verdict import Hypothesis, Verdict


class Theorem(ABC):
    """A theorem of docs/theory.md that checks its hypotheses, evaluates its bound and measures the truth.

    Attributes
    ----------
    name, title, statement
        "T4", a title, and one sentence.
    quantity, formula
        What is bounded, and by which formula.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    statement: ClassVar[str]
    quantity: ClassVar[str] = ""
    formula: ClassVar[str] = ""
    needs_target: ClassVar[bool] = True
    needs_unit_box: ClassVar[bool] = True
    needs_concave_penalty: ClassVar[bool] = True

    @property
    def reference(self) -> str:
        """Where the statement and its proof are."""
        return f"docs/theory.md#{self.name.lower()}"

    def check(self, problem: Any, target_mask: Any = None, solution: Any = None, **given: Any) -> Verdict:
        """Evaluate the theorem on given data.

        Parameters
        ----------
        problem
            A `MaskProblem` or `RegressionProblem`.
        target_mask
            The mask to compare with, entries 0 and 1, shape (n_features,).
        solution
            A `Solution` or a vector in the box; without one the bound is evaluated and nothing measured.
        **given
            Further data and limits: see `Case`.

        Returns
        -------
        Verdict
        """
        return self.examine(Case(problem, target_mask, solution, **given))

    def hypotheses(
        self, problem: Any, target_mask: Any = None, solution: Any = None, **given: Any
    ) -> list[Hypothesis]:
        """Return the hypotheses, each with what was measured and what is needed."""
        return list(self.check(problem, target_mask, solution, **given).hypotheses)

    def bound(self, problem: Any, target_mask: Any = None, solution: Any = None, **given: Any) -> float:
        """Return the bound; nan where it cannot be evaluated."""
        return self.check(problem, target_mask, solution, **given).bound

    def examine(self, case: Case) -> Verdict:
        """Evaluate the theorem on a `Case`, whose constants other theorems may share."""
        shape = list(self._shape(case))
        if not all(hypothesis.holds for hypothesis in shape):
            return self._verdict(shape)
        return self._examine(case, [*shape, *self._penalty(case)])

    @abstractmethod
    def _examine(self, case: Case, hypotheses: list[Hypothesis]) -> Verdict:
        """Evaluate; ``hypotheses`` holds those already checked."""

    def _shape(self, case: Case) -> Iterable[Hypothesis]:
        """Yield what must hold for anything to be evaluated."""
        if self.needs_target and case.target is None:
            yield Hypothesis.missing("target mask")
        if self.needs_unit_box:
            problem = case.problem
            off = np.abs(problem.lower) + np.abs(problem.upper - 1.0) + np.abs(problem.penalty_factor - 1.0)
            yield Hypothesis.at_most(
                "distance of the box from [0, 1]^d and of the penalty factors from 1", off.max(), 0.0
            )

    def _penalty(self, case: Case) -> Iterable[Hypothesis]:
        if self.needs_concave_penalty:
            violation = case.penalty.violation_of_axioms
            yield Hypothesis.at_most("violation of: r concave, nondecreasing, r(0) = 0", violation, 0.0)

    def _verdict(self, hypotheses: Iterable[Hypothesis], **parts: Any) -> Verdict:
        """Build the verdict; the conclusion is ``measured <= bound + tolerance`` unless given."""
        bound, measured = parts.get("bound", math.nan), parts.get("measured", math.nan)
        if "conclusion" not in parts and not (math.isnan(bound) or math.isnan(measured)):
            parts.setdefault("tolerance", 1e-12 * abs(bound) if math.isfinite(bound) else 0.0)
            parts["conclusion"] = measured <= bound + parts["tolerance"]
        if parts.get("conclusion") is not None:
            parts["conclusion"] = bool(parts["conclusion"])
        for key in ("bound", "measured", "tolerance"):
            if key in parts:
                parts[key] = float(parts[key])
        parts.setdefault("formula", self.formula)
        parts.setdefault("quantity", self.quantity)
        return Verdict(
            theorem=self.name,
            title=self.title,
            statement=self.statement,
            hypotheses=tuple(hypotheses),
            reference=self.reference,
            **parts,
        )

    def __repr__(self) -> str:
        return f"<{self.name}: {self.title}>"


def no_worse_than_target(case: Case) -> Hypothesis:
    """Return the hypothesis F(m) <= F(target), up to the solver's certificate (T2, T10, T13, T15)."""
    return Hypothesis.at_most("F(m) - F(target)", case.excess, case.allowed_excess)
