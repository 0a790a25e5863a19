"""A data set in memory: tensors in three parts, their split, normalisation and fingerprint."""

from __future__ import annotations

import functools
import hashlib
import math
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nets.seeds import derive
from nets.tasks import CLASSIFICATION, Task


def part_size(part: int | float, n: int, what: str) -> int:
    """Return the number of samples that `part` asks of `n`: a count (int) or a share (float below 1).

    Raises
    ------
    ValueError
        If it is negative, a share of 1 or more, or leaves no sample for training.
    """
    if isinstance(part, bool) or not isinstance(part, (int, float, np.integer, np.floating)):
        raise TypeError(f"{what} must be a count (int) or a share (float), got {part!r}")
    if isinstance(part, (float, np.floating)):
        if not 0.0 <= part < 1.0:
            raise ValueError(f"{what}={part!r} is a share and must lie in [0, 1); give a count as an int")
        size = round(float(part) * n)
    else:
        size = int(part)
    if not 0 <= size < n:
        raise ValueError(
            f"{what}={part!r} asks for {size} of {n} samples; it must leave at least one to train on"
        )
    return size


def stratified_split(
    labels: npt.ArrayLike, size: int, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Split 0 .. n-1 into (kept, held out) with `size` held out, in proportion to the classes.

    Each class gives its share rounded down; what is missing goes to the largest remainders, ties to the
    smaller class, and to a class that would be held out whole only when no other is left. Both results are
    sorted, so that the order of the data is kept.

    Parameters
    ----------
    labels : array of int, shape (n,)
        Class indices.
    size : int
        Number of samples to hold out, 0 <= size < n, or 0 of none.
    seed : int
        Fixes the choice (PCG64), the same on every platform and numpy version.
    """
    y = np.asarray(labels)
    n = len(y)
    held = np.zeros(n, dtype=bool)
    if size:
        # Raw bits of a bit generator are the same in every numpy version; a Generator's draws need not be.
        order = np.argsort(np.random.PCG64(seed).random_raw(n), kind="stable")
        _, inverse, counts = np.unique(y, return_inverse=True, return_counts=True)
        quota = counts * size // n
        remainder = counts * size - quota * n
        emptied = quota + 1 >= counts
        quota[np.lexsort((-remainder, emptied))[: size - int(quota.sum())]] += 1
        # Rank of each sample within its class, in the random order.
        shuffled = inverse[order]
        by_class = np.argsort(shuffled, kind="stable")
        rank = np.empty(n, dtype=np.int64)
        rank[by_class] = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)
        held[order] = rank < quota[shuffled]
    return np.flatnonzero(~held), np.flatnonzero(held)


#: A batched augmentation, (images, generator, fill) -> images of the same shape and dtype; see
#: nets.data.Augmentation.
BatchAugmentation = Callable[[Tensor, torch.Generator, Tensor | float], Tensor]

DTYPES = (torch.float32, torch.uint8, torch.int64)
#: Bytes of shuffled inputs gathered in one call; batches are views of them.
GATHER = 2**26

#: Samples in one batch of an evaluation: nothing is shuffled, results depend on it by rounding alone.
BATCH = 2500

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set held as tensors, all of them on one device.

    Inputs are stored either as float32, normalised already, or as uint8 where the float form would be large
    (more than 256 MiB); `normalise` turns a batch of either into float32, so that a training loop always
    reads ``data.normalise(data.augment(data.x_train[index], generator))``.

    Parameters
    ----------
    name : str
        Name of the data set.
    x_train, x_validation, x_test : Tensor
        Inputs, shape (n, ...): float32 (normalised), uint8 (raw), or int64 (tokens, for networks that embed
        them). Images are (n, channels, height, width). The validation part may be empty.
    y_train, y_validation, y_test : Tensor
        Targets: class indices 0 .. n_classes - 1, shape (n,), int64; for tasks of other targets float32 or
        int64 of any shape (n, ...).
    n_classes : int
        Number of classes; for a task without classes, of numbers that a network returns for a sample.
    augmentation : callable, optional
        Applied to training batches by `augment`; None trains on the images as they are.
    mean, std : Tensor, optional
        Per-channel mean and standard deviation of the raw inputs divided by `scale`, shape (channels,) or ().
        Needed with uint8 inputs; with float inputs they tell what normalisation was applied.
    scale : float
        Raw value that stands for 1.0 (255 for bytes).
    class_names : tuple of str
        Names of the classes, in order; empty if they have none.
    task : Task
        What the targets mean: the loss that networks are trained by and the metric that they are judged by.

    Raises
    ------
    ValueError, TypeError
        If shapes, dtypes or labels do not fit together.
    """

    name: str
    x_train: Tensor
    y_train: Tensor
    x_validation: Tensor
    y_validation: Tensor
    x_test: Tensor
    y_test: Tensor
    n_classes: int
    augmentation: BatchAugmentation | None = None
    mean: Tensor | None = None
    std: Tensor | None = None
    scale: float = 255.0
    class_names: tuple[str, ...] = ()
    task: Task = CLASSIFICATION

    def __post_init__(self) -> None:
        for part in PARTS:
            x, y = self.part(part)
            if x.dtype not in DTYPES or x.dtype != self.x_train.dtype:
                raise TypeError(
                    f"x_{part} must be float32, uint8 or int64, the same for all parts, got {x.dtype}"
                )
            self._refuse_targets(part, y)
            if x.dim() < 2 or x.shape[1:] != self.x_train.shape[1:]:
                expected = ", ".join(map(str, self.x_train.shape[1:]))
                raise ValueError(f"x_{part} must have shape (n, {expected}), got {tuple(x.shape)}")
            if len(y) != len(x) or (y.dim() > 1 and self.task.targets == "classes"):
                raise ValueError(
                    f"y_{part} must have shape ({len(x)},) to match x_{part}, got {tuple(y.shape)}"
                )
            # On an accelerator this would wait for the device; what is there was checked on its way.
            if y.device.type == "cpu" and len(y) and self.task.targets == "classes":
                low, high = int(y.min()), int(y.max())
                if low < 0 or high >= self.n_classes:
                    raise ValueError(
                        f"y_{part} holds labels {low} to {high}; they must lie in 0 .. {self.n_classes - 1}"
                    )
        if self.n_train == 0:
            raise ValueError(f"data set {self.name!r} has no training samples")
        if self.x_train.dtype == torch.uint8 and (self.mean is None or self.std is None):
            raise ValueError("uint8 inputs need mean and std to be normalised by")
        object.__setattr__(self, "task", self.task.fitted(self.y_train))

    def _refuse_targets(self, part: str, y: Tensor) -> None:
        wanted = {"classes": (torch.int64,), "integers": (torch.int64,), "floats": (torch.float32,)}
        allowed = wanted.get(self.task.targets, (torch.int64, torch.float32))
        if y.dtype not in allowed:
            raise TypeError(
                f"y_{part} must be {' or '.join(str(d).removeprefix('torch.') for d in allowed)} for the "
                "task "
                f"{self.task.name}, got {y.dtype}"
            )
        if y.dim() < 1 or y.shape[1:] != self.y_train.shape[1:]:
            raise ValueError(
                f"y_{part} must have shape (n, {', '.join(map(str, self.y_train.shape[1:]))}), got "
                f"{tuple(y.shape)}"
            )

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input, e.g. (1, 28, 28)."""
        return tuple(self.x_train.shape[1:])

    @property
    def n_train(self) -> int:
        """Number of training samples."""
        return len(self.x_train)

    @property
    def device(self) -> torch.device:
        """The device that holds the tensors."""
        return self.x_train.device

    @property
    def nbytes(self) -> int:
        """Bytes of the inputs and labels."""
        return sum(tensor.nbytes for part in PARTS for tensor in self.part(part))

    def part(self, name: str) -> tuple[Tensor, Tensor]:
        """Return (inputs, labels) of "train", "validation" or "test", as stored."""
        if name not in PARTS:
            raise ValueError(f"unknown part {name!r}; choose one of {', '.join(PARTS)}")
        return getattr(self, f"x_{name}"), getattr(self, f"y_{name}")

    def has(self, part: str) -> bool:
        """Tell whether there are samples in a part."""
        return len(self.part(part)[1]) > 0

    def fits(self, batch_size: int) -> int:
        """Return the batch size of a training that asks for `batch_size`: no more than there are samples."""
        return min(batch_size, self.n_train)

    def steps_per_epoch(self, batch_size: int) -> int:
        """Return the steps of an epoch; the last, incomplete batch is left out."""
        return self.n_train // self.fits(batch_size)

    def batches(
        self, batch_size: int, *, seed: int, step: int, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (inputs, target) of the epoch that `step` lies in, from that step on, augmented."""
        size, steps = self.fits(batch_size), self.steps_per_epoch(batch_size)
        shuffling = torch.Generator().manual_seed(derive(seed, "order", step // steps))
        order = torch.randperm(self.n_train, generator=shuffling)[: steps * size]
        order = order[(step % steps) * size :].to(self.device)
        bytes_a_batch = size * max(1, math.prod(self.input_shape)) * self.x_train.element_size()
        for index in torch.split(order, size * max(1, GATHER // bytes_a_batch)):
            for x, y in zip(torch.split(self.x_train[index], size), torch.split(self.y_train[index], size)):
                yield self.normalise(self.augment(x, generator)), y

    def part_batches(self, part: str) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield all (inputs, target) of "train", "validation" or "test", in order, not augmented."""
        x, y = self.part(part)
        for a, b in zip(torch.split(x, BATCH), torch.split(y, BATCH)):
            yield self.normalise(a), b

    def draw(
        self, samples: int, generator: torch.Generator, chunk: int = 256
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield training samples drawn by the generator, not augmented."""
        order = torch.randperm(self.n_train, generator=generator)[:samples].to(self.device)
        for index in torch.split(order, chunk):
            yield self.normalise(self.x_train[index]), self.y_train[index]

    def example(self, n: int) -> Tensor:
        """Return the inputs of the first n training samples: what a network is tried on."""
        return self.normalise(self.x_train[:n])

    def example_target(self, n: int) -> Tensor:
        """Return their targets."""
        return self.y_train[:n]

    def to(self, device: torch.device | str) -> Dataset:
        """Return the data set with every tensor on `device` (itself if it is there already)."""
        tensors = {f.name: v for f in fields(self) if isinstance(v := getattr(self, f.name), Tensor)}
        moved: dict[str, Any] = {name: tensor.to(device) for name, tensor in tensors.items()}
        if all(moved[name] is tensors[name] for name in tensors):
            return self
        return replace(self, **moved)

    def normalise(self, x: Tensor) -> Tensor:
        """Return a uint8 batch as float32, zero mean and unit variance a channel; any other as it is."""
        if x.dtype != torch.uint8:
            return x
        factor, shift = self._normalisation
        return x.to(torch.float32).mul_(factor).add_(shift)

    @cached_property
    def _normalisation(self) -> tuple[Tensor, Tensor]:
        """Factor and shift of `normalise`, shaped to broadcast over a batch."""
        if self.mean is None or self.std is None:
            raise ValueError("this data set has no mean and std to normalise uint8 inputs by")
        shape = (-1,) + (1,) * (self.x_train.dim() - 2)
        return (1.0 / (self.scale * self.std)).reshape(shape), (-self.mean / self.std).reshape(shape)

    def augment(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return an augmented training batch (the batch itself where the data set has no augmentation)."""
        if self.augmentation is None:
            return x
        fill: Tensor | float = 0.0
        if x.dtype == torch.float32 and self.mean is not None and self.std is not None:
            fill = -self.mean / self.std  # what a black pixel became
        return self.augmentation(x, generator, fill)

    def as_float(self) -> Dataset:
        """Return the data set with its inputs stored as normalised float32 (itself if they are already)."""
        if self.x_train.dtype != torch.uint8:
            return self
        x: dict[str, Any] = {f"x_{part}": self.normalise(self.part(part)[0]) for part in PARTS}
        return replace(self, **x)

    def subset(self, n_train: int | float, *, seed: int = 0) -> Dataset:
        """Return the data set with `n_train` training samples (a count or a share), chosen class by class."""
        if isinstance(n_train, int) and n_train == self.n_train:
            return self
        size = part_size(n_train, self.n_train, "n_train")
        if size == 0:
            raise ValueError(f"n_train={n_train!r} leaves no training sample")
        classes = self.y_train.cpu().numpy() if self.task.targets == "classes" else np.zeros(self.n_train)
        _, chosen = stratified_split(classes, size, seed)
        index = torch.from_numpy(chosen).to(self.device)
        return replace(self, x_train=self.x_train[index], y_train=self.y_train[index])

    def fingerprint(self) -> str:
        """Return the sha256 of what a training sees: inputs, targets, split, normalisation, augmentation.

        An augmentation that is not made of plain values counts by its module and name, the same in every
        process; what it does inside is not seen. The task is no part of it.
        """
        digest = hashlib.sha256()
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                array: np.ndarray[Any, Any] = np.ascontiguousarray(value.cpu().numpy())
                digest.update(f"{field.name}:{array.dtype.str}:{array.shape};".encode())
                digest.update(array.data if array.size else b"")
            elif field.name == "augmentation":
                digest.update(f"{field.name}={lasting_name(value)};".encode())
            elif field.name not in ("name", "task"):
                digest.update(f"{field.name}={value!r};".encode())
        return digest.hexdigest()


def lasting_name(value: Any) -> str:
    """Return a text of an object that is the same in every process: no memory address is in it.

    Plain values and dataclasses of them are their own text; functions and classes are named by module and
    name, partial functions with their arguments, other objects by their class and their attributes.
    """
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return repr(value)
    if isinstance(value, (tuple, list)):
        inside = ", ".join(map(lasting_name, value))
        return f"[{inside}]" if isinstance(value, list) else f"({inside})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k!r}: {lasting_name(v)}" for k, v in sorted(value.items(), key=repr)) + "}"
    if isinstance(value, (Tensor, np.ndarray)):
        array = value.cpu().numpy() if isinstance(value, Tensor) else value
        return f"{array.dtype.str}{array.shape}{hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()}"
    if isinstance(value, functools.partial):
        inside = ", ".join(lasting_name(v) for v in (value.func, value.args, value.keywords))
        return f"partial({inside})"
    if isinstance(value, types.MethodType):
        return f"{lasting_name(value.__self__)}.{value.__name__}"
    if isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType)):
        return f"{value.__module__}.{value.__qualname__}"
    kind = type(value)
    if is_dataclass(value) and "<" not in repr(value):
        return repr(value)
    return f"{kind.__module__}.{kind.__qualname__}({lasting_name(dict(getattr(value, '__dict__', {})))})"
