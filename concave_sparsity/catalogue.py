"""Penalties by name, for command lines and files."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
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
from concave_sparsity.penalty import Penalty, Scaled

#: The families by name: "l1", "log", "lq", "mcp", "scad", "capped-l1", "exponential", "arctan", "fraction".
PENALTIES: Mapping[str, type[Penalty]] = MappingProxyType(
    {cls.name: cls for cls in (L1, Log, Lq, MCP, SCAD, CappedL1, Exponential, Arctan, Fraction)}
)


def penalty_from_name(name: str, **parameters: Any) -> Penalty:
    """Return the penalty of that name, for example ``penalty_from_name("log", eps=0.1)``.

    Parameters
    ----------
    name : str
        A key of `PENALTIES`.
    **parameters : float
        The parameters of that family; those left out have their defaults.

    Raises
    ------
    ValueError
        If no penalty has that name, or a parameter is out of its range.
    TypeError
        If the penalty has no such parameter, or a parameter is not a number.
    """
    return _make(PENALTIES, name, parameters)


def penalty_from_dict(description: Mapping[str, Any], own: Iterable[type[Penalty]] = ()) -> Penalty:
    """Return the penalty that `Penalty.to_dict` described.

    Parameters
    ----------
    description : mapping
        ``{"name": str, "parameters": {str: float}}``, as read from a JSON or TOML file. Names are looked up,
        never imported or executed.
    own : iterable of Penalty subclasses
        A user's own dataclass penalties that the description may name.

    Raises
    ------
    ValueError
        If the description has another form, names no known penalty, or a parameter is out of its range.
    TypeError
        If the penalty has no such parameter, or a parameter is not a number.
    """
    if not isinstance(description, Mapping) or not {"name"} <= set(description) <= {"name", "parameters"}:
        raise ValueError(
            'a penalty is described by {"name": ..., "parameters": {...}}, got ' + repr(description)[:200]
        )
    name, parameters = description["name"], description.get("parameters", {})
    if not isinstance(parameters, Mapping) or not all(isinstance(key, str) for key in parameters):
        raise ValueError(f"the parameters of a penalty are named numbers, got {parameters!r:.200}")
    own = tuple(own)
    known: dict[str, type[Penalty]] = {**PENALTIES, Scaled.name: Scaled, **{cls.name: cls for cls in own}}
    values = {
        key: penalty_from_dict(value, own) if isinstance(value, Mapping) else value
        for key, value in parameters.items()
    }
    return _make(known, name, values)


def _make(known: Mapping[str, type[Penalty]], name: object, parameters: Mapping[str, Any]) -> Penalty:
    if not isinstance(name, str) or name not in known:
        raise ValueError(f"unknown penalty {name!r:.100}; the penalties are {', '.join(known)}")
    cls: Any = known[name]
    fields = [field.name for field in dataclasses.fields(cls) if field.init]
    for parameter in parameters:
        if parameter not in fields:
            raise TypeError(
                f"penalty {name!r} has no parameter {parameter!r:.99}; it takes {', '.join(fields) or 'none'}"
            )
    penalty: Penalty = cls(**parameters)
    return penalty
