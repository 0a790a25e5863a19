"""CIFAR-100: 60,000 photographs of 32 x 32 pixels in a hundred classes (the fine labels)."""

from __future__ import annotations

from pathlib import Path

from nets.data.augmentation import Augmentation
from nets.data.cifar10 import SITES
from nets.data.cifar_batches import join, read_binary_batch, read_python_batch
from nets.data.source import Form, PublishedFile, RawData, Source

# Alphabetical, which is the order of the labels.
CLASS_LIST = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
    camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup
    dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower
    leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid
    otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray
    road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
    sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
    wardrobe whale willow_tree wolf woman worm
"""
CLASSES = tuple(CLASS_LIST.split())

PYTHON_FILES = (
    PublishedFile("train", ("16019d7e3df5f24257cddd939b257f8d",)),
    PublishedFile("test", ("f0ef6b0ae62326f3e7ffdfab6717acfc",)),
)
BINARY_FILES = (
    PublishedFile("train.bin", ("6172c7755cfe09b2fe270c85cebc1b15",)),
    PublishedFile("test.bin", ("4499cfba6c016c1be1438163640a0898",)),
)


def read_python(folder: Path, verify: bool) -> RawData:
    """Read cifar-100-python."""
    train, test = (read_python_batch(folder, file, verify, "fine_labels", 100) for file in PYTHON_FILES)
    return join([train], test, CLASSES)


def read_binary(folder: Path, verify: bool) -> RawData:
    """Read cifar-100-binary: the coarse label comes first, the fine one second."""
    train, test = (read_binary_batch(folder, file, verify, 2, 100) for file in BINARY_FILES)
    return join([train], test, CLASSES)


def _archive(name: str, md5: str, size: int) -> PublishedFile:
    return PublishedFile(name, (md5,), size, tuple(site + name for site in SITES))


SOURCE = Source(
    name="cifar100",
    title="photographs, 32 x 32 colour, 100 classes",
    n_classes=100,
    input_shape=(3, 32, 32),
    n_train=50000,
    n_test=10000,
    mean=(0.5071, 0.4865, 0.4409),
    std=(0.2673, 0.2564, 0.2762),
    reference="A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
    forms=(
        Form(
            folders=("cifar-100-python", "cifar100/cifar-100-python", "cifar100"),
            files=PYTHON_FILES,
            read=read_python,
            archive=_archive("cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85", 169001437),
            unpacked_size=200_000_000,
        ),
        Form(
            folders=("cifar-100-binary", "cifar100/cifar-100-binary", "cifar100"),
            files=BINARY_FILES,
            read=read_binary,
            archive=_archive("cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8", 168513733),
            unpacked_size=200_000_000,
        ),
    ),
    validation=5000,
    augmentation=Augmentation(pad=4, flip=True),
)
