"""The data sets known by name, and their folder: where files lie, how they are fetched and unpacked."""

from __future__ import annotations

import errno
import importlib.util
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np
from filelock import FileLock

from nets.data.cifar import CIFAR10, CIFAR100
from nets.data.image_folder import TINY_IMAGENET
from nets.data.mnist import FASHION_MNIST, MNIST
from nets.data.source import (
    DownloadError,
    Form,
    Progress,
    PublishedFile,
    RawData,
    Source,
    download,
    md5_of_file,
    refuse_unless_published,
    terminal_progress,
)
from nets.registry import data_sets
from nets.storage.atomic import sync_folder


def _read_digits() -> RawData:
    """Read the copy that scikit-learn ships, without importing it (2 s); pixels are counts 0 .. 16."""
    package = importlib.util.find_spec("sklearn")
    assert package is not None
    assert package.origin is not None
    try:
        rows = np.loadtxt(
            Path(package.origin).parent / "datasets/data/digits.csv.gz", np.uint8, delimiter=","
        )
    except FileNotFoundError:  # in another version it may lie elsewhere
        from sklearn.datasets import load_digits

        rows = np.column_stack(load_digits(return_X_y=True)).astype(np.uint8)
    return RawData(
        np.ascontiguousarray(rows[:, :-1]).reshape(-1, 1, 8, 8),
        rows[:, -1].astype(np.int64),
        class_names=tuple(str(k) for k in range(10)),
    )


DIGITS = Source(
    name="digits",
    title="handwritten digits, 8 x 8 grey",
    n_classes=10,
    input_shape=(1, 8, 8),
    n_train=1797,
    n_test=0,
    mean=(0.3053,),
    std=(0.3760,),
    reference="E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI repository, 1998",
    bundled=_read_digits,
    scale=16.0,
    validation=180,
)

SOURCES: dict[str, Source] = {
    source.name: source for source in (DIGITS, MNIST, FASHION_MNIST, CIFAR10, CIFAR100, TINY_IMAGENET)
}


def source(name: str) -> Source:
    """Return the named data set's source; underscores and capitals are forgiven.

    Raises
    ------
    ValueError
        If the name is unknown, or is that of a factory of the user's.
    """
    found = data_sets.find(name)
    if not isinstance(found, Source):
        raise ValueError(f"{name!r} is made by a factory: it has no files to list")
    return found


CHUNK = 2**20

#: One member: its name, whether it is a folder, and its content.
Member = tuple[str, bool, IO[bytes] | None]


def unpack(archive: Path, folder: Path, limit: int) -> None:
    """Unpack the part of a tar (any compression) or zip archive that lies below ``folder.name`` to `folder`.

    The members are written to a temporary folder beside `folder`, which is then renamed; on any error it is
    removed and `folder` does not appear.

    Parameters
    ----------
    archive : Path
        The archive.
    folder : Path
        Where its top folder of the same name goes; must not exist.
    limit : int
        Bytes that the members may take in all.

    Raises
    ------
    ValueError
        If a member has an absolute path or one with "..", is a link or a device, if the members take more
        than `limit`, or if the archive is damaged or has no such folder.
    FileExistsError
        If `folder` exists.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} exists but is incomplete; move it away and try again")
    workspace = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        left = limit
        for name, is_folder, content in _members(archive):
            target = workspace / _safe(name, archive)
            if is_folder:
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            assert content is not None
            with content, target.open("xb") as out:
                while piece := content.read(CHUNK):
                    left -= len(piece)
                    if left < 0:
                        raise ValueError(f"{archive} unpacks to more than {limit} bytes; it is refused")
                    out.write(piece)
        inner = workspace / folder.name
        if not inner.is_dir():
            raise ValueError(f"{archive} holds no folder {folder.name!r}")
        os.sync()  # the content is on disk before the name is
        inner.rename(folder)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ValueError(f"{archive} is damaged ({error}); delete it and fetch it again") from error
    finally:
        shutil.rmtree(workspace, ignore_errors=True)


def _safe(name: str, archive: Path) -> PurePosixPath:
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or ":" in name:
        raise ValueError(f"{archive} holds a member that would be written elsewhere: {name!r}; it is refused")
    return path


def _members(archive: Path) -> Iterator[Member]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as bundle:
            for entry in bundle.infolist():
                kind = stat.S_IFMT(entry.external_attr >> 16)
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise ValueError(f"{archive} holds a link or device: {entry.filename!r}; it is refused")
                yield entry.filename, entry.is_dir(), None if entry.is_dir() else bundle.open(entry)
        return
    with tarfile.open(archive, "r:*") as tar:
        for member in tar:
            if not (member.isreg() or member.isdir()):
                raise ValueError(f"{archive} holds a link or device: {member.name!r}; it is refused")
            yield member.name, member.isdir(), tar.extractfile(member)
        # Reading on to the end of the compressed stream checks it: tarfile itself takes a cut for the end.
        if tar.fileobj is not None and len(tar.fileobj.read(CHUNK)) == CHUNK:
            raise tarfile.ReadError("something follows its end")


VARIABLE = "CONCAVE_SPARSITY_DATA"
UNWRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENOSPC, errno.EDQUOT}


def data_folder(data_dir: str | os.PathLike[str] | None = None) -> Path:
    """Return `data_dir`, else $CONCAVE_SPARSITY_DATA, else concave-sparsity in the user's cache folder."""
    if data_dir is not None:
        return Path(data_dir).expanduser()
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "concave-sparsity"


