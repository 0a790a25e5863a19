"""What a data set's file declares: where its files come from, how they are read, how they are normalised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nets.data.dataset import Augmentation


@dataclass(frozen=True)
class PublishedFile:
    """One file of a published data set.

    `md5` are the digests accepted for the file: more than one where several forms are in circulation.
    """

    name: str
    md5: tuple[str, ...]
    size: int
    urls: tuple[str, ...] = ()


@dataclass(frozen=True)
class RawData:
    """What a reader returns: arrays as the files hold them, images as (n, channels, height, width).

    `x_test` is None where the data set publishes no test part; one is then split off.
    """

    x_train: npt.NDArray[np.uint8]
    y_train: npt.NDArray[np.int64]
    x_test: npt.NDArray[np.uint8] | None = None
    y_test: npt.NDArray[np.int64] | None = None
    class_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """A named data set.

    Parameters
    ----------
    name : str
        Its name, lower case, words joined by hyphens.
    title : str
        One line: what it is.
    n_classes : int
        Number of classes.
    input_shape : tuple of int
        Shape of one sample.
    n_train, n_test : int
        Published sizes; `n_test` 0 if there is no published test part.
    folders : tuple of str
        Folders, relative to the data folder, where its files may lie.
    files : tuple of PublishedFile
        What is published (and downloaded); empty for a data set that comes with a dependency.
    read : callable
        (folder, verify) -> RawData.
    mean, std : tuple of float
        Per-channel mean and standard deviation of the training part on the scale [0, 1].
    scale : float
        Raw value that stands for 1.0.
    validation : int
        Samples of the training part held out by default.
    augmentation : callable, optional
        The usual augmentation of its training part.
    reference : str
        Who published it.
    remedy : str
        How to get it by hand.
    """

    name: str
    title: str
    n_classes: int
    input_shape: tuple[int, ...]
    n_train: int
    n_test: int
    folders: tuple[str, ...]
    files: tuple[PublishedFile, ...]
    read: Callable[[Path, bool], RawData]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: float = 255.0
    validation: int = 0
    augmentation: Augmentation | None = None
    reference: str = ""
    remedy: str = ""
