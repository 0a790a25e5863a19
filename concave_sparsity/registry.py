"""Things known by name: built in, registered by a decorator, brought by a package, or by import path."""

from __future__ import annotations

import difflib
import importlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

#: Entry points lie in groups of this name and the registry's, e.g. "concave_sparsity.methods".
GROUP = "concave_sparsity"

_FORM = re.compile(r"^\s*([A-Za-z][\w-]*)\s*(?:\((.*)\))?\s*$", re.DOTALL)


class Registry:
    """Things of one kind by their names; capitals and underscores are forgiven.

    Parameters
    ----------
    singular, plural : str
        What the things are called, e.g. "method" and "methods".
    built_in : callable
        Returns what comes along, by name: things, or "package.module:object" of them. Called when it is first
        needed.
    beside : str
        What may be given instead of a name, for the message of an unknown one.
    """

    def __init__(
        self, singular: str, plural: str, built_in: Callable[[], Mapping[str, Any]], beside: str = ""
    ) -> None:
        self.singular = singular
        self.plural = plural
        self._built_in = cache(built_in)
        self._registered: dict[str, Any] = {}
        self._beside = beside or "'package.module:object'"

    def names(self) -> tuple[str, ...]:
        """Return all names, those that come along first, each part in its own order."""
        return tuple(dict.fromkeys((*self._built_in(), *self._registered, *sorted(self._brought()))))

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and key(name) in self.names()

    def find(self, name: str) -> Any:
        """Return what has this name, or what "package.module:object" names.

        Raises
        ------
        ValueError
            If there is nothing of this name; the nearest one is suggested.
        """
        if is_import_path(name):
            return import_object(name)
        wanted = key(name)
        for known in (self._built_in(), self._registered):
            if wanted in known:
                found = known[wanted]
                return import_object(found) if isinstance(found, str) else found
        if wanted in (brought := self._brought()):
            return brought[wanted].load()
        raise ValueError(self.unknown(name))

    def entry(self, name: str) -> Any:
        """Return what is held under a name, not imported: a thing, the path of one, or None."""
        wanted = key(name)
        return self._built_in().get(wanted, self._registered.get(wanted))

    def is_local(self, name: str) -> bool:
        """Tell whether a thing is known in this process alone, by `register`."""
        return key(name) in self._registered

    def unknown(self, name: str) -> str:
        """Return the sentence about a name that nothing has."""
        names = self.names()
        near = difflib.get_close_matches(key(name), names, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        return (
            f"unknown {self.singular} {name!r}{hint}; the {self.plural} are {', '.join(names)}, or give "
            f"{self._beside}"
        )

    def register(self, name: str, thing: Any = None) -> Any:
        """Make a thing known by a name, directly or as a decorator; return it.

        A function or class defined anew, as by a notebook's cell run again, takes its old place.

        Raises
        ------
        ValueError
            If the name is no name, or something else has it.
        """
        if thing is None:
            return lambda made: self.register(name, made)
        wanted = key(name)
        if not re.fullmatch(r"[a-z][a-z0-9-]*", wanted):
            raise ValueError(f"a name is made of letters, digits and hyphens, got {name!r}")
        earlier = self._registered.get(wanted, thing)
        if wanted in self._built_in() or (earlier is not thing and _origin(earlier) != _origin(thing)):
            raise ValueError(f"there is a {self.singular} {wanted!r} already; give yours another name")
        self._registered[wanted] = thing
        return thing

    def forget(self, name: str) -> None:
        """Take back what `register` did."""
        self._registered.pop(key(name), None)

    def _brought(self) -> Mapping[str, EntryPoint]:
        return _entry_points(f"{GROUP}.{self.plural.replace(' ', '_')}")


def _origin(thing: Any) -> Any:
    """Return where a function or class is defined; of another thing, the thing."""
    name = getattr(thing, "__qualname__", "<lambda>")
    return thing if name.endswith("<lambda>") else (thing.__module__, name)


@cache
def _entry_points(group: str) -> Mapping[str, EntryPoint]:
    return {key(point.name): point for point in entry_points(group=group)}


def key(name: str) -> str:
    """Return a name as the registries write it: lower case, words joined by hyphens."""
    return name.strip().lower().replace("_", "-")


def is_import_path(spec: str) -> bool:
    """Tell whether `spec` has the form "package.module:name"."""
    module, colon, name = spec.partition(":")
    return bool(colon) and all(part.isidentifier() for part in (*module.split("."), *name.split(".")))


def import_object(spec: str) -> Any:
    """Return the object that "package.module:name" names; modules of the working folder are found too.

    Raises
    ------
    ValueError
        If the module cannot be found or has no such name. An error raised inside the module comes through.
    """
    if not is_import_path(spec):
        raise ValueError(f"{spec!r} must have the form 'package.module:name'")
    module_name, _, name = spec.partition(":")
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)  # last, so that nothing installed is hidden
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not (module_name + ".").startswith(error.name + "."):
            raise
        raise ValueError(
            f"there is no module {error.name!r} for {spec!r}; looked in {here} and installed packages"
        ) from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise ValueError(f"module {module_name!r} has no {name!r}")
        found = getattr(found, part)
    return found


def parse_call(text: str, noun: str, example: str) -> tuple[str, list[str], dict[str, str]]:
    """Read a name with settings in brackets: "log(0.02)", "regression(huber, metric=r2)".

    Parameters
    ----------
    text : str
        ``name``, ``name(value, ...)`` or ``name(setting=value, ...)``.
    noun, example : str
        For the message, e.g. "a penalty" and "log(0.02)".

    Returns
    -------
    name, values, named : str, list of str, dict of str to str

    Raises
    ------
    ValueError
        If it has another form.
    """
    match = _FORM.match(text)
    if match is None:
        raise ValueError(f"{noun} is written like {example}, got {text!r}")
    values: list[str] = []
    named: dict[str, str] = {}
    for part in filter(None, (p.strip() for p in (match[2] or "").split(","))):
        name, equals, value = part.rpartition("=")
        if equals:
            named[name.strip()] = value.strip()
        else:
            values.append(value.strip())
    return match[1], values, named
