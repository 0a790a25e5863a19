"""Photographs in folders: one folder a class, or the layout of Tiny ImageNet."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nets.data.augmentation import Augmentation
from nets.data.source import Form, PublishedFile, RawData, Source

SUFFIXES = frozenset({".png", ".jpg", ".jpeg"})
FORMATS = ("PNG", "JPEG")
#: An image file that claims more pixels than this is refused before it is decoded.
MAX_PIXELS = 2**26


def decode(path: Path, size: int | None = None) -> npt.NDArray[np.uint8]:
    """Decode one PNG or JPEG file to (3, height, width).

    Parameters
    ----------
    path : Path
        The file; what it is is told from its content, and only PNG and JPEG are decoded.
    size : int, optional
        Shorter side to resize to (bilinear), followed by a central square crop; None keeps the image as it
        is.

    Raises
    ------
    ValueError
        If it is no such image, damaged, or larger than 2^26 pixels.
    """
    from PIL import Image

    try:
        with Image.open(path, formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise ValueError(f"it claims {width} x {height} pixels")
            rgb = image.convert("RGB")
        if size is not None and (width, height) != (size, size):
            scale = size / min(width, height)
            width, height = max(size, round(width * scale)), max(size, round(height * scale))
            left, top = (width - size) // 2, (height - size) // 2
            rgb = rgb.resize((width, height), Image.Resampling.BILINEAR)
            rgb = rgb.crop((left, top, left + size, top + size))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} is not a readable PNG or JPEG image: {error}") from error
    return np.asarray(rgb).transpose(2, 0, 1)


def decode_all(paths: Sequence[Path], size: int | None = None) -> npt.NDArray[np.uint8]:
    """Decode files to one array (n, 3, height, width), several at a time, in the order given.

    Raises
    ------
    ValueError
        If a file is unreadable, or if the images differ in size and `size` is None.
    """
    if not paths:
        raise ValueError("there are no images to decode")
    first = decode(paths[0], size)
    out = np.empty((len(paths), *first.shape), dtype=np.uint8)

    def fill(position: int) -> None:
        image = decode(paths[position], size)
        if image.shape != first.shape:
            raise ValueError(
                f"{paths[position]} has {image.shape[2]} x {image.shape[1]} pixels where {paths[0].name} has "
                f"{first.shape[2]} x {first.shape[1]}; give image_size to bring all to one size"
            )
        out[position] = image

    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        # Decoding releases the interpreter lock; list() brings the first error to the surface.
        list(pool.map(fill, range(len(paths)), chunksize=64))
    return out


TRAIN, VALIDATION, TEST = ("train",), ("validation", "val", "valid"), ("test",)


def _subfolders(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _images(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())


def read_image_folder(folder: Path, image_size: int | None = None) -> RawData:
    """Read ``folder/CLASS/*.png`` or ``folder/{train,validation,test}/CLASS/*.png`` (jpg and jpeg too).

    Parameters
    ----------
    folder : Path
        The folder. If it has a folder ``train``, its parts are read as they are: ``validation`` (or ``val``,
        ``valid``) and ``test`` are optional. Else each folder in it is a class.
    image_size : int, optional
        Side of the square that each image is resized and cropped to; needed if they differ in size.

    Raises
    ------
    ValueError
        If there are fewer than two classes, a class without images, or a part with a class that the
        training part has not.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no image folder {folder}")
    parts = {name: next((folder / n for n in names if (folder / n).is_dir()), None) for name, names in
             (("train", TRAIN), ("validation", VALIDATION), ("test", TEST))}  # fmt: skip
    if parts["train"] is None:
        parts = {"train": folder, "validation": None, "test": None}
    train = parts["train"]
    assert train is not None
    classes = [entry.name for entry in _subfolders(train)]
    if len(classes) < 2:
        raise ValueError(f"{train} must hold one folder a class, at least two; it holds {len(classes)}")
    position = {name: k for k, name in enumerate(classes)}
    arrays: list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]] | None] = []
    targets: list[np.ndarray[tuple[int, ...], np.dtype[np.int64]] | None] = []
    for part in parts.values():
        if part is None:
            arrays.append(None)
            targets.append(None)
            continue
        files: list[Path] = []
        y: list[int] = []
        for entry in _subfolders(part):
            if entry.name not in position:
                raise ValueError(f"{entry} is a class that the training part {train} does not have")
            found = _images(entry)
            if not found and part is train:
                raise ValueError(f"{entry} holds no PNG or JPEG image; remove the folder or fill it")
            files += found
            y += [position[entry.name]] * len(found)
        arrays.append(decode_all(files, image_size))
        targets.append(np.array(y, dtype=np.int64))
    x_train, y_train = arrays[0], targets[0]
    assert x_train is not None
    assert y_train is not None
    for name, x in zip(parts, arrays):
        if x is not None and x.shape[1:] != x_train.shape[1:]:
            raise ValueError(
                f"the {name} images of {folder} have {x.shape[3]} x {x.shape[2]} pixels where the training "
                f"images have {x_train.shape[3]} x {x_train.shape[2]}; give image_size"
            )
    return RawData(x_train, y_train, arrays[2], targets[2], arrays[1], targets[1], class_names=tuple(classes))


N_CLASSES = 200
PER_CLASS = {"train": 500, "val": 50}
SITES = ("https://cs231n.stanford.edu/", "http://cs231n.stanford.edu/")
WORDNET_IDS = PublishedFile("wnids.txt")
ANNOTATIONS = PublishedFile("val/val_annotations.txt")


def read_tiny_imagenet(folder: Path, verify: bool) -> RawData:
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
            read=read_tiny_imagenet,
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
