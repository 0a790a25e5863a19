"""The canonical form of a run, its address, and the way back: equal runs have equal addresses.

The form holds the fields that say what is run, those equal to their defaults left out, and a version. Where a
run is computed (device, data folder) is not part of it. Its sha256 names the folder of the run.
"""

from __future__ import annotations

import hashlib
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import fields, replace
from functools import cache, lru_cache
from typing import Any, Union, get_args, get_origin

from nets import registry
from nets.configuration import Play

#: Raise it when a default of `Play` or what a field means changes; a test pins both. Where one
#: method changes, raise its own revision (`Method.revision`).
VERSION = 1

#: What a configuration describes.
KIND = "play"

#: Hexadecimal digits of an address: 128 bits of the sha256.
DIGITS = 32


def settled(play: Play) -> Play:
    """Return the play with everything that cannot matter at its default, so that equal runs compare equal.

    Names are written as the registries write them; the penalty of a method that takes none, the density of a
    method that always has the same or whose options decide it, options at their defaults and `search_epochs`
    equal to `epochs` go.

    Raises
    ------
    ValueError
        If method, penalty or an option is unknown, or the method cannot prune by the granularity.
    """
    from concave_sparsity.penalty_text import parse_penalty, penalty_text
    from nets.methods import method, method_text

    chosen = method(play.method)
    defaults = chosen.settle({})
    options = {name: v for name, v in chosen.settle(dict(play.options)).items() if v != defaults[name]}
    changes: dict[str, Any] = {"method": method_text(play.method), "options": tuple(sorted(options.items()))}
    if "penalty" not in chosen.needs:
        changes["penalty"] = _default("penalty")
    elif ":" not in play.penalty:
        changes["penalty"] = penalty_text(parse_penalty(play.penalty))
    if chosen.fixed_density is not None:
        changes["density"] = chosen.fixed_density
    if chosen.density_follows(chosen.settle(dict(play.options))):
        changes["density"] = _default("density")
    if chosen.fixed_density == 1.0:
        changes |= {"include": (), "exclude": (), "search_epochs": 0, "control": "", "granularity": "weight"}
    else:
        chosen.refuse(play.granularity)
    if play.search_epochs == play.epochs:
        changes["search_epochs"] = 0
    for name in ("data", "model", "task"):
        value = getattr(play, name)
        if not any(mark in value for mark in ":/"):
            changes[name] = value.strip().lower().replace("_", "-") if "(" not in value else value.strip()
    if changes.get("task") == "classification" and "data" in changes:
        changes["task"] = ""  # what data known by name are for anyway
    return replace(play, **changes)


def dense_of(play: Play) -> Play:
    """Return the run of the dense network that a play is compared with, one for all methods and densities.

    It is computed where the play is.
    """
    whole = replace(play, method="dense", density=1.0, granularity="weight", options=(), control="")
    return settled(replace(whole, rewind=0, search_epochs=0))


def canonical(play: Play) -> dict[str, Any]:
    """Return the canonical form: version, kind, revision of the method if any, fields not at their defaults.

    Raises
    ------
    TypeError
        If it is no play, or a field holds a value of another type than it declares.
    """
    if type(play) is not Play:
        raise TypeError(f"a run is a play, got {type(play).__name__}")
    play = settled(play)
    every = settings(play)
    changed = {name: every[name] for name in _compared() if every[name] != _plain(name, _default(name))}
    from nets.methods import method

    number = method(play.method).revision
    revised = {"revision": number} if number else {}
    return {"version": VERSION, "kind": KIND, **revised, **changed}


@lru_cache(maxsize=4096)
def canonical_text(play: Play) -> str:
    """Return the canonical form as JSON: keys sorted, no spaces, ASCII."""
    return json.dumps(
        canonical(play), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )


def address(play: Play) -> str:
    """Return the name of the run: the first 32 hexadecimal digits of the sha256 of its canonical text."""
    return digest(canonical_text(play))


def digest(text: str) -> str:
    """Return the address that belongs to a canonical text."""
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:DIGITS]


def settings(play: Play) -> dict[str, Any]:
    """Return every field as a plain value in the type it declares."""
    return {f.name: _plain(f.name, getattr(play, f.name)) for f in fields(play)}


