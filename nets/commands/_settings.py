"""What the commands share: a play read from the command line, and the groups of its options in the help."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any, TypeVar, get_args

from cyclopts import Group, Parameter, Token

from nets.configuration import Play, Scalar

HIDDEN = Parameter(parse=False, show=False)

#: Groups of options, in the order of the help; the usual ones first.
WHAT = Group("What to run", sort_key=1)
OUTPUT = Group("Output", sort_key=2)
METHOD = Group("Method", sort_key=3)
TRAINING = Group("Training", sort_key=4)
DATA = Group("Data", sort_key=5)
MACHINE = Group("Machine", sort_key=6)

#: The fields of a play by group, in the order of the help.
_FIELDS: dict[Group, tuple[str, ...]] = {
    WHAT: ("data", "model", "method", "penalty", "density", "seed", "task"),
    METHOD: ("granularity", "search_epochs", "rewind", "control", "include", "exclude"),
    TRAINING: (
        *("epochs", "batch_size", "optimiser", "lr", "momentum", "nesterov", "weight_decay", "schedule"),
        *("warm_up", "milestones", "lr_factor", "label_smoothing", "precision", "accumulate"),
    ),
    DATA: ("data_dir", "verify", "data_seed"),
    MACHINE: ("device", "channels_last", "compile", "graphs"),
}


S = TypeVar("S", bound="type[Play]")


def _grouped(settings: S) -> S:
    """Put the options of a class of settings into their groups."""
    kinds = {f.name: f.type for f in fields(Play)}
    annotations: dict[str, Any] = {}
    for group, names in _FIELDS.items():
        for name in names:
            if name not in inspect.get_annotations(settings):
                annotations[name] = Annotated[kinds[name], Parameter(group=group)]
    settings.__annotations__ = annotations | inspect.get_annotations(settings)
    return settings


@_grouped
@dataclass(frozen=True, kw_only=True)
class PlaySettings(Play):
    """A play whose options of the method come as --option name=value."""

    options: Annotated[tuple[tuple[str, Scalar], ...], HIDDEN] = ()

    def play(self, option: Sequence[str] = (), **changes: Any) -> Play:
        """Return the play, with the method's options read from texts name=value."""
        values = {f.name: getattr(self, f.name) for f in fields(Play)} | changes
        return Play(**{**values, "options": method_options(option)})


@_grouped
@dataclass(frozen=True, kw_only=True)
class PairSettings(PlaySettings):
    """What the plays of a pair of seeds have in common."""

    seed: Annotated[int, HIDDEN] = 0


@_grouped
@dataclass(frozen=True, kw_only=True)
class ComparisonSettings(PlaySettings):
    """What the plays of a comparison have in common."""

    method: Annotated[str, HIDDEN] = "concave"
    density: Annotated[float, HIDDEN] = 0.05
    seed: Annotated[int, HIDDEN] = 0
    control: Annotated[str, HIDDEN] = ""


def _several(kind: Any, tokens: Sequence[Token]) -> tuple[Any, ...]:
    """Read several values, apart by spaces or commas."""
    number = float in get_args(kind)
    found: list[Any] = []
    for token in tokens:
        for text in filter(None, token.value.split(",")):
            try:
                found.append(float(text) if number else text)
            except ValueError:
                raise ValueError(f"{token.keyword} takes numbers, got {text!r}") from None
    return tuple(found)


#: Several values of an option, apart by spaces or commas.
SEVERAL = Parameter(consume_multiple=True, converter=_several)


def options_by_method(texts: Sequence[str]) -> dict[str, dict[str, str]]:
    """Read options written as METHOD.NAME=VALUE.

    Raises
    ------
    ValueError
        If one has another form.
    """
    found: dict[str, dict[str, str]] = {}
    for text, (name, value) in zip(texts, method_options(texts)):
        chosen, dot, option = name.rpartition(".")
        if not dot:
            raise ValueError(f"an option of a comparison is written METHOD.NAME=VALUE, got {text!r}")
        found.setdefault(chosen, {})[option] = value
    return found


def method_options(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Read options written as name=value.

    Raises
    ------
    ValueError
        If one has no equals sign.
    """
    pairs = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"an option is written name=value, got {text!r}")
        pairs.append((name.strip(), value.strip()))
    return tuple(pairs)
