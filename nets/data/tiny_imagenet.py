"""Tiny-ImageNet: 110,000 labelled photographs of 64 x 64 pixels in 200 classes, in their official layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from nets.data.augmentation import Augmentation
from nets.data.image_folder import decode_all
from nets.data.source import Form, PublishedFile, RawData, Source

N_CLASSES = 200
PER_CLASS = {"train": 500, "val": 50}
SITES = ("https://cs231n.stanford.edu/", "http://cs231n.stanford.edu/")
WORDNET_IDS = PublishedFile("wnids.txt")
ANNOTATIONS = PublishedFile("val/val_annotations.txt")


def read(folder: Path, verify: bool) -> RawData:
    """Read tiny-imagenet-200: its validation part is the test part, since its test part has no labels.

    `verify` asks for all 200 classes with 500 and 50 images each; without, any subset is read.
    """
    classes = sorted((folder / WORDNET_IDS.name).read_text(encoding="ascii").split())
    position = {name: k for k, name in enumerate(classes)}
    if len(position) != len(classes) or not classes or not all(name.isalnum() for name in classes):
        raise ValueError(f"{folder / WORDNET_IDS.name} must list distinct class names, one a line")

    train: list[Path] = []
    train_labels: list[int] = []
    for name in classes:
        files = sorted((folder / "train" / name / "images").glob("*.JPEG"))
        train += files
        train_labels += [position[name]] * len(files)

    test: list[Path] = []
    test_labels: list[int] = []
    for line in (folder / ANNOTATIONS.name).read_text(encoding="ascii").splitlines():
        file, _, rest = line.partition("\t")
        label = rest.partition("\t")[0]
        if label not in position or Path(file).name != file:
            raise ValueError(
                f"{folder / ANNOTATIONS.name} has a line that names no image and class: {line!r}"
            )
        test.append(folder / "val" / "images" / file)
        test_labels.append(position[label])

    y_train, y_test = np.array(train_labels, dtype=np.int64), np.array(test_labels, dtype=np.int64)
    if verify:
        _refuse_unless_complete(folder, y_train, y_test, len(classes))
    return RawData(decode_all(train), y_train, decode_all(test), y_test, class_names=tuple(classes))


def _refuse_unless_complete(
    folder: Path, y_train: npt.NDArray[np.int64], y_test: npt.NDArray[np.int64], n_classes: int
) -> None:
    complete = n_classes == N_CLASSES
    for y, count in ((y_train, PER_CLASS["train"]), (y_test, PER_CLASS["val"])):
        complete = complete and bool((np.bincount(y, minlength=n_classes) == count).all())
    if not complete:
        raise ValueError(
            f"{folder} is not the whole Tiny-ImageNet: it holds {len(y_train)} training and {len(y_test)} "
            f"validation images in {n_classes} classes; fetch it again, or read this subset with verify=False"
        )


TINY_IMAGENET = Source(
    name="tiny-imagenet",
    title="photographs, 64 x 64 colour, 200 classes",
    n_classes=N_CLASSES,
    input_shape=(3, 64, 64),
    n_train=100000,
    n_test=10000,
    mean=(0.4802, 0.4481, 0.3975),
    std=(0.2770, 0.2691, 0.2821),
    reference="Y. Le, X. Yang, Tiny ImageNet Visual Recognition Challenge, CS 231N, Stanford, 2015",
    forms=(
        Form(
            folders=("tiny-imagenet-200", "tiny-imagenet"),
            files=(WORDNET_IDS, ANNOTATIONS),
            read=read,
            archive=PublishedFile(
                "tiny-imagenet-200.zip",
                ("90528d7ca1a48142e341f4ef8d21d0de",),
                248100043,
                tuple(site + "tiny-imagenet-200.zip" for site in SITES),
            ),
            unpacked_size=1_000_000_000,
        ),
    ),
    validation=10000,
    augmentation=Augmentation(pad=8, flip=True),
)
