"""Write a file so that it is at every moment either the old one or the new one, also through a power cut."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: Ending of files under way; whatever carries it may be deleted when nobody writes.
TEMPORARY = ".tmp"

#: What is said about the errors that a person can mend.
REMEDIES = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the disk quota is used up; free some space",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.EACCES: "the folder may not be written to; mend its permissions or choose another one",
    errno.EPERM: "the folder may not be written to; mend its permissions or choose another one",
    errno.ENOTDIR: "a part of its path is a file, not a folder; choose another folder",
    errno.EEXIST: "a part of its path is a file, not a folder; choose another folder",
    errno.ELOOP: "it is a link, which could lead anywhere; remove it",
    errno.EIO: "the disk reports an error; check it",
}

#: Errors that tell that a folder cannot be synced here, not that the disk has failed.
CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF, errno.EACCES, errno.EPERM)


class StorageError(OSError):
    """A file could not be written or read; what was there before is untouched."""


def write_bytes(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Replace a file atomically: a temporary file beside it, fsync, rename, fsync of the folder.

    Parameters
    ----------
    path : Path
        The file; its folder is made if it is missing.
    content : bytes
        What it shall hold.
    durable : bool
        Wait until it is on the disk. False leaves that to the system: the file is whole or not there also
        when the process is killed, but after a power cut it may be lost.

    Raises
    ------
    StorageError
        If it cannot be written (disk full, read-only folder, ...). The old file, if any, is untouched and no
        temporary file is left.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}{TEMPORARY}")
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            try:
                write_all(handle, content)
                if durable:
                    os.fsync(handle)
            finally:
                os.close(handle)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        if durable:
            sync_folder(path.parent)


def write_json(path: Path, value: Any, *, durable: bool = True) -> None:
    """Replace a JSON file atomically: one line, keys sorted, so that equal values give equal bytes."""
    write_bytes(path, (json_line(value) + "\n").encode(), durable=durable)


_ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=True, allow_nan=False)


def json_line(value: Any) -> str:
    """Return JSON on one line with sorted keys; numbers that JSON does not know are refused."""
    return _ENCODER.encode(value)


def write_all(handle: int, content: bytes) -> None:
    """Write everything to an open file, in as many writes as the system makes of it."""
    view = memoryview(content)
    while view:
        view = view[os.write(handle, view) :]


def sync_file(path: Path) -> None:
    """Wait until a file is on the disk; one that is not there is passed over.

    Raises
    ------
    StorageError
        If the disk reports an error.
    """
    with explained(path), contextlib.suppress(FileNotFoundError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sync_folder(folder: Path) -> None:
    """Make renames within a folder durable; file systems that cannot are left to themselves.

    Raises
    ------
    StorageError
        If the disk reports an error: what was renamed may not survive a power cut.
    """
    with explained(folder):
        try:
            handle = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            if error.errno not in CANNOT_SYNC:
                raise


def remove_temporaries(folder: Path) -> None:
    """Delete what a killed writer left behind; call it only while no one else writes to the folder."""
    for left in folder.glob(f".*{TEMPORARY}"):
        with contextlib.suppress(OSError):
            left.unlink()


def set_aside(path: Path) -> Path:
    """Rename a damaged file or folder out of the way, to ``<name>.damaged``, and return its new path."""
    aside = free_name(path)
    with explained(path):
        path.rename(aside)
    sync_folder(path.parent)
    return aside


def free_name(path: Path) -> Path:
    """Return ``<name>.damaged``, or the first of ``<name>.damaged-2``, ... that is not taken."""
    names = itertools.chain(
        [f"{path.name}.damaged"], (f"{path.name}.damaged-{n}" for n in itertools.count(2))
    )
    return next(free for name in names if not (free := path.with_name(name)).exists())


@contextlib.contextmanager
def explained(path: Path, act: str = "write") -> Iterator[None]:
    """Turn an OSError into a StorageError that says what cannot be written (or read), why and what to do.

    When it is read, that there is no such file is for the caller to say.
    """
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        if act == "read" and error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR):
            raise
        why = REMEDIES.get(error.errno or 0, error.strerror or str(error))
        raise StorageError(
            error.errno, f"cannot {act} {path}: {why}; nothing stored before was lost"
        ) from error
