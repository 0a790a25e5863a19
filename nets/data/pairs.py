"""A data set from arrays or tensors: (x, y), or (x_train, y_train, x_test, y_test)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.utils.data

from nets.data.source import RawData


def read_arrays(x: Any, y: Any, x_test: Any = None, y_test: Any = None) -> RawData:
    """Check and convert inputs and labels.

    Parameters
    ----------
    x : array or tensor, shape (n, ...)
        Inputs. Numbers of any floating or wide integer type become float32 as they are; bytes (uint8) are
        taken for pixels, 255 being 1, and are normalised by the data set.
    y : array or tensor, shape (n,)
        Labels of any kind (integers, strings); their sorted distinct values become the classes.
    x_test, y_test : array or tensor, optional
        The same for the test part; without them one is split off.

    Raises
    ------
    ValueError, TypeError
        If shapes do not match, or values are missing, infinite, fractional labels, or not numbers.
    """
    inputs, targets = _inputs(x, "x"), _labels(y, "y")
    _refuse_unequal(inputs, targets, "x", "y")
    classes, indices = np.unique(targets, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y holds {len(classes)} distinct labels; classification needs at least two")
    names = tuple(str(name) for name in classes)
    if x_test is None or y_test is None:
        return RawData(inputs, indices.astype(np.int64), class_names=names)
    inputs_test, targets_test = _inputs(x_test, "x_test"), _labels(y_test, "y_test")
    _refuse_unequal(inputs_test, targets_test, "x_test", "y_test")
    if inputs_test.shape[1:] != inputs.shape[1:] or inputs_test.dtype != inputs.dtype:
        raise ValueError(
            f"x_test has inputs of shape {inputs_test.shape[1:]} ({inputs_test.dtype}) where x has "
            f"{inputs.shape[1:]} ({inputs.dtype})"
        )
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
        return np.stack([_array(value, "an input") for value in x]), np.array([int(label) for label in y])
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{type(samples).__name__} must hold pairs of a tensor and a label, tensors of one shape: {error}"
        ) from error


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


def _labels(y: Any, name: str) -> npt.NDArray[Any]:
    array = _array(y, name)
    if array.dtype.kind == "f" and not (np.isfinite(array).all() and (array == np.round(array)).all()):
        raise ValueError(f"{name} must hold class labels; it holds fractional or missing values")
    if array.dtype.kind not in "fiubUS":
        raise TypeError(f"{name} must hold class labels (integers or strings), got dtype {array.dtype}")
    return array


def _refuse_unequal(x: npt.NDArray[Any], y: npt.NDArray[Any], x_name: str, y_name: str) -> None:
    if y.shape != x.shape[:1]:
        raise ValueError(f"{y_name} must have shape ({len(x)},) to match {x_name}, got {y.shape}")
