"""Load any data: a name, a pair of arrays, a data object, or a factory."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nets.data.dataset import Dataset
from nets.data.folder import VARIABLE, data_folder, find
from nets.data.pairs import from_pair
from nets.data.registry import source as named_source
from nets.data.source import RawData, Source
from nets.data.split import part_size, stratified_split

#: Inputs whose float32 form is larger than this many bytes stay uint8 and are normalised batch by batch.
FLOAT_LIMIT = 2**28

DataSpec = str | tuple[Any, Any] | Dataset | Callable[[], Any]


def load(
    spec: DataSpec,
    *,
    seed: int = 0,
    data_dir: str | os.PathLike[str] | None = None,
    validation: int | float | None = None,
    test: int | float = 0.2,
    download: bool = True,
    verify: bool = True,
) -> Dataset:
    """Load a data set as tensors on the CPU.

    Parameters
    ----------
    spec : str, (x, y), Dataset or callable
        A name (see `nets.data.registry.SOURCES`), a pair of arrays or tensors, a data object (returned as it
        is), a "package.module:factory" string or a callable without arguments that returns any of these.
    seed : int
        Split seed: fixes which samples are held out. It is not the training seed, so that runs with
        different training seeds compare on the same validation part.
    data_dir : path, optional
        Data folder; default: the environment variable CONCAVE_SPARSITY_DATA, else a cache folder.
    validation : int or float, optional
        Samples (int) or share (float) of the training part held out for validation; default: the data
        set's own (5,000 for MNIST), a tenth for pairs.
    test : int or float
        Held out first, where the data have no published test part.
    download : bool
        Fetch a published data set that is not in the data folder.
    verify : bool
        Check the files' md5 against the published ones.

    Raises
    ------
    ValueError, TypeError
        If the name is unknown or the data are malformed.
    FileNotFoundError
        If the files are not there and may not or cannot be downloaded.
    """
    if isinstance(spec, Dataset):
        return spec
    if isinstance(spec, str) and ":" not in spec:
        return _load_named(named_source(spec), data_folder(data_dir), seed, validation, test, verify)
    if isinstance(spec, (tuple, list)) and len(spec) == 2:
        return from_pair(
            spec[0], spec[1], seed=seed, validation=0.1 if validation is None else validation, test=test
        )
    raise TypeError(f"data must be a name, a pair (x, y), a Dataset or a factory, got {type(spec).__name__}")


def _load_named(
    source: Source, root: Path, seed: int, validation: int | float | None, test: int | float, verify: bool
) -> Dataset:
    folder = root if not source.files else find(source, root)
    if folder is None:
        raise FileNotFoundError(
            f"{source.name} is not in {root}; put {source.remedy} there, "
            f"or name your data folder by data_dir or the environment variable {VARIABLE}"
        )
    raw = source.read(folder, verify)
    return dataset_from_raw(source, raw, seed=seed, validation=validation, test=test)


def dataset_from_raw(
    source: Source, raw: RawData, *, seed: int, validation: int | float | None, test: int | float
) -> Dataset:
    """Split, convert and normalise what a reader returned."""
    x, y = raw.x_train, raw.y_train
    if raw.x_test is None or raw.y_test is None:
        kept, held = stratified_split(y, part_size(test, len(y), "test"), seed)
        x, y, x_test, y_test = x[kept], y[kept], x[held], y[held]
    else:
        x_test, y_test = raw.x_test, raw.y_test
    held_out = source.validation if validation is None else validation
    kept, held = stratified_split(y, part_size(held_out, len(y), "validation"), seed)
    data = Dataset(
        name=source.name,
        x_train=_tensor(x[kept]),
        y_train=_tensor(y[kept]),
        x_validation=_tensor(x[held]),
        y_validation=_tensor(y[held]),
        x_test=_tensor(x_test),
        y_test=_tensor(y_test),
        n_classes=source.n_classes,
        augmentation=source.augmentation,
        mean=torch.tensor(source.mean),
        std=torch.tensor(source.std),
        scale=source.scale,
        class_names=raw.class_names,
    )
    if 4 * (len(x) + len(x_test)) * int(np.prod(x.shape[1:])) > FLOAT_LIMIT:
        return data
    return data.as_float()


def _tensor(array: np.ndarray[Any, Any]) -> Tensor:
    return torch.from_numpy(np.array(array, order="C"))
