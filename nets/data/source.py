"""What a data set's file declares: where its files come from, how they are read, how they are normalised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nets.data.augmentation import Augmentation


@dataclass(frozen=True)
class PublishedFile:
    """A file as its authors publish it.

    Parameters
    ----------
    name : str
        File name.
    md5 : tuple of str
        Digests accepted for it: of the published file first, then of its decompressed content if that is
        known. Empty where none is known.
    size : int
        Bytes of the published file; 0 where unknown.
    urls : tuple of str
        Where it is fetched from, in this order.
    """

    name: str
    md5: tuple[str, ...] = ()
    size: int = 0
    urls: tuple[str, ...] = ()


@dataclass(frozen=True)
class RawData:
    """What a reader returns: arrays as the files hold them, images as (n, channels, height, width).

    `x_test` and `y_test` are None where the data set has no test part of its own; one is then split off. The
    same holds for the validation part.
    """

    x_train: npt.NDArray[Any]
    y_train: npt.NDArray[Any]
    x_test: npt.NDArray[Any] | None = None
    y_test: npt.NDArray[Any] | None = None
    x_validation: npt.NDArray[Any] | None = None
    y_validation: npt.NDArray[Any] | None = None
    class_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Form:
    """One of the forms in which a data set is published.

    Parameters
    ----------
    folders : tuple of str
        Where the files may lie, relative to the data folder; the first is where a download goes.
    files : tuple of PublishedFile
        The files that must be there (an IDX file may also lie there without its ``.gz``).
    read : callable
        ``read(folder, verify)`` returns RawData; `verify` asks for the md5 of each file to be checked.
    archive : PublishedFile, optional
        The archive that holds the files below a folder named like the first of `folders`; without one, the
        files are fetched one by one.
    unpacked_size : int
        Bytes that the unpacked archive may take at most.
    """

    folders: tuple[str, ...]
    files: tuple[PublishedFile, ...]
    read: Callable[[Path, bool], RawData]
    archive: PublishedFile | None = None
    unpacked_size: int = 0

    @property
    def downloads(self) -> tuple[PublishedFile, ...]:
        """The files that are fetched: the archive, or else each file."""
        return (self.archive,) if self.archive else self.files


@dataclass(frozen=True)
class Source:
    """A data set known by name.

    Parameters
    ----------
    name : str
        Lower case, words joined by hyphens.
    title : str
        What it is, in one line.
    n_classes : int
        Number of classes.
    input_shape : tuple of int
        Shape of one sample.
    n_train, n_test : int
        Published sizes; `n_test` is 0 if there is no published test part.
    mean, std : tuple of float
        Per-channel mean and standard deviation of the training part, on the scale [0, 1].
    reference : str
        Who published it.
    forms : tuple of Form
        The forms in which it is read, the one that is downloaded first; empty for bundled data.
    bundled : callable, optional
        Reads the copy that comes with a dependency.
    scale : float
        Raw value that stands for 1.0.
    validation : int
        Samples of the training part held out by default.
    augmentation : Augmentation, optional
        The usual augmentation of its training part.
    """

    name: str
    title: str
    n_classes: int
    input_shape: tuple[int, ...]
    n_train: int
    n_test: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    reference: str
    forms: tuple[Form, ...] = ()
    bundled: Callable[[], RawData] | None = None
    scale: float = 255.0
    validation: int = 0
    augmentation: Augmentation | None = None


def labels(values: Any, n_classes: int, where: object) -> npt.NDArray[np.int64]:
    """Return class indices as int64, refusing what is not in 0 .. n_classes - 1."""
    y = np.asarray(values)
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise ValueError(f"{where}: labels must be a list of integers, got shape {y.shape} of {y.dtype}")
    if y.size and not (y.min() >= 0 and y.max() < n_classes):
        raise ValueError(
            f"{where}: labels reach from {y.min()} to {y.max()}; they must lie in 0 .. {n_classes - 1}"
        )
    return y.astype(np.int64)
