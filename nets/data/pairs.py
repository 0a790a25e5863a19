"""A data set from a pair of arrays or tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from nets.data.dataset import Dataset
from nets.data.split import part_size, stratified_split


def from_pair(
    x: Any,
    y: Any,
    *,
    seed: int = 0,
    validation: int | float = 0.1,
    test: int | float = 0.2,
    name: str = "pairs",
) -> Dataset:
    """Make a data set of inputs and labels; test and validation parts are split off by seed, class by class.

    Parameters
    ----------
    x : array or tensor, shape (n, ...)
        Inputs. Floating point is used as it is (float32); uint8 of shape (n, channels, height, width) is
        taken for images and normalised by the mean and standard deviation of the training part.
    y : array or tensor, shape (n,)
        Labels of any kind (integers, strings); their sorted distinct values become the classes.
    """
    inputs = x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else np.asarray(x)
    labels = y.detach().cpu().numpy() if isinstance(y, torch.Tensor) else np.asarray(y)
    if inputs.ndim < 2:
        raise ValueError(f"x must have shape (n, ...) with at least two dimensions, got {inputs.shape}")
    if labels.shape != inputs.shape[:1]:
        raise ValueError(f"y must have shape ({len(inputs)},) to match x, got {labels.shape}")
    if inputs.dtype.kind not in "fiub":
        raise TypeError(f"x must hold numbers, got dtype {inputs.dtype}")
    if inputs.dtype.kind == "f" and not np.isfinite(inputs).all():
        raise ValueError("x holds NaN or infinite values; remove or impute them first")
    if labels.dtype.kind == "f" and not (np.isfinite(labels).all() and (labels == np.round(labels)).all()):
        raise ValueError("y must hold class labels; it holds fractional or missing values")
    classes, indices = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y holds {len(classes)} distinct label; classification needs at least two")
    values = torch.from_numpy(
        np.array(inputs if inputs.dtype == np.uint8 else inputs.astype(np.float32), order="C")
    )
    y_all = indices.astype(np.int64)
    kept, test_index = stratified_split(y_all, part_size(test, len(y_all), "test"), seed)
    inner, outer = stratified_split(y_all[kept], part_size(validation, len(kept), "validation"), seed)
    train_index, validation_index = kept[inner], kept[outer]
    target = torch.from_numpy(y_all)
    mean = std = None
    if values.dtype == torch.uint8:
        train = values[train_index].to(torch.float32) / 255.0
        axes = [0, *range(2, train.dim())] if train.dim() == 4 else list(range(train.dim()))
        mean, std = train.mean(axes), train.std(axes, correction=0).clamp_min(1e-6)
    data = Dataset(
        name=name,
        x_train=values[train_index],
        y_train=target[train_index],
        x_validation=values[validation_index],
        y_validation=target[validation_index],
        x_test=values[test_index],
        y_test=target[test_index],
        n_classes=len(classes),
        mean=mean,
        std=std,
        class_names=tuple(str(c) for c in classes),
    )
    return data.as_float()
