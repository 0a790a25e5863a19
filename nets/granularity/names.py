"""The names of granularities: "weight", "2:4", "channel", "channel:flops", blocks. It imports no torch."""

from __future__ import annotations

import re
from typing import TypeVar

from concave_sparsity.registry import is_import_path, key
from nets import registry

Density = TypeVar("Density")

#: Kinds, as methods declare them.
KINDS = ("weight", "n:m", "block", "channel")

#: What the density of whole units is a share of, after a colon: "channel" is "channel:weights".
BUDGETS = ("weights", "flops")


def granularity_name(text: str) -> str:
    """Return the name in its one spelling: "weight", "channel", "channel:flops", or "2:4" without spaces.

    Blocks have a name of `nets.registry.granularities`, or "package.module:function".

    Raises
    ------
    ValueError
        If it is none.
    """
    name = "".join(text.lower().split())
    if name in ("weight", "channel", "channel:flops"):
        return name
    if name == "channel:weights":
        return "channel"
    if is_import_path(own := text.strip()) and not own.startswith(("weight:", "channel:")):
        return own
    if name in registry.granularities:
        return key(name)
    match = re.fullmatch(r"(\d+):(\d+)", name)
    if match is None:
        raise ValueError(
            f'granularity must be "weight", "channel", "channel:flops", N:M such as "2:4", blocks '
            f"({', '.join(registry.granularities)}) or 'package.module:function' of them, got {text!r}"
        )
    n, m = int(match[1]), int(match[2])
    if not 1 <= n < m:
        raise ValueError(f"granularity N:M keeps N of M weights, so it needs 1 <= N < M, got {text!r}")
    return f"{n}:{m}"


def granularity_kind(name: str) -> str:
    """Return which of `KINDS` a name is of; "head", which `nets.prune` alone takes, is its own."""
    if name in ("weight", "channel", "channel:flops", "head"):
        return name.partition(":")[0]
    return "block" if n_and_m(name) is None else "n:m"


def n_and_m(name: str) -> tuple[int, int] | None:
    """Return (N, M) of a name N:M, None of another."""
    n, _, m = name.partition(":")
    return (int(n), int(m)) if m.isdigit() else None


def prunes_units(name: object) -> bool:
    """Tell whether whole units share a mask entry; `name` is a granularity, or something else."""
    return isinstance(name, str) and granularity_kind(name) == "channel"


def budget_of(name: str) -> str:
    """Return which of `BUDGETS` the density of a granularity is a share of."""
    return "flops" if name.endswith(":flops") else "weights"


def with_budget(text: str, granularity: str = "weight") -> tuple[str, float]:
    """Return granularity and density of a budget such as "flops:0.3" or "weights:0.1".

    Parameters
    ----------
    text : str
        What is counted, a colon, and the share of it to keep: "flops" counts the operations of the masked
        layers in one inference, and prunes whole units; "weights" (or "parameters") counts masked weights.
    granularity : str
        The granularity asked for besides.

    Raises
    ------
    ValueError
        If it is no budget, or operations are to be saved by single weights.
    """
    what, colon, share = "".join(str(text).lower().split()).partition(":")
    what = {"parameters": "weights"}.get(what, what)
    try:
        density = float(share)
    except ValueError:
        density = 0.0
    if not colon or what not in BUDGETS or not 0 < density <= 1:
        raise ValueError(
            f'budget must be "flops:SHARE" or "weights:SHARE" with a share in (0, 1], e.g. "flops:0.3", got '
            f"{text!r}"
        )
    granularity = granularity_name(granularity)
    if what == "weights":
        return granularity, density
    if granularity not in ("weight", "channel", "channel:flops"):
        raise ValueError(
            f"a budget of operations prunes whole units, not {granularity}: leave granularity out"
        )
    return "channel:flops", density


def density_under(name: str, density: Density) -> Density | float:
    """Return the density that a ticket of this granularity is asked for: N / M for N:M, else `density`."""
    pair = n_and_m(name)
    return density if pair is None else pair[0] / pair[1]
