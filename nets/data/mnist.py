"""MNIST: 70,000 handwritten digits of 28 x 28 pixels, four IDX files."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from nets.data.idx import read_idx
from nets.data.source import PublishedFile, RawData, Source

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)


def published(name: str, size: int, mirrors: tuple[str, ...], *md5: str) -> PublishedFile:
    """Describe one IDX file: digests of its gzip form first, then of its plain form."""
    return PublishedFile(name, md5, size, tuple(mirror + name for mirror in mirrors))


FILES = (
    published(
        "train-images-idx3-ubyte.gz",
        9912422,
        MIRRORS,
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "6bbc9ace898e44ae57da46a324031adb",
    ),
    published(
        "train-labels-idx1-ubyte.gz",
        28881,
        MIRRORS,
        "d53e105ee54ea40749a09fcbcd1e9432",
        "a25bea736e30d166cdddb491f175f624",
    ),
    published(
        "t10k-images-idx3-ubyte.gz",
        1648877,
        MIRRORS,
        "9fb629c4189551a2d022fa330f9573f3",
        "2646ac647ad5339dbf082846283269ea",
    ),
    published(
        "t10k-labels-idx1-ubyte.gz",
        4542,
        MIRRORS,
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
                f"{folder}: the {part} images have shape {x.shape} "
                f"and the labels {y.shape}; they do not match"
            )
    return RawData(
        x_train[:, None], y_train.astype(np.int64), x_test[:, None], y_test.astype(np.int64), class_names
    )


SOURCE = Source(
    name="mnist",
    title="handwritten digits, 28 x 28 grey",
    n_classes=10,
    input_shape=(1, 28, 28),
    n_train=60000,
    n_test=10000,
    folders=("mnist", "MNIST/raw", "."),
    files=FILES,
    read=partial(read_four, files=FILES, class_names=tuple(str(k) for k in range(10))),
    mean=(0.1307,),
    std=(0.3081,),
    validation=5000,
    reference="Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-based learning, Proc. IEEE 1998",
    remedy="four files *-ubyte.gz from https://ossci-datasets.s3.amazonaws.com/mnist/",
)
