"""Theorems that run: each checks its hypotheses on given data, evaluates its bound and measures the truth.

``T4.check(problem, target_mask, solution)`` returns a `Verdict`; `check_all` returns one a theorem.
Statements and proofs: docs/theory.md. A new theorem is one file of this folder that defines a `Theorem` with
a name of its own ("T30"): it is found, numbered and exported by itself.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Any

from convex_analysis.theorems.case import Case
from convex_analysis.theorems.effective_penalty import EffectivePenalty
from convex_analysis.theorems.theorem import Theorem
from convex_analysis.theorems.verdict import Hypotheses, Hypothesis, Verdict


def _found() -> dict[str, Theorem]:
    """Return the theorems of this folder's files by name, in the order of their numbers."""
    found: dict[str, Theorem] = {}
    for file in pkgutil.iter_modules(__path__, f"{__name__}."):
        for kind in vars(importlib.import_module(file.name)).values():
            if not (inspect.isclass(kind) and issubclass(kind, Theorem) and "name" in vars(kind)):
                continue
            if type(known := found.setdefault(kind.name, kind())) is not kind:
                raise TypeError(
                    f"two theorems are called {kind.name}: {type(known).__name__}, {kind.__name__}"
                )
    return dict(sorted(found.items(), key=lambda item: int(item[0].removeprefix("T"))))


_BY_NAME = _found()

ALL: tuple[Theorem, ...] = tuple(_BY_NAME.values())
"""All theorems, in the order of docs/theory.md."""


def __getattr__(name: str) -> Theorem:
    """Return a theorem by its name, as in ``theorems.T4``."""
    try:
        return _BY_NAME[name]
    except KeyError:
        raise AttributeError(
            f"module {__name__!r} has no attribute {name!r}; its theorems are {', '.join(_BY_NAME)}"
        ) from None


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


__all__ = ["ALL", "Case", "EffectivePenalty", "Hypotheses", "Hypothesis", "Theorem", "Verdict", "check_all"]
__all__ += [*_BY_NAME]
