"""The methods known by name: every module of this folder that defines `METHOD`."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from functools import cache
from pathlib import Path

from nets.methods.method import Method

#: Modules of this folder that are not methods.
MACHINERY = ("method", "registry")


def method_names() -> tuple[str, ...]:
    """Return the names of all methods, in alphabetical order."""
    folder = str(Path(__file__).parent)
    modules = (m.name for m in pkgutil.iter_modules([folder]) if m.name not in MACHINERY)
    return tuple(sorted(name.replace("_", "-") for name in modules))


@cache
def _load(name: str) -> Method:
    found = importlib.import_module(f"nets.methods.{name.replace('-', '_')}").METHOD
    assert isinstance(found, Method)
    assert found.name == name, f"{found.name} lies in the file of {name}"
    return found


def method(name: str | Method) -> Method:
    """Return the named method; a Method is returned as it is.

    Raises
    ------
    ValueError
        If the name is unknown; the nearest one is suggested.
    """
    if isinstance(name, Method):
        return name
    key = name.strip().lower().replace("_", "-")
    names = method_names()
    if key not in names:
        near = difflib.get_close_matches(key, names, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(f"unknown method {name!r}{hint}; the methods are {', '.join(names)}")
    return _load(key)


def methods() -> tuple[Method, ...]:
    """Return all methods, in alphabetical order."""
    return tuple(_load(name) for name in method_names())
