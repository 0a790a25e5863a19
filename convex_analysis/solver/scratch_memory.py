"""Scratch memory that solves hand on to each other: fresh pages cost more than what is written to them."""

from __future__ import annotations

import math
import threading
import weakref
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from convex_analysis import steering

_Buffer = NDArray[np.uint8]


class _Shelf(threading.local):
    """The buffers of one thread that nobody uses."""

    def __init__(self) -> None:
        self.buffers: list[_Buffer] = []


_shelf = _Shelf()


class Owner:
    """Owns the arrays borrowed for it as long as it is referred to; replaced where they are outgrown."""


def borrow(owner: Owner, shape: tuple[int, ...], dtype: DTypeLike, order: Any = "C") -> NDArray[Any]:
    """Return an array with any contents, which belongs to ``owner`` until that is gone.

    Parameters
    ----------
    owner
        The only object that may refer to the array: its memory is used again after the owner.
    shape, dtype, order
        As for `numpy.empty`.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size < steering.SMALLEST_BYTES:
        return np.empty(shape, dtype, order)
    fitting = [b for b in _shelf.buffers if size <= b.size <= steering.LARGEST_EXCESS * size]
    if fitting:
        buffer = min(fitting, key=lambda b: b.size)
        _shelf.buffers = [b for b in _shelf.buffers if b is not buffer]
    else:
        buffer = np.empty(size, np.uint8)
    weakref.finalize(owner, _give_back, buffer).atexit = False
    return np.ndarray(shape, dtype, buffer, order=order)


def _give_back(buffer: _Buffer) -> None:
    if buffer.size + sum(b.size for b in _shelf.buffers) <= steering.KEPT_BYTES:
        _shelf.buffers.append(buffer)
