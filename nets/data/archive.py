"""Unpack a downloaded archive without letting it write anywhere else, all or nothing."""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

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
