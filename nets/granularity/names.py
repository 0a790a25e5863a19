"""The names of granularities: "weight", "N:M" such as "2:4", "channel". This module imports no torch."""

from __future__ import annotations

import re
from typing import TypeVar

Density = TypeVar("Density")

#: Kinds, as methods declare them.
KINDS = ("weight", "n:m", "channel")


def granularity_name(text: str) -> str:
    """Return the name in its one spelling: "weight", "channel", or "2:4" without spaces or leading zeros.

    Raises
    ------
    ValueError
        If it is none.
    """
    name = text.strip().lower()
    if name in ("weight", "channel"):
        return name
    match = re.fullmatch(r"(\d+)\s*:\s*(\d+)", name)
    if match is None:
        raise ValueError(f'granularity must be "weight", "channel" or N:M such as "2:4", got {text!r}')
    n, m = int(match[1]), int(match[2])
    if not 1 <= n < m:
        raise ValueError(f"granularity N:M keeps N of M weights, so it needs 1 <= N < M, got {text!r}")
    return f"{n}:{m}"


def granularity_kind(name: str) -> str:
    """Return which of `KINDS` a name is of."""
    return "n:m" if ":" in name else name


def n_and_m(name: str) -> tuple[int, int] | None:
    """Return (N, M) of a name N:M, None of another."""
    n, colon, m = name.partition(":")
    return (int(n), int(m)) if colon else None


def density_under(name: str, density: Density) -> Density | float:
    """Return the density that a ticket of this granularity is asked for: N / M for N:M, else `density`."""
    pair = n_and_m(name)
    return density if pair is None else pair[0] / pair[1]
