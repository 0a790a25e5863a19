"""Sparse states in few bytes: packed masks and the surviving values, in a safetensors file (docs/files.md).

A mask takes one bit a weight, or the gaps between its ones (or its zeros) in a Rice code, whichever is
smaller: within a few hundredths of a bit a weight of the entropy. Values lie behind one another, one flat
tensor a dtype; names, shapes and codes in one compressed table, the masks behind it. So a file has hardly
more bytes than the numbers in it.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nets.storage import tensor_file

#: Names of the dtypes as safetensors has them.
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}

#: Version of the layout. Version 2, which is read too, has the masks in a tensor of their own.
VERSION = 3

#: Bytes that the table may unpack to: a hostile file must not fill the memory.
TABLE = 1 << 28

#: A file's tensors may be this many times as large as the file (one weight in 16384 kept), or FREE entries.
GROWTH = 1 << 14
FREE = 1 << 24

#: Largest number of low bits in a Rice code.
LOW = 30


class Packed(NamedTuple):
    """What a packed file holds."""

    #: By name, whole tensors on the CPU.
    state: dict[str, Tensor]
    #: Boolean, by name.
    masks: dict[str, Tensor]
    #: Plain values.
    metadata: Any


class Code(NamedTuple):
    """A mask in few bytes.

    Parameters
    ----------
    form : str
        "bits": one bit an entry; "gaps": Rice code of the gaps between ones; "holes": the same of zeros.
    content : bytes
        The code.
    places : int
        How many places are coded; 0 for "bits".
    low : int
        Bits of every gap that are stored as they are.
    unary : int
        Bytes of the unary part, which comes first.
    """

    form: str
    content: bytes
    places: int = 0
    low: int = 0
    unary: int = 0


def encode(mask: np.ndarray) -> Code:
    """Return the smallest code of a boolean array (flattened)."""
    flat = mask.reshape(-1)
    codes = [Code("bits", np.packbits(flat).tobytes())]
    ones = int(np.count_nonzero(flat))
    form = "gaps" if 2 * ones <= flat.size else "holes"
    codes.append(_rice(form, np.flatnonzero(flat if form == "gaps" else ~flat)))
    return min(codes, key=lambda code: len(code.content))


def decode(code: Code, size: int) -> np.ndarray:
    """Return the boolean array, shape (size,), of a code.

    Raises
    ------
    ValueError
        If the code does not fit the size.
    """
    content = np.frombuffer(code.content, np.uint8)
    if code.form == "bits":
        if len(content) != -(-size // 8):
            raise ValueError(f"a mask has {len(content)} bytes for {size} weights")
        return np.unpackbits(content, count=size).astype(bool)
    if code.form not in ("gaps", "holes"):
        raise ValueError(f"a mask has the unknown code {code.form!r}")
    count, low = code.places, code.low
    if not (0 <= count <= size and 0 <= low <= LOW and 0 <= code.unary <= len(content)):
        raise ValueError(f"a mask codes {count} places among {size} in {low} low bits")
    ends = np.flatnonzero(np.unpackbits(content[: code.unary]))
    if len(ends) != count or len(content) - code.unary != -(-count * low // 8):
        raise ValueError(f"a mask's code of {len(content)} bytes is not that of {count} places")
    bits = np.unpackbits(content[code.unary :], count=count * low).reshape(count, low)
    high = np.diff(ends, prepend=-1) - 1
    places = np.cumsum((high << low) + bits @ (1 << np.arange(low)[::-1]) + 1) - 1
    if count and places[-1] >= size:
        raise ValueError(f"a mask codes place {places[-1]} among {size}")
    flat = np.full(size, code.form == "holes")
    flat[places] = code.form == "gaps"
    return flat


def _rice(form: str, places: np.ndarray) -> Code:
    """Return the Rice code of increasing places, at the number of low bits that makes it shortest."""
    gaps = np.diff(places, prepend=-1) - 1
    count = len(gaps)
    if not count:
        return Code(form, b"")
    # At the best number of low bits the unary part takes between 1 and 2 bits a gap.
    guess = int(np.log2(max(1.0, gaps.mean())))
    tries = range(max(0, guess - 1), min(LOW, guess + 1) + 1)
    low = min(tries, key=lambda k: int((gaps >> k).sum()) + count * (1 + k))
    ends = np.cumsum((gaps >> low) + 1) - 1
    unary = np.zeros(int(ends[-1]) + 1, dtype=bool)
    unary[ends] = True
    high = np.packbits(unary).tobytes()
    bits = (gaps[:, None] >> np.arange(low)[::-1]) & 1
    return Code(form, high + np.packbits(bits.astype(bool)).tobytes(), count, low, len(high))


def write(
    path: Path,
    kind: str,
    state: Mapping[str, Tensor],
    masks: Mapping[str, Tensor],
    metadata: Any,
    *,
    whole: bool = False,
) -> None:
    """Write a state and its masks atomically; of masked tensors only the values under the mask.

    Parameters
    ----------
    path, kind
        See `nets.storage.tensor_file.write`.
    state : mapping of str to Tensor
        Dense tensors. What comes twice (tied weights) is stored once.
    masks : mapping of str to Tensor
        Boolean, by the names of some of them.
    metadata : plain values
        Anything JSON can hold.
    whole : bool
        Store the values outside the masks too.

    Raises
    ------
    TypeError
        If a dtype has no name in safetensors files of this layout.
    nets.storage.atomic.StorageError
        If it cannot be written; the old file is untouched.
    """
    values: dict[str, list[Tensor]] = {}
    codes: list[bytes] = []
    table: list[list[Any]] = []
    known: dict[tuple[Any, ...], tuple[str, bytes]] = {}
    # In an order of their own: equal states give equal files. Masked ones first: tied ones follow them.
    for name in sorted(state, key=lambda name: (name not in masks, name)):
        tensor = state[name].detach().cpu().contiguous()
        if tensor.dtype not in _NAMES:
            raise TypeError(f"{name} has dtype {tensor.dtype}; packed files hold {', '.join(DTYPES)}")
        dtype, shape, flat = _NAMES[tensor.dtype], list(tensor.shape), tensor.reshape(-1)
        form: list[Any] = []
        row, kept = b"", flat
        if name in masks:
            mask = masks[name].cpu().reshape(-1)
            code = encode(mask.numpy())
            form, row = list(code[:1]) if code.form == "bits" else [code.form, *code[2:]], code.content
            if not whole:
                flat = flat.masked_fill(~mask, 0)
                kept = flat[mask]
        key = (dtype, *shape, hashlib.sha256(flat.view(torch.uint8).numpy().data).digest())
        first, its_row = known.setdefault(key, (name, row))
        if first != name and flat.numel() > 1 and (name not in masks or row == its_row):
            table.append([name, dtype, shape, "same", first, name in masks])
            continue
        table.append([name, dtype, shape, *form])
        codes.append(row)
        values.setdefault(dtype, []).append(kept)
    about = {"tensors": table, "metadata": metadata} | ({"whole": True} if whole else {})
    text = json.dumps(about, sort_keys=True, separators=(",", ":")).encode()
    content = {name: torch.cat(parts) for name, parts in values.items()}
    content["about"] = _bytes(b"".join([zlib.compress(text, 9, wbits=-15), *codes]))
    tensor_file.write(path, kind, VERSION, content)


def read(path: Path, kind: str) -> Packed:
    """Read what `write` wrote: dense tensors, zero outside their masks unless they were stored whole.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not of this kind and of a version that is read, is truncated, was changed since it was
        written, or would grow beyond all measure.
    """
    old = tensor_file.version(path, kind) == 2
    content, _ = tensor_file.read(path, kind, 2 if old else VERSION)
    try:
        return _unpacked(content, path.stat().st_size, old)
    except (KeyError, TypeError, ValueError, IndexError, RecursionError, zlib.error) as error:
        raise ValueError(f"{path} is not a file that this library wrote ({error!r})") from None


def _unpacked(content: Mapping[str, Tensor], size: int, old: bool) -> Packed:
    inflate = zlib.decompressobj(15 if old else -15)
    table = inflate.decompress(content["about"].numpy().tobytes(), TABLE)
    if not inflate.eof:
        raise ValueError("its table is too long")
    about = json.loads(table)
    codes = content["masks"].numpy().tobytes() if old else inflate.unused_data
    start, place = dict.fromkeys(content, 0), 0
    state: dict[str, Tensor] = {}
    masks: dict[str, Tensor] = {}
    total = 0
    whole = bool(about.get("whole"))
    for name, dtype, shape, *form in about["tensors"]:
        form = form[0] or [] if old else form
        if not isinstance(name, str) or name in state or not all(type(s) is int and s >= 0 for s in shape):
            raise ValueError(f"the entry of {name!r} is odd")
        count = prod(shape)
        total += count
        if total > max(FREE, GROWTH * size):
            raise ValueError(f"{total} weights out of {size} bytes")
        if form[:1] == ["same"]:
            state[name] = state[form[1]].clone()
            if form[2]:
                masks[name] = masks[form[1]].clone()
            if state[name].shape != torch.Size(shape) or state[name].dtype != DTYPES[dtype]:
                raise ValueError(f"{name} is not as {form[1]}")
            continue
        mask, stored = None, count
        if form:
            length = form.pop(1) if old else _length(form, count)
            mask = torch.from_numpy(decode(Code(form[0], codes[place : place + length], *form[1:]), count))
            place += length
            if not whole:
                stored = int(mask.sum())
            masks[name] = mask.reshape(shape)
        begin, source = start[dtype], content[dtype]
        if source.dtype != DTYPES[dtype] or begin + stored > len(source):
            raise ValueError(f"values of {name} are missing")
        values = source[begin : begin + stored]
        start[dtype] = begin + stored
        if stored == count:
            state[name] = values.clone().reshape(shape)
        else:
            assert mask is not None
            flat = torch.zeros(count, dtype=source.dtype)
            flat[mask] = values
            state[name] = flat.reshape(shape)
    return Packed(state, masks, {**about["metadata"], "whole": whole})


def _length(form: list[Any], size: int) -> int:
    """Return how many bytes the code of a mask of that many weights has."""
    if form == ["bits"]:
        return -(-size // 8)
    _, places, low, unary = form
    return int(unary) + -(-int(places) * int(low) // 8)


def _bytes(content: bytes) -> Tensor:
    return torch.from_numpy(np.frombuffer(content, np.uint8).copy())