def locate(source: Source, root: Path) -> tuple[Form, Path] | None:
    """Return the form and folder below `root` that hold every file of `source`, or None."""
    for form in source.forms:
        for name in form.folders:
            folder = root / name
            if all(_is_there(folder, file) for file in form.files):
                return form, folder
    return None


def _is_there(folder: Path, file: PublishedFile) -> bool:
    return (folder / file.name).is_file() or (
        file.name.endswith(".gz") and (folder / file.name.removesuffix(".gz")).is_file()
    )


def locate_archive(source: Source, root: Path) -> tuple[Form, Path] | None:
    """Return the form whose archive lies, not yet unpacked, in `root` or in a folder of the set's name."""
    for form in source.forms:
        for folder in (root, root / source.name):
            if form.archive and (folder / form.archive.name).is_file():
                return form, folder / form.archive.name
    return None


def read(
    source: Source,
    root: Path,
    *,
    fetch: bool = True,
    verify: bool = True,
    progress: Progress | None = None,
) -> RawData:
    """Read a data set from `root`, unpacking or downloading it first if need be.

    Raises
    ------
    FileNotFoundError
        If it is not there and `fetch` is False.
    DownloadError
        If it is not there and cannot be downloaded.
    ValueError
        If its files are damaged or not the published ones.
    """
    if source.bundled is not None:
        return source.bundled()
    form, folder = obtain(source, root, fetch=fetch, verify=verify, progress=progress)
    return form.read(folder, verify)


def obtain(
    source: Source, root: Path, *, fetch: bool = True, verify: bool = True, progress: Progress | None = None
) -> tuple[Form, Path]:
    """Return the form and folder of a published data set, after unpacking or downloading it if need be."""
    found = locate(source, root)
    if found is not None:
        return found
    advice = f"{remedy(source, root)}, or name your data folder by data_dir (--data-dir) or {VARIABLE}."
    if not fetch and locate_archive(source, root) is None:
        raise FileNotFoundError(
            f"{source.name} is not in {root}: fetch it by `lottery data {source.name} --fetch`. Without a "
            f"network: {advice}"
        )
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f".{source.name}.lock"):
            found = locate(source, root)  # another process may have been faster
            return found if found is not None else _bring(source, root, verify, progress)
    except DownloadError as error:
        raise DownloadError(
            f"{source.name} is not in {root}, and {error}. Without a network: {advice}"
        ) from error
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        raise OSError(
            error.errno,
            f"{source.name} is not in {root}, which cannot be written ({error}); name a data folder of your "
            f"own by data_dir (--data-dir) or {VARIABLE}",
        ) from error


def remedy(source: Source, root: Path) -> str:
    """Return how to get a data set into `root` by hand, in one sentence without its full stop."""
    if not source.forms:
        return "It comes with the installation"
    form = source.forms[0]
    files = form.downloads
    site = files[0].urls[0].rsplit("/", 1)[0] + "/"
    if form.archive is not None:
        return f"Put {files[0].name} from {site} into {root} as it is"
    return f"Put {', '.join(file.name for file in files)} from {site} into {root / form.folders[0]}"


def _bring(source: Source, root: Path, verify: bool, progress: Progress | None) -> tuple[Form, Path]:
    brought = locate_archive(source, root)
    form = brought[0] if brought else source.forms[0]
    folder = root / form.folders[0]
    if form.archive is None:
        for file in form.files:
            if not _is_there(folder, file):
                _fetch(file, folder, progress)
        return form, folder
    if brought is not None:
        archive = brought[1]
        if verify:
            refuse_unless_published(archive, md5_of_file(archive), form.archive.md5)
    else:
        archive = _fetch(form.archive, root, progress)
    unpack(archive, folder, form.unpacked_size)
    sync_folder(root)
    if brought is None:
        archive.unlink()
    return form, folder


def _fetch(file: PublishedFile, folder: Path, progress: Progress | None) -> Path:
    if progress is not None:
        return download(file, folder, progress)
    with terminal_progress(file.name) as shown:
        return download(file, folder, shown)


@dataclass(frozen=True)
class Availability:
    """Whether a data set can be used from a data folder.

    `status` is "bundled", "here", "archive" (there, to be unpacked on first use) or "absent".
    """

    source: Source
    status: str
    path: Path | None

    @property
    def ready(self) -> bool:
        """Whether it can be loaded without a download."""
        return self.status != "absent"


def inventory(root: Path) -> list[Availability]:
    """Return, for every data set known by name, whether `root` has it."""
    found = []
    for source in SOURCES.values():
        if source.bundled is not None:
            found.append(Availability(source, "bundled", None))
        elif (here := locate(source, root)) is not None:
            found.append(Availability(source, "here", here[1]))
        elif (archive := locate_archive(source, root)) is not None:
            found.append(Availability(source, "archive", archive[1]))
        else:
            found.append(Availability(source, "absent", None))
    return found
