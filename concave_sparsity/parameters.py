"""What a penalty's parameters may be, and the sentence a user reads when one is wrong."""

from __future__ import annotations

import math
import numbers
from typing import Any

# Beyond these a parameter would overflow or vanish in single precision, where masks usually live.
SMALLEST, LARGEST = 1e-30, 1e30


def real_number(value: object, what: str) -> float:
    """Return value as a Python float.

    Raises
    ------
    TypeError
        If value is not a real number (a string, a bool, an array, None, ...).
    ValueError
        If it is NaN or infinite.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{what} must be a real number, got {value!r}")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{what} must be finite, got {number}")
    return number


def within(value: object, what: str, low: float, high: float, *, open_ends: bool = False) -> float:
    """Return value as a float in [low, high], or in (low, high) with ``open_ends``; else raise a sentence."""
    number = real_number(value, what)
    if open_ends:
        if not low < number < high:
            raise ValueError(f"{what} must lie strictly between {low:g} and {high:g}, got {number:g}")
    elif not low <= number <= high:
        raise ValueError(f"{what} must lie between {low:g} and {high:g}, got {number:g}")
    return number


def positive(value: object, what: str) -> float:
    """Return value as a float that is positive and has a place in single precision; else raise a sentence."""
    number = real_number(value, what)
    if number <= 0:
        raise ValueError(f"{what} must be positive, got {number:g}")
    return within(number, what, SMALLEST, LARGEST)


def store(penalty: Any, **values: float) -> None:
    """Set checked values on a frozen dataclass, from its ``__post_init__``."""
    for name, value in values.items():
        object.__setattr__(penalty, name, value)
