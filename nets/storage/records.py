"""Records appended to a file as a run goes on, one JSON object a line; a torn last line is no harm."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from nets.storage.atomic import explained, json_line, write_all, write_bytes


def append(path: Path, record: Mapping[str, Any]) -> None:
    """Append one record, in one write; through a link, which could lead anywhere, nothing is written.

    Raises
    ------
    nets.storage.atomic.StorageError
        If it cannot be written.
    """
    with explained(path):
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            write_all(handle, (json_line(record) + "\n").encode())
        finally:
            os.close(handle)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a file, none if there is no plain file; lines torn by a crash are left out."""
    if path.is_symlink() or not path.is_file():
        return
    with explained(path, "read"):
        content = path.read_bytes()
    for line in content.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            return
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            yield record


def text(lines: Iterable[Mapping[str, Any]]) -> bytes:
    """Return the bytes of a file of these records."""
    return "".join(json_line(line) + "\n" for line in lines).encode()


def replace(path: Path, content: bytes) -> None:
    """Make a file of records hold these bytes, atomically; no file stands for none.

    Nothing is written without need.

    Raises
    ------
    nets.storage.atomic.StorageError
        If it cannot be written.
    """
    if not content:
        with explained(path):
            path.unlink(missing_ok=True)
        return
    with explained(path, "read"):
        same = not path.is_symlink() and path.is_file() and path.read_bytes() == content
    if not same:
        write_bytes(path, content, durable=False)
