"""The IDX format of MNIST: a magic number, the dimensions, the bytes; plain or gzip-compressed."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nets.data.download import md5_of_bytes, refuse_unless_published

UNSIGNED_BYTE = 0x08


def read_idx(path: Path, md5: tuple[str, ...] = ()) -> npt.NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes (Y. LeCun, The MNIST database, section on file formats).

    Parameters
    ----------
    path : Path
        The file; gzip is recognised by its first two bytes, not by its name.
    md5 : tuple of str
        Digests accepted for the file as it lies on disk or for its decompressed content; empty accepts any.

    Returns
    -------
    array of uint8, of the shape that the header names

    Raises
    ------
    ValueError
        If the file is damaged, is not IDX, or has none of the digests.
    """
    stored = path.read_bytes()
    found = md5_of_bytes(stored) if md5 else ""
    content = stored
    if stored[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(stored)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(
                f"{path} is a damaged gzip file ({error}); delete it and fetch it again"
            ) from error
    if len(content) < 4 or content[:2] != b"\0\0":
        raise ValueError(f"{path} is not an IDX file: it must start with two zero bytes")
    kind, dimensions = content[2], content[3]
    if kind != UNSIGNED_BYTE:
        raise ValueError(f"{path} holds IDX type 0x{kind:02x}; only unsigned bytes (0x08) are read")
    header = 4 + 4 * dimensions
    if dimensions == 0 or len(content) < header:
        raise ValueError(f"{path} is truncated within its IDX header; delete it and fetch it again")
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    expected = header + math.prod(shape)
    if len(content) != expected:
        raise ValueError(
            f"{path} holds {len(content)} bytes where its header {shape} needs {expected}; "
            "delete it and fetch it again"
        )
    if md5 and found not in md5:
        # Compressed anew, a file has another digest but the same content.
        refuse_unless_published(path, md5_of_bytes(content) if md5_of_bytes(content) in md5 else found, md5)
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)
