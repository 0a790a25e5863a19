"""From what a user gives (a name, a pair, torch data sets, a folder) to a `Dataset` or a `Stream`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from nets.data.augmentation import Augmentation
from nets.data.batches import mapped_arrays, tensors
from nets.data.dataset import BatchAugmentation, Dataset, part_size, stratified_split
from nets.data.folder import data_folder, read
from nets.data.image_folder import read_image_folder
from nets.data.pairs import read_arrays, stack_samples, task_of
from nets.data.source import Progress, RawData, Source
from nets.data.stream import Stream, collates, is_streamed
from nets.registry import data_sets
from nets.tasks import CLASSIFICATION, NextToken, Task, named_task

#: Inputs whose float32 form takes more bytes than this stay uint8 and are normalised batch by batch.
FLOAT_LIMIT = 2**28


def assemble(
    raw: RawData,
    name: str,
    *,
    seed: int,
    validation: int | float,
    test: int | float,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    scale: float = 255.0,
    augmentation: BatchAugmentation | None = None,
    task: Task = CLASSIFICATION,
) -> Dataset:
    """Make a data set of what a reader returned.

    A part that is missing is split off the training part by seed, class by class where there are classes:
    first the test part, then the validation part. Float inputs are taken as they are. Inputs in bytes are
    normalised by `mean` and `std`, or by those of the training part where they are None: per channel for (n,
    channels, height, width), else one for all.
    """
    x, y = raw.x_train, raw.y_train

    def strata(targets: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return targets if task.targets == "classes" else np.zeros(len(targets))

    if raw.x_test is None or raw.y_test is None:
        kept, held = stratified_split(strata(y), part_size(test, len(y), "test"), seed)
        x, y, x_test, y_test = x[kept], y[kept], x[held], y[held]
    else:
        x_test, y_test = raw.x_test, raw.y_test
    if raw.x_validation is None or raw.y_validation is None:
        kept, held = stratified_split(strata(y), part_size(validation, len(y), "validation"), seed)
        x, y, x_validation, y_validation = x[kept], y[kept], x[held], y[held]
    else:
        x_validation, y_validation = raw.x_validation, raw.y_validation
    means = deviations = None
    if x.dtype == np.uint8:
        if mean is not None and std is not None:
            means, deviations = torch.tensor(mean), torch.tensor(std)
        else:
            means, deviations = channel_statistics(x, scale)
    y, y_validation, y_test = (targets_of(part, task) for part in (y, y_validation, y_test))
    data = Dataset(
        name=name,
        x_train=_tensor(x),
        y_train=_tensor(y),
        x_validation=_tensor(x_validation),
        y_validation=_tensor(y_validation),
        x_test=_tensor(x_test),
        y_test=_tensor(y_test),
        n_classes=len(raw.class_names) if task.targets == "classes" else outputs(x, y, task),
        augmentation=augmentation,
        mean=means,
        std=deviations,
        scale=scale,
        class_names=raw.class_names,
        task=task,
    )
    size = 4 * (len(x) + len(x_validation) + len(x_test)) * int(np.prod(x.shape[1:]))
    return data if size > FLOAT_LIMIT else data.as_float()


def targets_of(y: npt.NDArray[Any], task: Task) -> npt.NDArray[Any]:
    """Return targets in the dtype that a task's have."""
    if task.targets == "floats" or (task.targets == "any" and y.dtype.kind == "f"):
        return y.astype(np.float32)
    return y.astype(np.int64)


def outputs(x: npt.NDArray[Any], y: npt.NDArray[Any], task: Task) -> int:
    """Return how many numbers a network returns for a sample (or pixel, or token).

    As many as a target of floats has; of integers one for each from 0 to the largest.
    """
    if y.dtype.kind == "f":
        return int(np.prod(y.shape[1:], dtype=np.int64))
    ignored = getattr(task.loss, "ignore_index", -1)
    largest = int(y[y != ignored].max(initial=0))
    if x.dtype == np.int64:  # tokens: what goes in may come out
        largest = max(largest, int(x.max(initial=0)))
    return largest + 1


