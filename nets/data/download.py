"""Fetch a published file: checked by its md5, and either whole or not there at all."""

from __future__ import annotations

import hashlib
import http.client
import os
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nets.data.source import PublishedFile
from nets.storage.atomic import sync_folder

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
        sync_folder(folder)
    finally:
        temporary.unlink(missing_ok=True)
    return target


@contextmanager
def terminal_progress(name: str) -> Iterator[Progress | None]:
    """Show how much of the file `name` has arrived, on standard error if that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich import progress as bars
    from rich.console import Console

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.DownloadColumn(),
        bars.TransferSpeedColumn(),
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(name, total=None)

        def step(done: int, total: int) -> None:
            shown.update(task, completed=done, total=total or None)

        yield step


def md5_of_bytes(content: bytes) -> str:
    """Return the md5 of `content` in hexadecimal: a check against damage, not against forgery."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def md5_of_file(path: Path) -> str:
    """Return the md5 of a file, hexadecimal, read in pieces."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            digest.update(piece)
    return digest.hexdigest()


def refuse_unless_published(path: Path, found: str, accepted: tuple[str, ...]) -> None:
    """Raise a ValueError unless `found` is among the accepted digests; with none known anything passes."""
    if accepted and found not in accepted:
        raise ValueError(
            f"{path} is not the published file: its md5 is {found}, expected {accepted[0]}; "
            "delete it and fetch it again, or load with verify=False (--no-verify) if the change is yours"
        )
