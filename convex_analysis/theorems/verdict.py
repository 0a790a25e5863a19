"""What a theorem says about given data: its hypotheses, its bound, the truth measured beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from convex_analysis.constants import Constant

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Hypothesis:
    """One hypothesis of a theorem, checked on given data.

    Attributes
    ----------
    name
        What is asked, in words or a formula.
    measured
        The figure found; nan where nothing could be measured.
    needed
        What it must be, as text with the figure, e.g. ``"> 0.25"``.
    holds
        Whether it is so.
    """

    name: str
    measured: float
    needed: str
    holds: bool

    @classmethod
    def at_most(cls, name: str, measured: float, limit: float) -> Hypothesis:
        """``measured <= limit``."""
        return cls(name, float(measured), f"<= {limit:.6g}", bool(measured <= limit))

    @classmethod
    def below(cls, name: str, measured: float, limit: float) -> Hypothesis:
        """``measured < limit``."""
        return cls(name, float(measured), f"< {limit:.6g}", bool(measured < limit))

    @classmethod
    def above(cls, name: str, measured: float, limit: float) -> Hypothesis:
        """``measured > limit``."""
        return cls(name, float(measured), f"> {limit:.6g}", bool(measured > limit))

    @classmethod
    def at_least(cls, name: str, measured: float, limit: float) -> Hypothesis:
        """``measured >= limit``."""
        return cls(name, float(measured), f">= {limit:.6g}", bool(measured >= limit))

    @classmethod
    def given(cls, name: str, value: object) -> Hypothesis:
        """Something that must be there: not None."""
        return cls(name, math.nan, "given", value is not None)

    @classmethod
    def true(cls, name: str, holds: bool) -> Hypothesis:
        """Something that is so or not, with no figure: measured is 1 or 0."""
        return cls(name, float(holds), "true", bool(holds))

    def explain(self) -> str:
        """Return one line: what is needed, what was found."""
        mark = f"[{'ok' if self.holds else 'NO'}] {self.name}"
        if self.needed == "true":
            return mark
        if self.needed == "given":
            return f"{mark}: {'given' if self.holds else 'not given'}"
        found = "nothing measured" if math.isnan(self.measured) else f"found {self.measured:.6g}"
        return f"{mark}: needed {self.needed}, {found}"

    @property
    def shortfall(self) -> str:
        """Why it does not hold, as a clause."""
        if self.needed == "true":
            return f"needs {self.name}"
        if self.needed == "given":
            return f"no {self.name} was given"
        found = "could not be measured" if math.isnan(self.measured) else f"is {self.measured:.4g}"
        return f"{self.name} must be {self.needed}, {found}"

    def to_dict(self) -> dict[str, Any]:
        """Return a dictionary that JSON can hold."""
        return {
            "name": self.name,
            "measured": json_safe(self.measured),
            "needed": self.needed,
            "holds": self.holds,
        }


class Unmet(Exception):
    """A hypothesis fails without which a theorem cannot be evaluated."""


class Hypotheses(list[Hypothesis]):
    """What is asked of the data, in the order in which it was looked at."""

    def require(self, *needed: Hypothesis) -> None:
        """Add hypotheses without which nothing can be evaluated, up to the first that fails.

        Raises
        ------
        Unmet
            Where one fails: the examination ends there.
        """
        for hypothesis in needed:
            self.append(hypothesis)
            if not hypothesis.holds:
                raise Unmet


@dataclass(frozen=True)
class Verdict:
    """A theorem evaluated on given data.

    Attributes
    ----------
    theorem, title, statement
        Name ("T4"), title and one-sentence statement.
    hypotheses
        Each with what was measured and what is needed.
    formula
        The bound as a formula.
    quantity
        What is measured and bounded, e.g. ``"||m - target||_2"``.
    bound
        The theorem's bound; nan if it could not be evaluated.
    measured
        The truth on the given point; nan if no point was given or nothing could be measured.
    tolerance
        By how much rounding in the evaluation may make ``measured`` exceed ``bound``.
    constants
        The constants that went in, each certified or an estimate.
    quantities
        Further figures, by name.
    conclusion
        Whether the conclusion is true on these data, be the hypotheses true or not; None if not measured.
    reference
        Where the proof is.
    remark
        A sentence on these data, or "".
    """

    theorem: str
    title: str
    statement: str
    hypotheses: tuple[Hypothesis, ...]
    formula: str = ""
    quantity: str = ""
    bound: float = math.nan
    measured: float = math.nan
    tolerance: float = 0.0
    constants: Mapping[str, Constant] = field(default_factory=dict)
    quantities: Mapping[str, float] = field(default_factory=dict)
    conclusion: bool | None = None
    reference: str = ""
    remark: str = ""

    @property
    def applies(self) -> bool:
        """Whether all hypotheses hold."""
        return all(hypothesis.holds for hypothesis in self.hypotheses)

    @property
    def holds(self) -> bool | None:
        """Whether the conclusion is true; None if the theorem does not apply or nothing was measured."""
        return self.conclusion if self.applies else None

    @property
    def certified(self) -> bool:
        """Whether every constant is certified, so that the bound is proved and not estimated."""
        return all(constant.certified for constant in self.constants.values())

    @property
    def margin(self) -> float:
        """``measured / bound``: 1 is tight, near 0 loose; nan if either is missing or both are rounding."""
        if math.isnan(self.bound) or math.isnan(self.measured):
            return math.nan
        if max(self.bound, self.measured) <= self.tolerance:
            return math.nan
        if self.bound == 0.0:
            return 0.0 if self.measured == 0.0 else math.inf
        return self.measured / self.bound

    @property
    def status(self) -> str:
        """Return "holds", "applies" (nothing to measure), "does not apply" or "FAILS"."""
        if not self.applies:
            return "does not apply"
        if self.conclusion is None:
            return "applies"
        return "holds" if self.conclusion else "FAILS"

    @property
    def finding(self) -> str:
        """What was found here, in a line: why it does not apply, or what was measured against the bound."""
        failed = [hypothesis for hypothesis in self.hypotheses if not hypothesis.holds]
        if failed:
            more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
            return failed[0].shortfall + more
        parts = []
        if not math.isnan(self.measured):
            limit = "" if math.isnan(self.bound) else f", bound {self.bound:.4g}"
            parts.append(f"{self.quantity}: {self.measured:.4g}{limit}")
        elif not math.isnan(self.bound):
            parts.append(f"{self.quantity}: at most {self.bound:.4g}")
        if self.conclusion is False:
            parts.append("a conclusion is false")
        if self.remark:
            parts.append(self.remark.rstrip("."))
        return ". ".join(parts) or "nothing to measure"

    def explain(self) -> str:
        """Return the verdict in plain sentences, with the formula and the figures."""
        lines = [f"{self.theorem} {self.title}: {self.status}.", self.statement]
        if self.hypotheses:
            lines += ["Hypotheses:", *(f"  {hypothesis.explain()}" for hypothesis in self.hypotheses)]
        failed = [hypothesis.shortfall for hypothesis in self.hypotheses if not hypothesis.holds]
        if failed:
            lines.append(f"It does not apply here: {'; '.join(failed)}.")
        if not math.isnan(self.bound):
            lines.append(f"Bound: {self.quantity} <= {self.formula} = {self.bound:.6g}.")
        if not math.isnan(self.measured):
            tail = f", which is {self.margin:.3g} of the bound" if not math.isnan(self.margin) else ""
            lines.append(f"Measured: {self.measured:.6g}{tail}.")
        if self.constants:
            lines += ["Constants:", *(f"  {name} = {constant}" for name, constant in self.constants.items())]
        if self.quantities:
            lines += ["Also:", *(f"  {name} = {value:.6g}" for name, value in self.quantities.items())]
        if self.remark:
            lines.append(self.remark)
        if self.reference:
            lines.append(f"Proof: {self.reference}")
        return "\n".join(lines)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw what was measured beside the bound.

        Parameters
        ----------
        ax
            Where to draw; new axes by default.
        """
        from convex_analysis.pictures import draw_verdict

        return draw_verdict(self, ax)

    def to_dict(self) -> dict[str, Any]:
        """Return a dictionary that JSON can hold (infinities as text, nan as None)."""
        return {
            "theorem": self.theorem,
            "title": self.title,
            "statement": self.statement,
            "status": self.status,
            "applies": self.applies,
            "holds": self.holds,
            "certified": self.certified,
            "conclusion": self.conclusion,
            "hypotheses": [hypothesis.to_dict() for hypothesis in self.hypotheses],
            "quantity": self.quantity,
            "formula": self.formula,
            "bound": json_safe(self.bound),
            "measured": json_safe(self.measured),
            "margin": json_safe(self.margin),
            "tolerance": json_safe(self.tolerance),
            "constants": {
                name: {**constant.to_dict(), "value": json_safe(constant.value)}
                for name, constant in self.constants.items()
            },
            "quantities": {name: json_safe(value) for name, value in self.quantities.items()},
            "remark": self.remark,
            "reference": self.reference,
        }


def json_safe(value: float) -> float | str | None:
    """Return a float that JSON can hold: None for nan, "inf" and "-inf" as text."""
    value = float(value)
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else ("inf" if value > 0 else "-inf")
