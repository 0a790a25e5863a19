"""Any folder of images, one folder a class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nets.data.images import SUFFIXES, decode_all
from nets.data.source import RawData

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
