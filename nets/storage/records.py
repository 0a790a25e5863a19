"""Records appended to a file as a run goes on, one JSON object a line; a torn last line is no harm."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from nets.storage.atomic import explained, json_line, write_bytes


def append(path: Path, record: Mapping[str, Any]) -> None:
    """Append one record, in one write.

    Raises
    ------
    nets.storage.atomic.StorageError
        If it cannot be written.
    """
    with explained(path), path.open("ab") as file:
        file.write((json_line(record) + "\n").encode())


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a file, none if there is no file; lines torn by a crash are left out."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    for line in content.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            return
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            yield record


def keep(path: Path, wanted: Callable[[Mapping[str, Any]], bool]) -> None:
    """Drop the records that are not wanted (and torn lines), atomically; nothing is written without need."""
    if not path.exists():
        return
    kept = "".join(json_line(record) + "\n" for record in read(path) if wanted(record)).encode()
    if kept != path.read_bytes():
        write_bytes(path, kept)
