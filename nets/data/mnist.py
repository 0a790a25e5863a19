"""MNIST: 70,000 handwritten digits of 28 x 28 pixels, four IDX files."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from nets.data.idx import read_idx
from nets.data.source import Form, PublishedFile, RawData, Source, labels

CLASSES = tuple(str(k) for k in range(10))
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


SOURCE = Source(
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
            read=partial(read_four, files=FILES, class_names=CLASSES),
        ),
    ),
    validation=5000,
)
