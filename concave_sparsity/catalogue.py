"""Penalties by name, for command lines and files."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from concave_sparsity.families.arctan import Arctan
from concave_sparsity.families.capped_l1 import CappedL1
from concave_sparsity.families.exponential import Exponential
from concave_sparsity.families.fraction import Fraction
from concave_sparsity.families.l1 import L1
from concave_sparsity.families.log import Log
from concave_sparsity.families.lq import Lq
from concave_sparsity.families.mcp import MCP
from concave_sparsity.families.scad import SCAD
from concave_sparsity.penalty import Penalty

PENALTIES: Mapping[str, type[Penalty]] = MappingProxyType(
    {cls.name: cls for cls in (L1, Log, Lq, MCP, SCAD, CappedL1, Exponential, Arctan, Fraction)}
)


def penalty_from_name(name: str, **parameters: Any) -> Penalty:
    """Return the penalty of that name, for example ``penalty_from_name("log", eps=0.1)``.

    Raises
    ------
    ValueError
        If no penalty has that name, or a parameter is wrong.
    TypeError
        If the penalty has no such parameter.
    """
    if name not in PENALTIES:
        raise ValueError(f"unknown penalty {name!r}; the penalties are {', '.join(PENALTIES)}")
    cls: Any = PENALTIES[name]
    known = [field.name for field in dataclasses.fields(cls)]
    for parameter in parameters:
        if parameter not in known:
            raise TypeError(
                f"penalty {name!r} has no parameter {parameter!r}; it takes {', '.join(known) or 'none'}"
            )
    penalty: Penalty = cls(**parameters)
    return penalty
