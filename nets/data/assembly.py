"""From raw arrays to a data set: split, convert, normalise."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nets.data.dataset import BatchAugmentation, Dataset
from nets.data.source import RawData
from nets.data.split import part_size, stratified_split
from nets.tasks import CLASSIFICATION, Task

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
