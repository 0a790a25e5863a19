"""Penalties as text, for files and command lines: "log(0.02)", "l1", "package.module:factory"."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

from concave_sparsity.axioms import require_axioms
from concave_sparsity.catalogue import PENALTIES
from concave_sparsity.penalty import Penalty
from concave_sparsity.registry import Registry, import_object, is_import_path, parse_call

penalties = Registry("penalty", "penalties", lambda: PENALTIES, "a Penalty or 'package.module:factory'")


def parse_penalty(text: str | Penalty, **parameters: float) -> Penalty:
    """Return the penalty that a text names; a penalty is returned as it is.

    Parameters
    ----------
    text : str or Penalty
        ``name``, ``name(parameter, ...)`` or ``name(parameter=value, ...)`` with the parameters of the class,
        or "package.module:factory" for a penalty of the user's own.
    **parameters : float
        Further parameters of a penalty named by a text.

    Raises
    ------
    ValueError
        If the name is unknown or a parameter is not right, or a penalty of the user's own is not concave,
        nondecreasing and 0 at 0 on [0, 1].
    TypeError
        If it is neither a text nor a penalty.
    """
    penalty = _parsed(text, parameters)
    require_axioms(penalty, 1.0)
    return penalty


def _parsed(text: str | Penalty, parameters: dict[str, float]) -> Penalty:
    if isinstance(text, Penalty):
        return text
    if not isinstance(text, str):
        raise TypeError(
            f"penalty must be a Penalty or its name, such as Log(0.02) or 'log(0.02)', got {text!r}"
        )
    if is_import_path(text):
        made: Any = import_object(text)
        if isinstance(made, Penalty) and parameters:
            raise ValueError(f"{text!r} is a penalty with its parameters; it takes no others")
        try:
            made = made if isinstance(made, Penalty) else made(**parameters)
        except TypeError as reason:
            raise ValueError(f"{text!r} makes no penalty: {reason}") from None
        if not isinstance(made, Penalty):
            raise ValueError(f"{text!r} is a {type(made).__name__}, not a Penalty")
        return made
    name, values, settings = parse_call(text, "a penalty", "log(0.02), l1 or package.module:OBJECT")
    kind = penalties.find(name)
    positional = [_number(value, text) for value in values]
    named = {setting: _number(value, text) for setting, value in settings.items()} | parameters
    if isinstance(kind, Penalty):
        if positional or named:
            raise ValueError(f"{name} is a penalty with its parameters; it takes no others, got {text!r}")
        return kind
    if dataclasses.is_dataclass(kind):
        known = [f.name for f in dataclasses.fields(kind)]
    else:
        known = list(inspect.signature(kind).parameters)
    if len(positional) > len(known) or set(named) - set(known[len(positional) :]):
        beside = f" with {', '.join(parameters)}" if parameters else ""
        raise ValueError(f"{name} takes {', '.join(known) or 'no parameter'}; got {text!r}{beside}")
    try:
        made = kind(**dict(zip(known, positional)), **named)
    except TypeError:
        raise ValueError(f"{name} takes {', '.join(known)}; got {text!r}") from None
    if not isinstance(made, Penalty):
        raise ValueError(f"{name!r} is a {type(made).__name__}, not a Penalty")
    return made


def _number(text: str, whole: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"the parameters of a penalty are numbers, got {text!r} in {whole!r}") from None


def penalty_text(penalty: Penalty) -> str:
    """Return the text of a penalty that `parse_penalty` reads back.

    Raises
    ------
    ValueError
        If the penalty has no such text: it is not one of the families of `concave_sparsity`.
    """
    if penalties.entry(penalty.name) is not type(penalty):
        raise ValueError(
            f"{penalty!r} has no name that a file could hold: give 'package.module:factory' instead, "
            "or pass the object to find_ticket"
        )
    values = [float(getattr(penalty, f.name)) for f in dataclasses.fields(penalty)]  # type: ignore[arg-type]
    texts = [f"{v:g}" if float(f"{v:g}") == v else repr(v) for v in values]
    return f"{penalty.name}({', '.join(texts)})" if texts else penalty.name
