"""The sweep file: a grid over any field of a play, in TOML.

    # every list is an axis of the grid; everything else is the same for all runs
    data = "digits"
    model = "lenet-300-100"
    method = ["concave", "imp", "random"]
    density = [0.2, 0.1, 0.05]
    seed = "0..4"                    # the same as [0, 1, 2, 3, 4]

    [[also]]                         # another grid, on top of the values above; axes it names replace them
    method = "concave"
    penalty = ["log(0.02)", "mcp(2)"]

    [also.options]                   # options of the method; lists are axes, too
    descent = [0.3, 0.5]

The first grid is the file's own; every [[also]] adds one. Fields that are lists themselves (milestones,
include, exclude) take a list for one value and a list of lists for an axis. A run that several grids ask for
is made once.
"""

from __future__ import annotations

import itertools
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nets.configuration import Play
from nets.runs.canonical import play_of, settled

#: Fields whose values are lists.
LISTS = ("milestones", "include", "exclude")

#: A range of whole numbers, both ends included.
RANGE = re.compile(r"^\s*(-?\d+)\s*\.\.\s*(-?\d+)\s*$")

#: More runs than this are taken to be a slip.
MOST = 1_000_000


def read_sweep(path: str | os.PathLike[str]) -> list[Play]:
    """Return the plays of a sweep file, each once, in the order of the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no TOML, names an unknown field, or a value is wrong; the message names both.
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no sweep file {path}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not TOML: {error}") from None
    try:
        return plays_of(content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def plays_of(content: Mapping[str, Any]) -> list[Play]:
    """Return the plays of a sweep given as plain values, as a sweep file holds them.

    Raises
    ------
    ValueError
        If a field is unknown or a value is wrong.
    """
    base = {name: value for name, value in content.items() if name != "also"}
    also = content.get("also", [])
    if not isinstance(also, list) or not all(isinstance(block, Mapping) for block in also):
        raise ValueError("write each further grid under [[also]], in double brackets")
    plays: dict[Play, None] = {}
    for grid in (base, *({**base, **block} for block in also)):
        if (size := _size(grid)) > MOST:
            raise ValueError(f"the grid has {size:,} runs; {MOST:,} are the most")
        for values in _points(grid):
            plays[settled(play_of(values))] = None
    return list(plays)


def _axes(grid: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the values of every field, those of options under "options.name"."""
    axes: dict[str, list[Any]] = {}
    for name, value in grid.items():
        if name == "options":
            if not isinstance(value, Mapping):
                raise ValueError(
                    "write options of the method as a table: [options] or options = {name = value}"
                )
            axes |= {f"options.{key}": _values(key, item) for key, item in value.items()}
        else:
            axes[name] = _values(name, value)
    return axes


def _values(name: str, value: Any) -> list[Any]:
    if isinstance(value, str) and (match := RANGE.match(value)):
        low, high = int(match[1]), int(match[2])
        if high < low:
            raise ValueError(f"{name} = {value!r} is an empty range")
        if high - low >= MOST:
            raise ValueError(f"{name} = {value!r} has {high - low + 1:,} values; {MOST:,} are the most")
        return list(range(low, high + 1))
    if isinstance(value, list) and name in LISTS:
        return value if value and all(isinstance(item, list) for item in value) else [value]
    if isinstance(value, list):
        if not value:
            raise ValueError(f"{name} = [] leaves nothing to run")
        return value
    return [value]


def _size(grid: Mapping[str, Any]) -> int:
    size = 1
    for values in _axes(grid).values():
        size *= len(values)
    return size


def _points(grid: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    axes = _axes(grid)
    for point in itertools.product(*axes.values()):
        values: dict[str, Any] = {}
        for name, value in zip(axes, point):
            if name.startswith("options."):
                values.setdefault("options", {})[name.removeprefix("options.")] = value
            else:
                values[name] = value
        yield values
