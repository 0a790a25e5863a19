"""Tensors and plain values in one safetensors file that knows its own sha256; nothing is ever unpickled."""

from __future__ import annotations

import hashlib
import json
import math
import stat
import struct
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from nets.storage.atomic import explained, write_bytes

#: The one key of the safetensors metadata.
KEY = "concave-sparsity"


class Contents(NamedTuple):
    """What a tensor file holds."""

    #: By name, on the CPU.
    tensors: dict[str, Tensor]
    #: Plain values.
    metadata: Any


def write(path: Path, kind: str, version: int, tensors: Mapping[str, Tensor], metadata: Any = None) -> None:
    """Write tensors and plain values atomically.

    Parameters
    ----------
    path : Path
        The file, replaced if it exists.
    kind : str
        What the file is, e.g. "concave-sparsity ticket"; `read` asks for the same.
    version : int
        Version of what it holds.
    tensors : mapping of str to Tensor
        Copied to the CPU.
    metadata : plain values
        Anything JSON can hold; None takes no room.

    Raises
    ------
    nets.storage.atomic.StorageError
        If it cannot be written; the old file is untouched.
    """
    ready = apart(tensors)
    header = {"format": kind, "version": version} | ({} if metadata is None else {"said": metadata})
    header["sha256"] = b64encode(digest(ready, header)).decode()
    text = json.dumps(header, sort_keys=True, separators=(",", ":"))
    # One key only: the format leaves the order of several to chance; equal contents shall give equal files.
    write_bytes(path, safetensors.torch.save(ready, metadata={KEY: text}))


def read(path: Path, kind: str, version: int) -> Contents:
    """Read what `write` wrote, checked against its sha256.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not of this kind and version, is truncated, or was changed since it was written.
    """
    what = kind.rpartition(" ")[2]
    content = _content(path, what)
    header = _header(path, content, kind)
    try:
        tensors = safetensors.torch.load(content)
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} is truncated or not a {what} at all ({error})") from None
    if header.get("version") != version:
        raise ValueError(
            f"{path} is a {what} of version {header.get('version')!r}, this library reads version {version}"
        )
    found = digest(tensors, header)
    if header.get("sha256") not in (b64encode(found).decode(), found.hex()):  # hex: earlier versions
        raise ValueError(f"{path} was changed or damaged after it was written (its sha256 differs)")
    return Contents(tensors, header.get("said"))


def version(path: Path, kind: str) -> Any:
    """Return the version that a file of this kind says it has; errors as `read`."""
    return _header(path, _content(path, kind.rpartition(" ")[2], tensors=False), kind).get("version")


def _header(path: Path, content: bytes, kind: str) -> dict[str, Any]:
    what = kind.rpartition(" ")[2]
    try:
        (length,) = struct.unpack("<Q", content[:8])
        metadata = json.loads(content[8 : 8 + length]).get("__metadata__", {})
        header = json.loads(metadata.get(KEY, "{}"))
    except (ValueError, RecursionError, AttributeError, TypeError, struct.error) as error:
        raise ValueError(f"{path} is truncated or not a {what} at all ({error})") from None
    if not isinstance(header, dict) or header.get("format") != kind:
        raise ValueError(f"{path} is a safetensors file but not a {what}")
    return header


def _content(path: Path, what: str, tensors: bool = True) -> bytes:
    """Return the content of a file if its first bytes are those of a tensor file; or its header alone."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path} is not a {what} at all: it is no plain file")
    with explained(path, "read"), path.open("rb") as file:
        start = file.read(8)
        # A giant of zeros is not read to its end.
        if len(start) < 8 or not 0 < struct.unpack("<Q", start)[0] <= status.st_size - 8:
            raise ValueError(f"{path} is truncated or not a {what} at all")
        return start + (file.read() if tensors else file.read(struct.unpack("<Q", start)[0]))


def apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors on the CPU, contiguous, no two in the same memory (the format forbids it)."""
    ready: dict[str, Tensor] = {}
    taken: set[int] = set()
    for name, tensor in tensors.items():
        own = tensor.detach().cpu().contiguous()
        if own.untyped_storage().data_ptr() in taken:
            own = own.clone()
        taken.add(own.untyped_storage().data_ptr())
        ready[name] = own
    return ready


def digest(tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> bytes:
    """Return the sha256 of everything the file says: names, dtypes, shapes, contents and metadata."""
    found = hashlib.sha256()
    metadata = {key: value for key, value in header.items() if key != "sha256"}
    found.update(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        found.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        found.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.digest()


STATE = "concave-sparsity checkpoint"
STATE_VERSION = 1

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
    metadata = {"state": _plain(state, tensors), "note": dict(note or {})}
    write(path, STATE, STATE_VERSION, tensors, metadata)


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
    tensors, metadata = read(path, STATE, STATE_VERSION)
    try:
        return dict(_restored(metadata["state"], tensors, device)), dict(metadata["note"])
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
