"""Fetch a published file: checked, and either whole or not there at all."""

from __future__ import annotations

import hashlib
import http.client
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from nets.data.source import PublishedFile

CHUNK = 2**18
TIMEOUT = 30.0

#: Called with (bytes so far, bytes in all).
Progress = Callable[[int, int], None]


class DownloadError(OSError):
    """A file could not be fetched from any of its addresses."""


def download(file: PublishedFile, folder: Path, progress: Progress | None = None) -> Path:
    """Fetch `file` into `folder`, trying its addresses in order.

    It is written to a temporary file beside its place, checked (size and md5), flushed to disk and renamed: a
    reader sees the whole file or none.

    Raises
    ------
    DownloadError
        With the reason for each address, if none gave the published file.
    OSError
        If the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    reasons = []
    for url in file.urls:
        try:
            return _fetch(url, file, folder, progress)
        except (
            urllib.error.URLError,
            http.client.HTTPException,
            ConnectionError,
            TimeoutError,
            ValueError,
        ) as error:
            reasons.append(f"{url}: {getattr(error, 'reason', None) or error}")
    raise DownloadError(
        f"{file.name} could not be downloaded ({'; '.join(reasons) or 'no address is known'})"
    )


def _fetch(url: str, file: PublishedFile, folder: Path, progress: Progress | None) -> Path:
    if not url.startswith(("https://", "http://")):
        raise ValueError("only http and https addresses are fetched")
    target = folder / file.name
    digest = hashlib.md5(usedforsecurity=False)
    done = 0
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}-", dir=folder)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as out:
            with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
                while piece := answer.read(CHUNK):
                    done += len(piece)
                    if file.size and done > file.size:
                        raise ValueError(f"the answer is longer than the {file.size} bytes published")
                    digest.update(piece)
                    out.write(piece)
                    if progress:
                        progress(done, file.size)
            out.flush()
            os.fsync(out.fileno())
        if file.size and done != file.size:
            raise ValueError(f"the answer has {done} bytes where {file.size} are published")
        if file.md5 and digest.hexdigest() != file.md5[0]:
            raise ValueError(f"the answer has md5 {digest.hexdigest()} where {file.md5[0]} is published")
        temporary.chmod(0o644)
        temporary.replace(target)
        flush_folder(folder)
    finally:
        temporary.unlink(missing_ok=True)
    return target


def flush_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, so that a rename survives a crash."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
