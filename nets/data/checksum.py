"""The md5 of a file against the published one."""

from __future__ import annotations

import hashlib
from pathlib import Path

CHUNK = 2**20


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
