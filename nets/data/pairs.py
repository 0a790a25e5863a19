"""A data set from arrays or tensors: (x, y), or (x_train, y_train, x_test, y_test)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.utils.data

from nets.data.source import RawData
from nets.tasks import CLASSIFICATION, MultiLabel, Task, regression


def task_of(y: Any, task: Task | None) -> Task:
    """Return the task that is named, or the one that targets mean by themselves.

    Floats mean regression, one integer or string a sample classification.

    Raises
    ------
    ValueError
        If they mean none, having several integers a sample.
    """
    if task is not None:
        return task
    array = _array(y, "y")
    if array.dtype.kind == "f":
        return regression()
    if array.ndim > 1:
        raise ValueError(
            f"y of shape {array.shape} holds several integers a sample: name the task (multi-label, "
            "per-pixel, "
            "language-model, or a nets.Task), or give one label a sample, shape (n,)"
        )
    return CLASSIFICATION


def read_arrays(
    x: Any,
    y: Any,
    x_test: Any = None,
    y_test: Any = None,
    *,
    task: Task = CLASSIFICATION,
    tokens: bool = False,
) -> RawData:
    """Check and convert inputs and targets.

    Parameters
    ----------
    x : array or tensor, shape (n, ...)
        Inputs. Numbers of any floating or wide integer type become float32 as they are; bytes (uint8) are
        taken for pixels, 255 being 1, and are normalised by the data set.
    y : array or tensor, shape (n,) or (n, ...)
        Targets of the task. For classification labels of any kind (integers, strings); their sorted distinct
        values become the classes.
    x_test, y_test : array or tensor, optional
        The same for the test part; without them one is split off.
    task : Task
        What the targets mean.
    tokens : bool
        Whether inputs are token ids, which stay integers.

    Raises
    ------
    ValueError, TypeError
        If shapes do not match, or values are missing, infinite, fractional labels, or not numbers.
    """
    inputs = _tokens(x, "x") if tokens else _inputs(x, "x")
    inputs_test = None
    if x_test is not None and y_test is not None:
        inputs_test = _tokens(x_test, "x_test") if tokens else _inputs(x_test, "x_test")
        if inputs_test.shape[1:] != inputs.shape[1:] or inputs_test.dtype != inputs.dtype:
            raise ValueError(
                f"x_test has inputs of shape {inputs_test.shape[1:]} ({inputs_test.dtype}) where x has "
                f"{inputs.shape[1:]} ({inputs.dtype})"
            )
    if task.targets != "classes":
        targets = _targets(y, "y", task)
        _refuse_unequal(inputs, targets, "x", "y")
        if inputs_test is None:
            return RawData(inputs, targets)
        targets_test = _targets(y_test, "y_test", task)
        _refuse_unequal(inputs_test, targets_test, "x_test", "y_test")
        return RawData(inputs, targets, inputs_test, targets_test)
    targets = _labels(y, "y")
    _refuse_unequal(inputs, targets, "x", "y")
    classes, indices = np.unique(targets, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y holds {len(classes)} distinct labels; classification needs at least two")
    names = tuple(str(name) for name in classes)
    if inputs_test is None:
        return RawData(inputs, indices.astype(np.int64), class_names=names)
    targets_test = _labels(y_test, "y_test")
    _refuse_unequal(inputs_test, targets_test, "x_test", "y_test")
    unknown = np.setdiff1d(targets_test, classes)
    if len(unknown):
        raise ValueError(f"y_test holds labels that y does not: {unknown[:5].tolist()}")
    return RawData(
        inputs,
        indices.astype(np.int64),
        inputs_test,
        np.searchsorted(classes, targets_test).astype(np.int64),
        class_names=names,
    )


def stack_samples(samples: torch.utils.data.Dataset[Any]) -> tuple[Any, Any]:
    """Return the inputs and labels of a torch data set of (input, label), each stacked to one array.

    Raises
    ------
    TypeError
        If it has no length, or its samples are no pairs of a tensor or array of one shape and a label.
    """
    if not hasattr(samples, "__len__"):
        raise TypeError(
            f"{type(samples).__name__} has no length; only data sets that can be indexed are read"
        )
    if isinstance(samples, torch.utils.data.TensorDataset) and len(samples.tensors) == 2:
        return samples.tensors
    try:
        x, y = zip(*(samples[k] for k in range(len(samples))))
        return np.stack([_array(value, "an input") for value in x]), np.stack([_number(v) for v in y])
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{type(samples).__name__} must hold pairs of a tensor and a label, tensors of one shape: "
            f"{error}; "
            "for samples of another form give a DataLoader with a collate_fn"
        ) from error


def _number(target: Any) -> npt.NDArray[Any]:
    array = _array(target, "a label")
    if array.dtype.kind not in "fiub":
        raise TypeError(f"a label is a number or an array of numbers, got {target!r}")
    return array


def _array(values: Any, name: str) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = (
        values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
    )
    if array.dtype == object:
        raise TypeError(f"{name} is ragged or holds objects; give one array of numbers")
    return array


def _inputs(x: Any, name: str) -> npt.NDArray[Any]:
    array = _array(x, name)
    if array.ndim < 2 or 0 in array.shape:
        raise ValueError(
            f"{name} must have shape (n, ...), at least two dimensions and none empty, got {array.shape}"
        )
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}")
    if array.dtype == np.uint8:
        if array.ndim == 4 and array.shape[3] in (1, 3) and array.shape[1] not in (1, 3):
            raise ValueError(
                f"{name} of shape {array.shape} has its channels last; "
                "transpose it to (n, channels, height, width)"
            )
        return array
    with np.errstate(over="ignore"):
        floats = array.astype(np.float32)
    if not np.isfinite(floats).all():
        raise ValueError(f"{name} holds NaN or infinite values (in float32); remove, impute or rescale them")
    return floats


def _tokens(x: Any, name: str) -> npt.NDArray[np.int64]:
    array = _array(x, name)
    if array.ndim < 2 or 0 in array.shape or array.dtype.kind not in "iu" or int(array.min()) < 0:
        raise ValueError(
            f"{name} must hold token ids, integers from 0, shape (n, length), got {array.shape} of "
            f"{array.dtype}"
        )
    return array.astype(np.int64)


def _targets(y: Any, name: str, task: Task) -> npt.NDArray[Any]:
    array = _array(y, name)
    if array.ndim < 1 or 0 in array.shape or array.dtype.kind not in "fiub":
        raise TypeError(
            f"{name} must hold the numbers of the task {task.name}, got shape {array.shape} of {array.dtype}"
        )
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise ValueError(f"{name} holds NaN or infinite values; remove or impute them")
        if task.targets == "integers":
            raise TypeError(f"{name} must hold integers for the task {task.name}, got {array.dtype}")
    if isinstance(task.loss, MultiLabel) and not (array.min() >= 0 and array.max() <= 1):
        raise ValueError(
            f"{name} must hold 0 or 1 for the task {task.name}, got numbers from {array.min():g} to "
            f"{array.max():g}"
        )
    return array


def _labels(y: Any, name: str) -> npt.NDArray[Any]:
    array = _array(y, name)
    if array.dtype.kind == "f" and not (np.isfinite(array).all() and (array == np.round(array)).all()):
        raise ValueError(f"{name} must hold class labels; it holds fractional or missing values")
    if array.ndim != 1:
        raise ValueError(f"{name} must have shape (n,), one class label a sample, got {array.shape}")
    if array.dtype.kind not in "fiubUS":
        raise TypeError(f"{name} must hold class labels (integers or strings), got dtype {array.dtype}")
    return array


def _refuse_unequal(x: npt.NDArray[Any], y: npt.NDArray[Any], x_name: str, y_name: str) -> None:
    if len(y) != len(x):
        raise ValueError(f"{y_name} must have shape ({len(x)},) to match {x_name}, got {y.shape}")
