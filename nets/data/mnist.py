"""MNIST, 70,000 handwritten digits, and Fashion-MNIST in its form: four IDX files of 28 x 28 pixels."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nets.data.source import (
    Form,
    PublishedFile,
    RawData,
    Source,
    labels,
    md5_of_bytes,
    refuse_unless_published,
)

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


DIGITS = tuple(str(k) for k in range(10))
SITES = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)


def idx_file(name: str, size: int, sites: tuple[str, ...], *md5: str) -> PublishedFile:
    """Describe one IDX file: the digest of its gzip form, then, where known, of its plain form."""
    return PublishedFile(name, md5, size, tuple(site + name for site in sites))


FILES = (
    idx_file(
        "train-images-idx3-ubyte.gz",
        9912422,
        SITES,
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "6bbc9ace898e44ae57da46a324031adb",
    ),
    idx_file(
        "train-labels-idx1-ubyte.gz",
        28881,
        SITES,
        "d53e105ee54ea40749a09fcbcd1e9432",
        "a25bea736e30d166cdddb491f175f624",
    ),
    idx_file(
        "t10k-images-idx3-ubyte.gz",
        1648877,
        SITES,
        "9fb629c4189551a2d022fa330f9573f3",
        "2646ac647ad5339dbf082846283269ea",
    ),
    idx_file(
        "t10k-labels-idx1-ubyte.gz",
        4542,
        SITES,
        "ec29112dd5afa0611ce80d1b7f02629c",
        "27ae3e4e09519cfbb04c329615203637",
    ),
)


def read_four(
    folder: Path, verify: bool, *, files: tuple[PublishedFile, ...], class_names: tuple[str, ...]
) -> RawData:
    """Read the four IDX files of MNIST or of a set in its form, gzip-compressed or plain."""
    arrays = []
    for file in files:
        path = folder / file.name
        if not path.is_file():
            path = folder / file.name.removesuffix(".gz")
        arrays.append(read_idx(path, file.md5 if verify else ()))
    x_train, y_train, x_test, y_test = arrays
    for part, x, y in (("train", x_train, y_train), ("t10k", x_test, y_test)):
        if x.ndim != 3 or y.ndim != 1 or len(x) != len(y):
            raise ValueError(
                f"{folder}: {part} images of shape {x.shape} do not match labels of shape {y.shape}"
            )
    n_classes = len(class_names)
    return RawData(
        x_train[:, None],
        labels(y_train, n_classes, folder),
        x_test[:, None],
        labels(y_test, n_classes, folder),
        class_names=class_names,
    )


MNIST = Source(
    name="mnist",
    title="handwritten digits, 28 x 28 grey",
    n_classes=10,
    input_shape=(1, 28, 28),
    n_train=60000,
    n_test=10000,
    mean=(0.1307,),
    std=(0.3081,),
    reference="Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Proceedings of the IEEE 86, 1998",
    forms=(
        Form(
            folders=("mnist", "MNIST/raw", "."),
            files=FILES,
            read=partial(read_four, files=FILES, class_names=DIGITS),
        ),
    ),
    validation=5000,
)

CLOTHES = (
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
FASHION_SITES = (
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
)
FASHION_FILES = (
    idx_file(
        "train-images-idx3-ubyte.gz",
        26421880,
        FASHION_SITES,
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    ),
    idx_file(
        "train-labels-idx1-ubyte.gz",
        29515,
        FASHION_SITES,
        "25c81989df183df01b3e8a0aad5dffbe",
        "9018921c3c673c538a1fc5bad174d6f9",
    ),
    idx_file(
        "t10k-images-idx3-ubyte.gz",
        4422102,
        FASHION_SITES,
        "bef4ecab320f06d8554ea6380940ec79",
        "8181f5470baa50b63fa0f6fddb340f0a",
    ),
    idx_file(
        "t10k-labels-idx1-ubyte.gz",
        5148,
        FASHION_SITES,
        "bb300cfdad3c16e7a12a480ee83cd310",
        "15d484375f8d13e6eb1aabb0c3f46965",
    ),
)

FASHION_MNIST = Source(
    name="fashion-mnist",
    title="clothes, 28 x 28 grey",
    n_classes=10,
    input_shape=(1, 28, 28),
    n_train=60000,
    n_test=10000,
    mean=(0.2860,),
    std=(0.3530,),
    reference="H. Xiao, K. Rasul, R. Vollgraf, arXiv 1708.07747, 2017",
    forms=(
        Form(
            folders=("fashion-mnist", "fashion_mnist", "FashionMNIST/raw", "fashion"),
            files=FASHION_FILES,
            read=partial(read_four, files=FASHION_FILES, class_names=CLOTHES),
        ),
    ),
    validation=5000,
)
