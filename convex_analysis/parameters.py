"""Declarative checks of what estimators and solvers are given: one rule or more for each parameter."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np


class Rule(ABC):
    """One kind of value that a parameter may have; ``str(rule)`` continues "alpha must be ..."."""

    @abstractmethod
    def fits(self, value: Any) -> bool:
        """Whether the value is of the right type."""

    def allows(self, value: Any) -> bool:
        """Whether a value of the right type lies where it may."""
        return True


@dataclass(frozen=True)
class Number(Rule):
    """A finite real number, or an integer, at least ``low`` (or above it, if ``above``), at most ``high``."""

    low: float = -np.inf
    high: float = np.inf
    above: bool = False
    integer: bool = False

    def fits(self, value: Any) -> bool:
        """Whether it is a number, and not a bool."""
        return isinstance(value, Integral if self.integer else Real) and not isinstance(
            value, bool | np.bool_
        )

    def allows(self, value: Any) -> bool:
        """Whether it is finite and in range."""
        inside = self.low < value if self.above else self.low <= value
        return bool(np.isfinite(value)) and inside and bool(value <= self.high)

    def __str__(self) -> str:
        kind = "an integer" if self.integer else "a finite number"
        limits = []
        if self.low > -np.inf:
            limits.append(f"{'above' if self.above else 'at least'} {self.low:g}")
        if self.high < np.inf:
            limits.append(f"at most {self.high:g}")
        return " ".join([kind, " and ".join(limits)]).strip()


@dataclass(frozen=True)
class Word(Rule):
    """One of some words; any word if there are none to choose from (what it means is checked later)."""

    words: tuple[str, ...] = ()

    def fits(self, value: Any) -> bool:
        """Whether it is a string."""
        return isinstance(value, str)

    def allows(self, value: Any) -> bool:
        """Whether it is one of the words."""
        return not self.words or value in self.words

    def __str__(self) -> str:
        return "one of " + ", ".join(repr(word) for word in self.words) if self.words else "a name"


@dataclass(frozen=True)
class Kind(Rule):
    """An instance of one of some types; ``text`` says it for people."""

    types: tuple[type, ...]
    text: str

    def fits(self, value: Any) -> bool:
        """Whether it is an instance."""
        return isinstance(value, self.types)

    def __str__(self) -> str:
        return self.text


class Flag(Rule):
    """True or False."""

    def fits(self, value: Any) -> bool:
        """Whether it is a bool."""
        return isinstance(value, bool | np.bool_)

    def __str__(self) -> str:
        return "True or False"


class Nothing(Rule):
    """None."""

    def fits(self, value: Any) -> bool:
        """Whether it is None."""
        return value is None

    def __str__(self) -> str:
        return "None"


class Function(Rule):
    """Something that can be called, other than a class."""

    def fits(self, value: Any) -> bool:
        """Whether it can be called and is no class."""
        return callable(value) and not isinstance(value, type)

    def __str__(self) -> str:
        return "a function"


class Folds(Rule):
    """A splitter, or pairs of indices: what scikit-learn takes as ``cv`` beside a number."""

    def fits(self, value: Any) -> bool:
        """Whether it splits or can be gone through."""
        return not isinstance(value, str) and (hasattr(value, "split") or hasattr(value, "__iter__"))

    def __str__(self) -> str:
        return "a scikit-learn splitter or pairs of indices"


class Vector(Rule):
    """A sequence of numbers in one dimension; its length and its entries are checked later."""

    def fits(self, value: Any) -> bool:
        """Whether numpy makes a vector of real numbers of it."""
        array = numeric_array(value)
        return array is not None and array.ndim == 1

    def __str__(self) -> str:
        return "a vector of numbers"


class Numbers(Rule):
    """A number or a sequence of numbers (infinite ones too); its length is checked against X later."""

    def fits(self, value: Any) -> bool:
        """Whether numpy makes numbers of it, in one dimension at most."""
        array = numeric_array(value)
        return array is not None and array.ndim <= 1

    def allows(self, value: Any) -> bool:
        """Whether it holds no NaN."""
        return not np.isnan(np.asarray(value, dtype=np.float64)).any()

    def __str__(self) -> str:
        return "a number, or one number a feature"


def numeric_array(value: Any) -> np.ndarray[Any, Any] | None:
    """Return a number or a sequence of numbers as an array, None if it is neither."""
    if value is None or isinstance(value, bool | str):
        return None
    try:
        array = np.asarray(value)
    except (ValueError, TypeError):  # sequences of unequal length, or objects that refuse
        return None
    return array if array.dtype.kind in "fiu" else None


def check_parameters(owner: str, values: Mapping[str, Any], rules: Mapping[str, tuple[Rule, ...]]) -> None:
    """Check each parameter against its rules; one that fits suffices.

    Parameters
    ----------
    owner
        Name of the estimator or function, for the message.
    values
        Parameters by name; each must have rules.
    rules
        Rules by name.

    Raises
    ------
    TypeError
        If a value is of no type that its rules name.
    ValueError
        If it is of the right type, but not allowed.
    """
    for name, value in values.items():
        fitting = [rule for rule in rules[name] if rule.fits(value)]
        if any(rule.allows(value) for rule in fitting):
            continue
        wanted = ", or ".join(str(rule) for rule in rules[name])
        message = f"{name} of {owner} must be {wanted}; got {value!r}."
        raise ValueError(message) if fitting else TypeError(message)
