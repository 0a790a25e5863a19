"""The IDX format of MNIST: a magic number, the dimensions, the bytes; plain or gzip-compressed."""

from __future__ import annotations

import gzip
import hashlib
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt


def read_idx(path: Path, md5: tuple[str, ...] = ()) -> npt.NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes.

    Parameters
    ----------
    path : Path
        The file; gzip is recognised by its first two bytes, not by its name.
    md5 : tuple of str
        Accepted digests of the file as it lies on disk or of its decompressed content; empty accepts any.

    Raises
    ------
    ValueError
        If the file is damaged, is not IDX, or has none of the digests.
    """
    stored = path.read_bytes()
    digests = {hashlib.md5(stored, usedforsecurity=False).hexdigest()}
    content = stored
    if stored[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(stored)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(
                f"{path} is a damaged gzip file ({error}); delete it and fetch it again"
            ) from error
        digests.add(hashlib.md5(content, usedforsecurity=False).hexdigest())
    if len(content) < 4 or content[:2] != b"\0\0":
        raise ValueError(f"{path} is not an IDX file: it must start with two zero bytes")
    kind, dimensions = content[2], content[3]
    if kind != 0x08:
        raise ValueError(f"{path} holds IDX type 0x{kind:02x}; only unsigned bytes (0x08) are read")
    header = 4 + 4 * dimensions
    if dimensions == 0 or len(content) < header:
        raise ValueError(f"{path} is truncated within its IDX header; delete it and fetch it again")
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    expected = header + int(np.prod(shape, dtype=object))
    if len(content) != expected:
        raise ValueError(
            f"{path} holds {len(content)} bytes where its header {shape} needs {expected}; "
            "delete it and fetch it again"
        )
    if md5 and not digests & set(md5):
        raise ValueError(
            f"{path} is not the published file: its md5 is {sorted(digests)[0]}, expected {md5[0]}; "
            "delete it and fetch it again, or load with verify=False if the change is yours"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)
