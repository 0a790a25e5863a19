"""CIFAR-10: 60,000 photographs of 32 x 32 pixels in ten classes."""

from __future__ import annotations

from pathlib import Path

from nets.data.augmentation import Augmentation
from nets.data.cifar_batches import join, read_binary_batch, read_python_batch
from nets.data.source import Form, PublishedFile, RawData, Source

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SITES = ("https://www.cs.toronto.edu/~kriz/", "https://cave.cs.toronto.edu/kriz/")

PYTHON_FILES = (
    PublishedFile("data_batch_1", ("c99cafc152244af753f735de768cd75f",)),
    PublishedFile("data_batch_2", ("d4bba439e000b95fd0a9bffe97cbabec",)),
    PublishedFile("data_batch_3", ("54ebc095f3ab1f0389bbae665268c751",)),
    PublishedFile("data_batch_4", ("634d18415352ddfa80567beed471001a",)),
    PublishedFile("data_batch_5", ("482c414d41f54cd18b22e5b47cb7c3cb",)),
    PublishedFile("test_batch", ("40351d587109b95175f43aff81a1287e",)),
)
BINARY_FILES = (
    PublishedFile("data_batch_1.bin", ("5dd7e06a14cb22eb9f671a540d1b7c25",)),
    PublishedFile("data_batch_2.bin", ("5ea93a67294ea407fff1d09f752e9692",)),
    PublishedFile("data_batch_3.bin", ("942cd6a4bcdd0dd3c604fbe906cb4421",)),
    PublishedFile("data_batch_4.bin", ("ae636b3ba5c66a11e91e8cb52e771fcb",)),
    PublishedFile("data_batch_5.bin", ("53f37980c15c3d472c316c40844f3f0d",)),
    PublishedFile("test_batch.bin", ("803d5f7f4d78ea53de84dbe85f74fb6d",)),
)


def read_python(folder: Path, verify: bool) -> RawData:
    """Read cifar-10-batches-py."""
    *train, test = (read_python_batch(folder, file, verify, "labels", 10) for file in PYTHON_FILES)
    return join(train, test, CLASSES)


def read_binary(folder: Path, verify: bool) -> RawData:
    """Read cifar-10-batches-bin."""
    *train, test = (read_binary_batch(folder, file, verify, 1, 10) for file in BINARY_FILES)
    return join(train, test, CLASSES)


def _archive(name: str, md5: str, size: int) -> PublishedFile:
    return PublishedFile(name, (md5,), size, tuple(site + name for site in SITES))


SOURCE = Source(
    name="cifar10",
    title="photographs, 32 x 32 colour, 10 classes",
    n_classes=10,
    input_shape=(3, 32, 32),
    n_train=50000,
    n_test=10000,
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2470, 0.2435, 0.2616),
    reference="A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
    forms=(
        Form(
            folders=("cifar-10-batches-py", "cifar10/cifar-10-batches-py", "cifar10"),
            files=PYTHON_FILES,
            read=read_python,
            archive=_archive("cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a", 170498071),
            unpacked_size=200_000_000,
        ),
        Form(
            folders=("cifar-10-batches-bin", "cifar10/cifar-10-batches-bin", "cifar10"),
            files=BINARY_FILES,
            read=read_binary,
            archive=_archive("cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530", 170052171),
            unpacked_size=200_000_000,
        ),
    ),
    validation=5000,
    augmentation=Augmentation(pad=4, flip=True),
)
