"""A folder of pictures, one subfolder a class: pictures are decoded to one size."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nets.data.source import RawData

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
