"""Narrower networks: the number of units of every hidden layer times a factor."""

from __future__ import annotations


def scaled(units: int, width: float, multiple: int = 1) -> int:
    """Return units * width, rounded to a multiple of `multiple`, and at least that.

    Raises
    ------
    ValueError
        If the width is not positive.
    """
    if not width > 0:
        raise ValueError(f"width must be positive, got {width!r}")
    return max(1, round(units * width / multiple)) * multiple