def complete(play: Play) -> dict[str, Any]:
    """Return every field as a plain value, the method's options at their defaults among them.

    It is stored beside the canonical form, so that what a run did stays known when a default changes.
    """
    from nets.methods import method

    play = settled(play)
    options = method(play.method).settle(dict(play.options))
    return settings(replace(play, options=tuple(sorted(options.items()))))


def from_form(form: object) -> Play:
    """Return the play of a canonical form; whatever is not one is refused, and nothing is imported or run.

    Raises
    ------
    ValueError
        If the form has another version, names an unexpected class or field, or a field has a wrong value.
    """
    if not isinstance(form, Mapping):
        raise ValueError(f"a configuration is a JSON object, got {type(form).__name__}")
    version, kind = form.get("version"), form.get("kind")
    if version != VERSION or isinstance(version, bool):
        raise ValueError(f"this configuration has version {version!r}; this library reads version {VERSION}")
    if kind != KIND:
        raise ValueError(f"a configuration describes a {KIND}, got {kind!r}")
    given = {name: value for name, value in form.items() if name not in ("version", "kind", "revision")}
    play = play_of(given)
    require_revision(play.method, form.get("revision"))
    return play


def require_revision(method: str, revision: object) -> None:
    """Refuse what an earlier or later form of a method known by name computed; nothing is imported.

    Raises
    ------
    ValueError
        If the revision (None: the first) is not the present one.
    """
    if method not in registry.methods:
        return  # by import path: what it is now, only importing it would tell
    present = registry.revision(method)
    if revision != (present or None) or isinstance(revision, bool):
        raise ValueError(
            f"computed by revision {revision or 0!r} of method {method}; this library has revision {present}"
        )


def play_of(given: Mapping[str, Any]) -> Play:
    """Return the play with these fields, their types checked (whole numbers pass for floats).

    Raises
    ------
    ValueError
        If a field is unknown (the nearest is suggested) or has a value of another type.
    """
    known = _types()
    for name in given:
        if name not in known:
            import difflib

            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise ValueError(f"a play has no field {name!r}{hint}; it has {', '.join(known)}")
    try:
        return Play(**{name: _coerced(name, value, known[name]) for name, value in given.items()})
    except TypeError as error:
        raise ValueError(str(error)) from None


@cache
def _types() -> dict[str, Any]:
    hints = typing.get_type_hints(Play)
    return {f.name: hints[f.name] for f in fields(Play)}


@cache
def _compared() -> frozenset[str]:
    return frozenset(f.name for f in fields(Play) if f.compare)


@cache
def _defaults() -> dict[str, Any]:
    return {f.name: f.default for f in fields(Play)}


def _default(name: str) -> Any:
    return _defaults()[name]


def _plain(name: str, value: Any) -> Any:
    """Return a field's value as JSON holds it: tuples as lists, options as an object."""
    value = _coerced(name, value, _types()[name])
    if name == "options":
        return {key: _number(item) for key, item in value}
    return list(value) if isinstance(value, tuple) else value


def _number(value: Any) -> Any:
    """Return a whole float as an int: they compare equal, so they are written alike."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _coerced(name: str, value: Any, wanted: Any) -> Any:
    """Return the value in the declared type.

    Raises
    ------
    TypeError
        If it is not one.
    """
    origin, inside = get_origin(wanted), get_args(wanted)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in inside:
            return None
        for kind in (bool, int, float, str):
            if kind in inside and type(value) is kind:
                return value
    elif origin is tuple:
        if name == "options" and isinstance(value, Mapping):
            value = tuple(sorted(value.items()))
        if inside and inside[-1] is Ellipsis and isinstance(value, (list, tuple)):
            return tuple(_coerced(name, item, inside[0]) for item in value)
        if isinstance(value, (list, tuple)) and len(value) == len(inside):
            return tuple(_coerced(name, item, kind) for item, kind in zip(value, inside))
    elif wanted is float:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
    elif wanted is int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    elif type(value) is wanted:
        return value
    expected = getattr(wanted, "__name__", str(wanted)) if origin is None else str(wanted)
    raise TypeError(f"{name} must be {_said(expected)}, got {value!r}")


def _said(expected: str) -> str:
    words = {"str": "text", "int": "a whole number", "float": "a number", "bool": "true or false"}
    return words.get(expected, expected)