def channel_statistics(x: npt.NDArray[np.uint8], scale: float) -> tuple[Tensor, Tensor]:
    """Return the mean and standard deviation, divided by `scale`, from exact counts of the 256 byte values.

    A channel that is constant gets the deviation of one raw step, so that it is normalised to zero.
    """
    channels = x.swapaxes(0, 1).reshape(x.shape[1], -1) if x.ndim == 4 else x.reshape(1, -1)
    values = np.arange(256) / scale
    mean, std = np.empty(len(channels)), np.empty(len(channels))
    for k, channel in enumerate(channels):
        share = np.bincount(channel.reshape(-1), minlength=256) / channel.size
        mean[k] = share @ values
        std[k] = np.sqrt(share @ (values - mean[k]) ** 2)
    std = np.where(std > 0, std, 1.0 / scale)
    shape = (-1,) if x.ndim == 4 else ()
    return (
        torch.from_numpy(mean.astype(np.float32)).reshape(shape),
        torch.from_numpy(std.astype(np.float32)).reshape(shape),
    )


def _tensor(array: npt.NDArray[Any]) -> Tensor:
    return torch.from_numpy(
        np.array(array, order="C")
    )  # a copy: what the user does to the array later is not seen


DataSpec = (
    str
    | os.PathLike[str]
    | tuple[Any, ...]
    | list[Any]
    | Dataset
    | Stream
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
) -> Dataset | Stream:
    """Load a data set: as tensors on the CPU, or as a stream of batches where it is given as loaders.

    Parameters
    ----------
    spec : str, path, arrays, Dataset, Stream, torch data sets, loaders or callable
        A name (digits, mnist, fashion-mnist, cifar10, cifar100, tiny-imagenet), the path of an image folder
        (a path object, or text with a "/"), arrays or tensors (x, y) or (x_train, y_train, x_test, y_test), a
        torch data set or loader, or several of them (train, test) or (train, validation, test), a data object
        (returned as it is), or a "package.module:factory" string or a callable without arguments that
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
    FileNotFoundError, nets.data.source.DownloadError
        If the files are not there, and may not or cannot be downloaded.
    """
    named = None if task is None else named_task(task)
    data = _made(spec)
    if isinstance(data, Dataset):
        return data if named is None or data.task == named else replace(data, task=named)
    if isinstance(data, Stream):
        if named is not None and data.task != named:
            raise ValueError(f"this stream has the task {data.task.name} already; name the task there alone")
        return data
    name = "arrays"
    held_out: tuple[Any, Any] | None = None
    if is_streamed(data):
        sets = data if isinstance(data, (tuple, list)) else (data,)
        arrays = _held(sets)
        if arrays is None:
            return Stream(
                sets[0],
                sets[-1] if len(sets) > 1 else None,
                sets[1] if len(sets) > 2 else None,
                task=named,
                seed=seed,
                hold_out_validation=VALIDATION if validation is None else validation,
                hold_out_test=test,
            )
        name, data = type(sets[0]).__name__, (*arrays[0], *(arrays[-1] if len(arrays) > 1 else ()))
        held_out = arrays[1] if len(arrays) > 2 else None
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
        raw = read_arrays(*data, task=named, tokens=tokens)
        if held_out is not None:
            beside = read_arrays(data[0], data[1], *held_out, task=named, tokens=tokens)
            raw = replace(raw, x_validation=beside.x_test, y_validation=beside.y_test)
    elif isinstance(data, Source):
        name = data.name
        raw = read(data, data_folder(data_dir), fetch=download, verify=verify, progress=progress)
        default_validation, usual = data.validation, data.augmentation
        mean, std, scale = data.mean, data.std, data.scale
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


#: Torch data sets of more bytes than this are read while a training runs.
HELD = 2**31


def _made(spec: DataSpec) -> object:
    """Return what a factory makes, by import path or callable; anything else as it is."""
    found: object = spec
    if isinstance(spec, str) and "/" not in spec:
        found = data_sets.find(spec)
        if isinstance(found, Source):
            return found
    made = found() if callable(found) else found
    return _made(made) if made is not found and isinstance(made, str) else made


def _held(sets: Sequence[Any]) -> list[tuple[Any, Any]] | None:
    """Return the arrays of torch data sets that may be held in memory; None for those that are streamed.

    Streamed are loaders, data sets without a length, those that give another sample whenever they are asked,
    large ones, and those whose samples are no pairs.

    Raises
    ------
    TypeError
        If samples are neither pairs of one shape nor anything that torch makes batches of.
    """
    arrays = []
    for samples in sets:
        if isinstance(samples, (DataLoader, IterableDataset)):
            return None
        if not isinstance(samples, TensorDataset) and len(samples):
            first, again = samples[0], samples[0]
            if repr(first) != repr(again):
                return None
            if sum(x.nbytes for x in tensors(mapped_arrays(first))) * len(samples) > HELD:
                return None
        try:
            arrays.append(stack_samples(samples))
        except TypeError:
            if not collates(samples):
                raise
            return None
    return arrays
