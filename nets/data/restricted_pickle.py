"""Read a pickled dictionary of arrays without letting the pickle run anything.

The CIFAR batches are pickles, and a pickle is a program: it can name any callable and call it. Here the only
callables it can name are stand-ins for the few that rebuild a numpy array; numpy itself is never called
with what the file says, except to view bytes of a checked length as numbers.
"""

from __future__ import annotations

import io
import math
import pickle
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

KINDS = "biuf"


class _Sealed:
    """Base of the stand-ins: a pickle can neither change their state nor subclass them."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError(f"it sets the state of {type(self).__name__.lstrip('_')}")


class _ArrayType(_Sealed):
    """Stands for numpy.ndarray, which is only ever passed to _reconstruct."""


class _DType(_Sealed):
    __slots__ = ("value",)

    def __init__(self, code: Any) -> None:
        text = code.decode("ascii") if isinstance(code, bytes) else code
        if not isinstance(text, str) or len(text) > 3:
            raise pickle.UnpicklingError(f"it names the dtype {code!r}")
        value = np.dtype(text)
        if value.kind not in KINDS:
            raise pickle.UnpicklingError(f"it names the dtype {text!r}; only numbers are read")
        self.value: np.dtype[Any] = value

    def __setstate__(self, state: Any) -> None:
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        order = order.decode("ascii") if isinstance(order, bytes) else order
        match order:
            case "<" | ">" | "|" | "=":
                self.value = self.value.newbyteorder(order)
            case _:
                raise pickle.UnpicklingError(f"it names the byte order {order!r}")


class _DTypeMaker(_Sealed):
    """Stands for numpy.dtype."""

    def __call__(self, code: Any, align: Any = False, copy: Any = False) -> _DType:
        return _DType(code)


class _Array(_Sealed):
    __slots__ = ("value",)

    value: npt.NDArray[Any]

    def __setstate__(self, state: Any) -> None:
        if not (isinstance(state, tuple) and len(state) == 5):
            raise pickle.UnpicklingError("an array's state is malformed")
        _, shape, dtype, fortran, content = state
        self.value = _view(content, dtype, shape, "F" if fortran else "C")


def _view(content: Any, dtype: Any, shape: Any, order: Literal["C", "F"]) -> npt.NDArray[Any]:
    if isinstance(content, str):  # bytes of Python 2 in a text protocol
        content = content.encode("latin-1")
    sizes_fit = isinstance(shape, tuple) and all(type(k) is int and k >= 0 for k in shape)
    if not (sizes_fit and isinstance(dtype, _DType) and isinstance(content, (bytes, bytearray))):
        raise pickle.UnpicklingError("an array's state is malformed")
    if math.prod(shape) * dtype.value.itemsize != len(content):
        raise pickle.UnpicklingError(f"an array of shape {shape} holds {len(content)} bytes")
    return np.frombuffer(content, dtype=dtype.value).reshape(shape, order=order)


class _ArrayMaker(_Sealed):
    """Stands for numpy's _reconstruct."""

    def __call__(self, kind: Any, shape: Any, code: Any) -> _Array:
        if not isinstance(kind, _ArrayType):
            raise pickle.UnpicklingError("it rebuilds something that is not an array")
        return _Array()


class _BufferReader(_Sealed):
    """Stands for numpy's _frombuffer, with which protocol 5 rebuilds an array."""

    def __call__(self, content: Any, dtype: Any, shape: Any, order: Any) -> _Array:
        array = _Array()
        array.value = _view(content, dtype, shape, "F" if order == "F" else "C")
        return array


class _BytesMaker(_Sealed):
    """Stands for _codecs.encode, with which protocol 2 writes bytes."""

    def __call__(self, text: Any, encoding: Any = "latin1") -> bytes:
        if not isinstance(text, str) or encoding not in ("latin1", b"latin1"):
            raise pickle.UnpicklingError(f"it encodes with {encoding!r}")
        return text.encode("latin-1")


class _RestrictedUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        match module, name:
            case "numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct":
                return _ArrayMaker()
            case "numpy.core.numeric" | "numpy._core.numeric", "_frombuffer":
                return _BufferReader()
            case "numpy", "ndarray":
                return _ArrayType()
            case "numpy", "dtype":
                return _DTypeMaker()
            case "_codecs", "encode":
                return _BytesMaker()
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which arrays do not need")

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to an object outside the file")


def read_pickled_arrays(content: bytes, where: object) -> dict[str, Any]:
    """Read a pickled dictionary whose values are arrays or plain containers.

    Parameters
    ----------
    content : bytes
        The pickle, of any protocol, written by Python 2 or 3.
    where : object
        Name of the file, for the message.

    Returns
    -------
    dict
        Keys as str; arrays as numpy arrays; byte strings of Python 2 as bytes.

    Raises
    ------
    ValueError
        If the pickle is damaged or asks for anything but arrays and built-in containers. Nothing it names is
        imported or called.
    """
    try:
        loaded = _RestrictedUnpickler(io.BytesIO(content), encoding="bytes").load()
        if type(loaded) is not dict:
            raise pickle.UnpicklingError(f"it holds a {type(loaded).__name__}, not a dictionary")
        plain: dict[str, Any] = {}
        for key, value in loaded.items():
            name = key.decode("ascii") if isinstance(key, bytes) else key
            if not isinstance(name, str):
                raise pickle.UnpicklingError(f"it has the key {name!r}")
            plain[name] = value.value if isinstance(value, _Array) else value
        return plain
    except Exception as error:  # a hostile pickle can make the machine fail in any way
        raise ValueError(f"{where} is refused as a pickle of arrays: {error}") from error
