"""Floats, numpy arrays and torch tensors through one door, without importing torch."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from array_api_compat import array_namespace, device, is_array_api_obj, is_numpy_array

# An array of any namespace; the array API standard has no common base class to name here.
Array = Any
Namespace = Any
Real = TypeVar("Real")
Owner = TypeVar("Owner")

_HALF = ("float16", "bfloat16")


def is_array(x: object) -> bool:
    """Say whether x is an array of a namespace that follows the array API standard (numpy, torch, ...)."""
    return bool(is_array_api_obj(x))


def dtype_name(x: Array) -> str:
    """Return the name of an array's dtype without its namespace, for example ``float32``."""
    return str(x.dtype).rpartition(".")[2]


def to_floating(x: Array, xp: Namespace) -> Array:
    """Return x with a real floating dtype: integers and booleans become float64.

    Raises
    ------
    TypeError
        If x holds complex numbers or objects.
    """
    name = dtype_name(x)
    if name.startswith(("float", "bfloat", "longdouble")):
        return x
    if name.startswith(("int", "uint", "bool")):
        return xp.astype(x, xp.float64)
    raise TypeError(f"a penalty needs real numbers, got an array of dtype {name}")


def elementwise(
    method: Callable[[Owner, Array, Namespace], Array],
) -> Callable[[Owner, Real], Real]:
    """Turn ``method(self, t, xp)`` on floating arrays into a method that takes whatever a caller has.

    A float, an int or a list comes in as numpy; shape, dtype and device of arrays are kept; integers become
    float64; half precision is computed in float32 and handed back as it came.
    """

    @functools.wraps(method)
    def call(self: Owner, t: Any) -> Any:
        if not is_array(t):
            x = to_floating(np.asarray(t), np)
            with np.errstate(all="ignore"):
                y = method(self, x, array_namespace(x))
            return float(y) if x.ndim == 0 else y
        xp = array_namespace(t)
        x = to_floating(t, xp)
        wide = xp.astype(x, xp.float32) if dtype_name(x) in _HALF else x
        if is_numpy_array(x):
            with np.errstate(all="ignore"):
                y = method(self, wide, xp)
            # Operations on 0-d arrays give scalars: an array comes back as an array, a scalar as a scalar.
            y = np.asarray(y, dtype=x.dtype)
            return y[()] if isinstance(t, np.generic) else y
        y = method(self, wide, xp)
        return y if y.dtype == x.dtype else xp.astype(y, x.dtype)

    return call


def on_host(x: Array) -> bool:
    """Say whether reading a value of x costs no wait for an accelerator."""
    return bool(is_numpy_array(x)) or str(device(x)).startswith("cpu")
