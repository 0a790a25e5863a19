"""The one data object: train, validation and test tensors, how to normalise them and how to augment them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

#: A batched augmentation: (images, generator, fill) -> images of the same shape and dtype.
Augmentation = Callable[[Tensor, torch.Generator, Tensor | float], Tensor]

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Dataset:
    """A classification data set held as tensors, all of them on one device.

    Inputs are stored either as float32, normalised already, or as uint8 where the float form would be
    large; `normalise` turns a batch of either into float32, so a training loop always reads
    ``data.normalise(data.augment(data.x_train[index], generator))``.

    Parameters
    ----------
    name : str
        Name of the data set.
    x_train, x_validation, x_test : Tensor
        Inputs, shape (n, ...), float32 (normalised) or uint8 (raw); images are (n, channels, height, width).
    y_train, y_validation, y_test : Tensor
        Class indices 0 .. n_classes - 1, shape (n,), int64.
    n_classes : int
        Number of classes.
    augmentation : callable, optional
        Applied to training batches by `augment`; None trains on the images as they are.
    mean, std : Tensor, optional
        Per-channel mean and standard deviation of the inputs divided by `scale`, shape (channels,) or ().
    scale : float
        Raw value that stands for 1.0 (255 for bytes).
    class_names : tuple of str
        Names of the classes, in order; empty if they have none.
    """

    name: str
    x_train: Tensor
    y_train: Tensor
    x_validation: Tensor
    y_validation: Tensor
    x_test: Tensor
    y_test: Tensor
    n_classes: int
    augmentation: Augmentation | None = None
    mean: Tensor | None = None
    std: Tensor | None = None
    scale: float = 255.0
    class_names: tuple[str, ...] = ()

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

    def part(self, name: str) -> tuple[Tensor, Tensor]:
        """Return (inputs, labels) of "train", "validation" or "test", as stored."""
        if name not in PARTS:
            raise ValueError(f"unknown part {name!r}; choose one of {', '.join(PARTS)}")
        return getattr(self, f"x_{name}"), getattr(self, f"y_{name}")

    def to(self, device: torch.device | str) -> Dataset:
        """Return the data set with every tensor on `device` (itself if it is there already)."""
        tensors = {f.name: v for f in fields(self) if isinstance(v := getattr(self, f.name), Tensor)}
        moved: dict[str, Any] = {name: tensor.to(device) for name, tensor in tensors.items()}
        if all(moved[name] is tensors[name] for name in tensors):
            return self
        return replace(self, **moved)

    def normalise(self, x: Tensor) -> Tensor:
        """Return a uint8 batch as float32 of zero mean and unit variance a channel; a float batch as it is."""
        if x.dtype != torch.uint8:
            return x
        x = x.to(torch.float32)
        if self.mean is None or self.std is None:
            return x / self.scale
        shape = (-1,) + (1,) * (x.dim() - 2)
        factor = (1.0 / (self.scale * self.std)).reshape(shape)
        shift = (-self.mean / self.std).reshape(shape)
        return x.mul_(factor).add_(shift)

    def as_float(self) -> Dataset:
        """Return the data set with its inputs stored as normalised float32."""
        x: dict[str, Any] = {f"x_{part}": self.normalise(getattr(self, f"x_{part}")) for part in PARTS}
        return replace(self, **x)

    def augment(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return an augmented training batch (the batch itself where the data set has no augmentation)."""
        if self.augmentation is None:
            return x
        fill: Tensor | float = 0.0
        if x.dtype != torch.uint8 and self.mean is not None and self.std is not None:
            fill = -self.mean / self.std  # what a black pixel became
        return self.augmentation(x, generator, fill)
