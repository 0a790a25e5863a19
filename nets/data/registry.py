"""The data sets known by name; the digits come along with scikit-learn."""

from __future__ import annotations

import numpy as np

from nets.data.cifar import CIFAR10, CIFAR100
from nets.data.mnist import FASHION_MNIST, MNIST
from nets.data.source import RawData, Source
from nets.data.tiny_imagenet import TINY_IMAGENET
from nets.registry import data_sets


def _read_digits() -> RawData:
    """Read the copy that scikit-learn ships; pixels are counts 0 .. 16."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return RawData(
        bunch.images.astype(np.uint8)[:, None],
        bunch.target.astype(np.int64),
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
