"""Penalties as text, for files and command lines: "log(0.02)", "l1", "package.module:factory"."""

from __future__ import annotations

import dataclasses
import re

from concave_sparsity import PENALTIES, Penalty

_FORM = re.compile(r"^\s*([A-Za-z][\w-]*)\s*(?:\((.*)\))?\s*$")


def parse_penalty(text: str | Penalty) -> Penalty:
    """Return the penalty that a text names; a penalty is returned as it is.

    Parameters
    ----------
    text : str or Penalty
        ``name``, ``name(parameter, ...)`` or ``name(parameter=value, ...)`` with the parameters of the class,
        or "package.module:factory" for a penalty of the user's own.

    Raises
    ------
    ValueError
        If the name is unknown or a parameter is not right.
    """
    if isinstance(text, Penalty):
        return text
    if ":" in text:
        from nets.registry import import_object

        made = import_object(text)
        made = made if isinstance(made, Penalty) else made()
        if not isinstance(made, Penalty):
            raise ValueError(f"{text!r} is a {type(made).__name__}, not a Penalty")
        return made
    match = _FORM.match(text)
    if match is None:
        raise ValueError(f"a penalty is written like log(0.02) or l1, got {text!r}")
    name, inside = match[1], (match[2] or "").strip()
    positional: list[float] = []
    named: dict[str, float] = {}
    for part in filter(None, (p.strip() for p in inside.split(","))):
        key, equals, number = part.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            raise ValueError(f"the parameters of a penalty are numbers, got {part!r} in {text!r}") from None
        if equals:
            named[key.strip()] = value
        else:
            positional.append(value)
    if name.lower() not in PENALTIES:
        raise ValueError(f"unknown penalty {name!r}; the penalties are {', '.join(PENALTIES)}")
    kind = PENALTIES[name.lower()]
    known = [f.name for f in dataclasses.fields(kind)]  # type: ignore[arg-type]
    if len(positional) > len(known) or set(named) - set(known[len(positional) :]):
        raise ValueError(f"{name} takes {', '.join(known) or 'no parameter'}; got {text!r}")
    try:
        return kind(**dict(zip(known, positional)), **named)
    except TypeError:
        raise ValueError(f"{name} takes {', '.join(known)}; got {text!r}") from None


def penalty_text(penalty: Penalty) -> str:
    """Return the text of a penalty that `parse_penalty` reads back.

    Raises
    ------
    ValueError
        If the penalty has no such text: it is not one of the families of `concave_sparsity`.
    """
    if PENALTIES.get(penalty.name) is not type(penalty):
        raise ValueError(
            f"{penalty!r} has no name that a file could hold: give 'package.module:factory' instead, "
            "or pass the object to find_ticket"
        )
    values = [float(getattr(penalty, f.name)) for f in dataclasses.fields(penalty)]  # type: ignore[arg-type]
    texts = [f"{v:g}" if float(f"{v:g}") == v else repr(v) for v in values]
    return f"{penalty.name}({', '.join(texts)})" if texts else penalty.name
