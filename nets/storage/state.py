"""The state of a training in a tensor file: nested dictionaries, lists, numbers and tensors, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from nets.storage import tensor_file

KIND = "concave-sparsity checkpoint"
VERSION = 1

#: A dictionary of one of these keys stands for what JSON cannot hold.
TENSOR, PLACED, TUPLE, PAIRS, NUMBER = "$tensor", "$placed", "$tuple", "$pairs", "$number"


def write_state(path: Path, state: Mapping[str, Any], note: Mapping[str, Any] | None = None) -> None:
    """Write a state of tensors and plain values atomically, with its sha256.

    Parameters
    ----------
    path : Path
        The file.
    state : mapping
        As `state_dict` methods return it: dictionaries with keys of str or int, lists, tuples, tensors, None,
        bool, int, float, str.
    note : mapping, optional
        Plain values that tell what the state belongs to; `read_state` returns them too.

    Raises
    ------
    TypeError
        If something in the state is of another type.
    nets.storage.atomic.StorageError
        If the file cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    said = {"state": _plain(state, tensors), "note": dict(note or {})}
    tensor_file.write(path, KIND, VERSION, tensors, said)


def read_state(path: Path, device: str = "cpu") -> tuple[dict[str, Any], dict[str, Any]]:
    """Return (state, note) from a file that `write_state` wrote.

    Parameters
    ----------
    path : Path
        The file.
    device : str
        Where tensors go that lay on an accelerator; those that lay on the CPU stay there.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no checkpoint, is truncated, or was changed since it was written.
    """
    tensors, said = tensor_file.read(path, KIND, VERSION)
    try:
        return dict(_restored(said["state"], tensors, device)), dict(said["note"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{path} is not a checkpoint that this library wrote ({error!r})") from None


def _plain(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        name = f"{len(tensors):05d}"
        tensors[name] = value
        return {TENSOR if value.device.type == "cpu" else PLACED: name}
    if isinstance(value, Mapping):
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {key: _plain(item, tensors) for key, item in value.items()}
        if not all(isinstance(key, (str, int)) for key in value):
            raise TypeError(f"keys of a state must be str or int, got {list(value)!r}")
        return {PAIRS: [[key, _plain(item, tensors)] for key, item in value.items()]}
    if isinstance(value, list):
        return [_plain(item, tensors) for item in value]
    if isinstance(value, tuple):
        return {TUPLE: [_plain(item, tensors) for item in value]}
    if isinstance(value, float) and not math.isfinite(value):
        return {NUMBER: repr(value)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"a state holds tensors and plain values, got {type(value).__name__}")


def _restored(value: Any, tensors: Mapping[str, Tensor], device: str) -> Any:
    if isinstance(value, list):
        return [_restored(item, tensors, device) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((key, inside),) = value.items()
        if key == TENSOR:
            return tensors[inside]
        if key == PLACED:
            return tensors[inside].to(device)
        if key == TUPLE:
            return tuple(_restored(item, tensors, device) for item in inside)
        if key == PAIRS:
            return {k: _restored(item, tensors, device) for k, item in inside}
        if key == NUMBER:
            return float(inside)
    return {key: _restored(item, tensors, device) for key, item in value.items()}
