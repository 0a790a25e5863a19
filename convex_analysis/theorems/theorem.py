"""The shape that all theorems share."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from convex_analysis.constants import Constant
from convex_analysis.theorems.case import Case
from convex_analysis.theorems.verdict import Hypotheses, Hypothesis, Unmet, Verdict


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
    knows_groups: ClassVar[bool] = False

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
        hypotheses = Hypotheses()
        try:
            self._require_shape(case, hypotheses)
            return self._examine(case, hypotheses)
        except Unmet:
            return self._verdict(hypotheses)

    @abstractmethod
    def _examine(self, case: Case, hypotheses: Hypotheses) -> Verdict:
        """Evaluate, with `Hypotheses.require` for what must hold for that; some were looked at already."""

    def _require_shape(self, case: Case, hypotheses: Hypotheses) -> None:
        if case.problem.group is not None and not self.knows_groups:
            single = "a penalty of single entries (a MaskProblem with groups has one entry a group)"
            hypotheses.require(Hypothesis.true(single, False))
        if self.needs_target and case.target is None:
            hypotheses.require(Hypothesis.given("target mask", None))
        if self.needs_unit_box:
            problem = case.problem
            off = np.abs(problem.lower) + np.abs(problem.upper - 1.0) + np.abs(problem.penalty_factor - 1.0)
            hypotheses.require(
                Hypothesis.at_most(
                    "distance of the box from [0, 1]^d and of the penalty factors from 1", off.max(), 0.0
                )
            )
        if self.needs_concave_penalty:
            violation = case.penalty.violation_of_axioms
            hypotheses.append(
                Hypothesis.at_most("violation of: r concave, nondecreasing, r(0) = 0", violation, 0.0)
            )

    def _verdict(
        self,
        hypotheses: Iterable[Hypothesis],
        *,
        bound: float = math.nan,
        measured: float = math.nan,
        tolerance: float | None = None,
        conclusion: bool | None = None,
        unknown: bool = False,
        formula: str = "",
        quantity: str = "",
        constants: Mapping[str, Constant] = MappingProxyType({}),
        quantities: Mapping[str, float] = MappingProxyType({}),
        remark: str = "",
    ) -> Verdict:
        """Build the verdict.

        The conclusion is ``measured <= bound + tolerance`` unless given, or ``unknown`` although both are.
        """
        if conclusion is None and not (unknown or math.isnan(bound) or math.isnan(measured)):
            if tolerance is None:
                tolerance = 1e-12 * abs(bound) if math.isfinite(bound) else 0.0
            conclusion = measured <= bound + tolerance
        return Verdict(
            theorem=self.name,
            title=self.title,
            statement=self.statement,
            hypotheses=tuple(hypotheses),
            formula=formula or self.formula,
            quantity=quantity or self.quantity,
            bound=float(bound),
            measured=float(measured),
            tolerance=float(tolerance or 0.0),
            constants=constants,
            quantities=quantities,
            conclusion=None if conclusion is None else bool(conclusion),
            reference=self.reference,
            remark=remark,
        )

    def __repr__(self) -> str:
        return f"<{self.name}: {self.title}>"


def few_features(case: Case) -> Hypothesis:
    """Return the hypothesis that the quadratic program is small enough to be solved (T10, T15, T19)."""
    return Hypothesis.at_most(
        "number of features (limit of the quadratic program)", case.problem.n_features, case.quadratic_limit
    )


def no_worse_than_target(case: Case) -> Hypothesis:
    """Return the hypothesis F(m) <= F(target), up to the solver's certificate (T2, T10, T13, T15)."""
    return Hypothesis.at_most("F(m) - F(target)", case.excess, case.allowed_excess)
