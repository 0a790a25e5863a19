"""Records appended to a file as a run goes on, one JSON object a line; a torn last line is no harm."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from nets.storage.atomic import explained, json_line, write_all, write_bytes

#: Largest file that is read: what lies in a folder may come from anywhere.
LARGEST = 2**28


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
    if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST:
        return
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


def keep(path: Path, wanted: Callable[[Mapping[str, Any]], bool], *, about: str = "") -> None:
    """Drop the records that are not wanted (and torn lines), atomically; nothing is written without need.

    Parameters
    ----------
    path : Path
        The file; it need not exist.
    wanted : callable
        Tells of a record whether it stays.
    about : str
        Text in every record that is not wanted; a file without it need not be looked through.
    """
    if path.is_symlink():
        content = b""
    elif path.is_file():
        content = path.read_bytes()
        if content.endswith(b"\n") and about.encode() not in content:
            return
    else:
        return
    kept = "".join(json_line(record) + "\n" for record in read(path) if wanted(record)).encode()
    if path.is_symlink() or kept != content:
        write_bytes(path, kept)
