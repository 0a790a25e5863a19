"""Decode image files into one array of bytes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

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
