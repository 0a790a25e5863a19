"""Compiled functions run by torch's own threads, which have half of the numbers in their caches already."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from numba import types
from numba.extending import intrinsic

from concave_sparsity.compilation import callback


@intrinsic  # type: ignore[untyped-decorator]
def pointer(typing_context: Any, address: Any, like: Any) -> Any:
    """Return an address as a pointer to numbers of the type of `like`."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.inttoptr(values[0], context.get_value_type(signature.return_type))

    return types.CPointer(like)(address, like), generate


@intrinsic  # type: ignore[untyped-decorator]
def claim(typing_context: Any, counter: Any) -> Any:
    """Return the number that a pointer points to and add one to it, as one act among threads."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        one = context.get_constant(types.int64, 1)
        return builder.atomic_rmw("add", values[0], one, "seq_cst")

    return types.int64(counter), generate


@intrinsic  # type: ignore[untyped-decorator]
def read(typing_context: Any, counter: Any) -> Any:
    """Return the number that a pointer points to, and see what was written before it grew."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.load_atomic(values[0], "seq_cst", 8)

    return types.int64(counter), generate


@cache
def _team() -> Any:
    """Return what runs a function by torch's own threads; None if torch has others than those of GNU."""
    folder = Path(torch.__file__).parent
    for path in sorted([*folder.glob("lib/libgomp*.so*"), *folder.parent.glob("torch.libs/libgomp*.so*")]):
        try:
            found = ctypes.CDLL(str(path)).GOMP_parallel
        except (OSError, AttributeError):
            continue
        found.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
        found.restype = None
        return found
    return None


class Shared:
    """A compiled function that several threads call at once, and which shares out its work by `claim`.

    Parameters
    ----------
    function : callable
        Takes a pointer to int64: its order, shares claimed so far first. A team may be smaller than asked
        for, so whoever calls must go on until no share is left.
    """

    def __init__(self, function: Callable[[Any], None]) -> None:
        self._made = callback(function, types.void(types.CPointer(types.int64)))
        self._address = ctypes.c_void_p(self._made.address)
        self._short = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(self._made.address)
        self._long = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self._made.address)

    def run(self, order: int, threads: int, *, long: bool = False) -> None:
        """Call it by so many of torch's threads, or by this one where there are no others.

        A long call, and one of several threads, lets go of the interpreter's lock.
        """
        team = _team() if threads > 1 else None
        if team is None:
            (self._long if long else self._short)(order)
        else:
            team(self._address, order, threads, 0)
