"""Load any data: a name, an image folder, arrays, a data object, or a factory."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch.utils.data

from nets.data.assembly import assemble
from nets.data.augmentation import Augmentation
from nets.data.dataset import BatchAugmentation, Dataset
from nets.data.download import Progress
from nets.data.folder import data_folder, read
from nets.data.image_folder import read_image_folder
from nets.data.pairs import read_arrays, stack_samples, task_of
from nets.data.registry import source
from nets.registry import import_object, is_import_path
from nets.tasks import CLASSIFICATION, NextToken, Task, named_task

DataSpec = (
    str
    | os.PathLike[str]
    | tuple[Any, ...]
    | list[Any]
    | Dataset
    | torch.utils.data.Dataset[Any]
    | Callable[[], Any]
)

#: Share of the training part held out for validation where the data set does not say.
VALIDATION = 0.1


def load(
    spec: DataSpec,
    *,
    task: str | Task | None = None,
    tokens: bool | None = None,
    seed: int = 0,
    data_dir: str | os.PathLike[str] | None = None,
    validation: int | float | None = None,
    test: int | float = 0.2,
    augmentation: BatchAugmentation | Literal["usual"] | None = "usual",
    image_size: int | None = None,
    download: bool = True,
    verify: bool = True,
    progress: Progress | None = None,
) -> Dataset:
    """Load a data set as tensors on the CPU.

    Parameters
    ----------
    spec : str, path, (x, y), (x_train, y_train, x_test, y_test), Dataset, torch data set or callable
        A name (digits, mnist, fashion-mnist, cifar10, cifar100, tiny-imagenet), the path of an image folder
        (a path object, or text with a "/"), arrays or tensors, a torch data set of (input, label), a data
        object (returned as it is), or a "package.module:factory" string or a callable without arguments that
        returns any of these.
    task : str or Task, optional
        What the targets mean (see `nets.tasks.named_task`); default: regression for floats, else
        classification.
    tokens : bool, optional
        Whether the inputs of arrays are token ids, which stay integers; default: for a language model.
    seed : int
        Split seed: fixes which samples are held out. It is not the training seed, so that runs with different
        training seeds compare on the same validation part.
    data_dir : path, optional
        Data folder; default: the environment variable CONCAVE_SPARSITY_DATA, else concave-sparsity in the
        cache folder of the user (XDG_CACHE_HOME, else ~/.cache).
    validation : int or float, optional
        Samples (int) or share (float) of the training part held out for validation; default: the data set's
        own (180 for digits, 5,000 for MNIST and CIFAR, 10,000 for Tiny-ImageNet), a tenth for other data.
    test : int or float
        Samples or share held out first, where the data have no test part of their own.
    augmentation : callable, "usual" or None
        What `Dataset.augment` does: the data set's usual one (crop and flip for photographs, nothing for
        digits and clothes), None for nothing, or a callable such as ``nets.data.Augmentation(pad=4,
        cutout=8)``.
    image_size : int, optional
        For image folders: side of the square that each image is resized and cropped to.
    download : bool
        Fetch a published data set that is not in the data folder.
    verify : bool
        Check the md5 of the files of a named data set against the published ones.
    progress : callable, optional
        Called with (bytes so far, bytes in all) during a download; default: a bar, on a terminal.

    Raises
    ------
    ValueError, TypeError
        If the name is unknown or the data are malformed or not the published ones.
    FileNotFoundError, nets.data.download.DownloadError
        If the files are not there, and may not or cannot be downloaded.
    """
    named = None if task is None else named_task(task)
    data = _made(spec)
    if isinstance(data, Dataset):
        return data if named is None or data.task == named else replace(data, task=named)
    tokens = tokens if tokens is not None else named is not None and isinstance(named.loss, NextToken)
    default_validation: int | float = VALIDATION
    usual: BatchAugmentation | None = None
    mean = std = None
    scale = 255.0
    if isinstance(data, (tuple, list)):
        if len(data) not in (2, 4):
            raise TypeError(
                f"arrays must be (x, y) or (x_train, y_train, x_test, y_test), got {len(data)} of them"
            )
        named = task_of(data[1], named)
        name, raw = "arrays", read_arrays(*data, task=named, tokens=tokens)
    elif isinstance(data, torch.utils.data.Dataset):
        x, y = stack_samples(data)
        named = task_of(y, named)
        name, raw = type(data).__name__, read_arrays(x, y, task=named, tokens=tokens)
    elif isinstance(data, str) and "/" not in data:
        known = source(data)
        name, raw = (
            known.name,
            read(known, data_folder(data_dir), fetch=download, verify=verify, progress=progress),
        )
        default_validation, usual = known.validation, known.augmentation
        mean, std, scale = known.mean, known.std, known.scale
    elif isinstance(data, (str, os.PathLike)):
        folder = Path(data).expanduser()
        name, raw = folder.name, read_image_folder(folder, image_size)
        usual = Augmentation(pad=max(raw.x_train.shape[2:]) // 8, flip=True)
    else:
        raise TypeError(
            "data must be a name, the path of an image folder, (x, y), a data set or a factory of these, "
            f"got {type(data).__name__}"
        )
    return assemble(
        raw,
        name,
        seed=seed,
        validation=default_validation if validation is None else validation,
        test=test,
        mean=mean,
        std=std,
        scale=scale,
        augmentation=usual if augmentation == "usual" else augmentation,
        task=CLASSIFICATION if named is None else named,
    )


def _made(spec: DataSpec) -> object:
    """Return what a factory makes, by import path or callable; anything else as it is."""
    found = import_object(spec) if isinstance(spec, str) and is_import_path(spec) else spec
    return found() if callable(found) else found
