"""A data set as its authors publish it: its files, how they are fetched, checked, read and normalised."""

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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nets.data.augmentation import Augmentation
from nets.storage.atomic import sync_folder


@dataclass(frozen=True)
class PublishedFile:
    """A file as its authors publish it.

    Parameters
    ----------
    name : str
        File name.
    md5 : tuple of str
        Digests accepted for it: of the published file first, then of its decompressed content if that is
        known. Empty where none is known.
    size : int
        Bytes of the published file; 0 where unknown.
    urls : tuple of str
        Where it is fetched from, in this order.
    """

    name: str
    md5: tuple[str, ...] = ()
    size: int = 0
    urls: tuple[str, ...] = ()


@dataclass(frozen=True)
class RawData:
    """What a reader returns: arrays as the files hold them, images as (n, channels, height, width).

    `x_test` and `y_test` are None where the data set has no test part of its own; one is then split off. The
    same holds for the validation part.
    """

    x_train: npt.NDArray[Any]
    y_train: npt.NDArray[Any]
    x_test: npt.NDArray[Any] | None = None
    y_test: npt.NDArray[Any] | None = None
    x_validation: npt.NDArray[Any] | None = None
    y_validation: npt.NDArray[Any] | None = None
    class_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Form:
    """One of the forms in which a data set is published.

    Parameters
    ----------
    folders : tuple of str
        Where the files may lie, relative to the data folder; the first is where a download goes.
    files : tuple of PublishedFile
        The files that must be there (an IDX file may also lie there without its ``.gz``).
    read : callable
        ``read(folder, verify)`` returns RawData; `verify` asks for the md5 of each file to be checked.
    archive : PublishedFile, optional
        The archive that holds the files below a folder named like the first of `folders`; without one, the
        files are fetched one by one.
    unpacked_size : int
        Bytes that the unpacked archive may take at most.
    """

    folders: tuple[str, ...]
    files: tuple[PublishedFile, ...]
    read: Callable[[Path, bool], RawData]
    archive: PublishedFile | None = None
    unpacked_size: int = 0

    @property
    def downloads(self) -> tuple[PublishedFile, ...]:
        """The files that are fetched: the archive, or else each file."""
        return (self.archive,) if self.archive else self.files


@dataclass(frozen=True)
class Source:
    """A data set known by name.

    Parameters
    ----------
    name : str
        Lower case, words joined by hyphens.
    title : str
        What it is, in one line.
    n_classes : int
        Number of classes.
    input_shape : tuple of int
        Shape of one sample.
    n_train, n_test : int
        Published sizes; `n_test` is 0 if there is no published test part.
    mean, std : tuple of float
        Per-channel mean and standard deviation of the training part, on the scale [0, 1].
    reference : str
        Who published it.
    forms : tuple of Form
        The forms in which it is read, the one that is downloaded first; empty for bundled data.
    bundled : callable, optional
        Reads the copy that comes with a dependency.
    scale : float
        Raw value that stands for 1.0.
    validation : int
        Samples of the training part held out by default.
    augmentation : Augmentation, optional
        The usual augmentation of its training part.
    """

    name: str
    title: str
    n_classes: int
    input_shape: tuple[int, ...]
    n_train: int
    n_test: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    reference: str
    forms: tuple[Form, ...] = ()
    bundled: Callable[[], RawData] | None = None
    scale: float = 255.0
    validation: int = 0
    augmentation: Augmentation | None = None


def labels(values: Any, n_classes: int, where: object) -> npt.NDArray[np.int64]:
    """Return class indices as int64, refusing what is not in 0 .. n_classes - 1."""
    y = np.asarray(values)
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise ValueError(f"{where}: labels must be a list of integers, got shape {y.shape} of {y.dtype}")
    if y.size and not (y.min() >= 0 and y.max() < n_classes):
        raise ValueError(
            f"{where}: labels reach from {y.min()} to {y.max()}; they must lie in 0 .. {n_classes - 1}"
        )
    return y.astype(np.int64)


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
