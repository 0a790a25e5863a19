"""Floats, numpy arrays and torch tensors through one door, without importing torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj

# An array of any namespace; the array API standard has no common base class to name here.
Array = Any
Namespace = Any
Real = TypeVar("Real")

# Temporaries of a block stay in the cache and in reused memory; a longer array is worked through in blocks.
BLOCK = 32768

_HALF = ("float16", "bfloat16")


# The namespace of every type met so far, None for what is no array: a look-up that compilers can follow.
_NAMESPACES: dict[type, Namespace | None] = {}


def namespace(x: object) -> Namespace | None:
    """Return the array API namespace of x (numpy, torch, ...), or None if x is not an array."""
    kind = type(x)
    if kind not in _NAMESPACES:
        _NAMESPACES[kind] = array_namespace(x) if is_array_api_obj(x) else None
    return _NAMESPACES[kind]


NUMPY: Namespace = namespace(np.zeros(1))
_DOUBLE = np.dtype(np.float64)


def is_array(x: object) -> bool:
    """Say whether x is an array of a namespace that follows the array API standard (numpy, torch, ...)."""
    return namespace(x) is not None


_NUMPY_NAMES: dict[np.dtype[Any], str] = {}


def dtype_name(x: Array) -> str:
    """Return the name of an array's dtype without its namespace, for example ``float32``."""
    dtype = x.dtype
    if isinstance(dtype, np.dtype):
        if dtype not in _NUMPY_NAMES:  # numpy makes it anew each time, dearer than a penalty
            _NUMPY_NAMES[dtype] = str(dtype)
        return _NUMPY_NAMES[dtype]
    return str(dtype).rpartition(".")[2]


def to_floating(x: Array, xp: Namespace) -> Array:
    """Return x with a real floating dtype: integers and booleans become float64.

    Raises
    ------
    TypeError
        If x holds complex numbers, objects or strings.
    """
    name = dtype_name(x)
    if name.startswith(("float", "bfloat", "longdouble")):
        return x
    if name.startswith(("int", "uint", "bool")):
        return xp.astype(x, xp.float64)
    raise TypeError(f"a penalty needs real numbers, got an array of dtype {name}")


def to_computing(x: Array, xp: Namespace) -> Array:
    """Return x in a dtype to compute in: half precision becomes float32, all else stays."""
    return xp.astype(x, xp.float32) if dtype_name(x) in _HALF else x


def device(x: Array) -> Any:
    """Return the device of an array, None if its namespace knows none (numpy before 2.0)."""
    return getattr(x, "device", None)


def on_host(x: object) -> bool:
    """Say whether reading a value of x costs no wait for an accelerator."""
    xp = namespace(x)
    return xp is None or xp is NUMPY or str(device(x)).startswith("cpu")


def elementwise(function: Callable[[Array, Namespace], Array], t: Real) -> Real:
    """Return ``function(t, xp)`` for whatever a caller has as t; the function sees floating arrays alone.

    A float comes back as a float; shape, dtype and device of arrays are kept; integers become float64; half
    precision is computed in float32; a list is read as a numpy array.
    """
    answer: Any = _elementwise(function, t)
    return answer  # type: ignore[no-any-return]


def _elementwise(function: Callable[[Array, Namespace], Array], t: Any) -> Any:
    if type(t) is np.ndarray and t.dtype is _DOUBLE and t.ndim and t.size <= BLOCK:
        # What solvers ask thousands of times; the rules below come to this.
        with np.errstate(all="ignore"):
            return np.asarray(function(t, NUMPY), dtype=_DOUBLE)
    given = t
    xp = namespace(t)
    if xp is None:
        t, xp = np.asarray(t), NUMPY
    t = to_floating(t, xp)
    x = to_computing(t, xp)
    if xp is not NUMPY:
        y = function(x, xp)
        return y if y.dtype == t.dtype else xp.astype(y, t.dtype)
    # Overflow to infinity and underflow to zero are the right limits here, not accidents.
    with np.errstate(all="ignore"):
        if x.size > BLOCK:
            y = np.empty(x.shape, dtype=t.dtype)
            flat, out = x.reshape(-1), y.reshape(-1)
            for start in range(0, flat.size, BLOCK):
                out[start : start + BLOCK] = function(flat[start : start + BLOCK], xp)
            return y
        y = np.asarray(function(x, xp), dtype=t.dtype)
    if y.ndim:
        return y
    if is_array(given):
        return y[()] if isinstance(given, np.generic) else y
    return float(y)
