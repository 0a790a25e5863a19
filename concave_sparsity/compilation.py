"""Numba compilation with a cache on disk that also works where nothing can be written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., Any])

# Sums may be reordered (vector units), but NaN and infinity keep their meaning: bounds may be infinite.
_OPTIONS: dict[str, Any] = {
    "nopython": True,
    "error_model": "numpy",
    "fastmath": {"contract", "reassoc", "nsz", "arcp"},
}


def compiled(function: F) -> F:
    """Compile to machine code on first use, cached on disk; without a writable place, in memory only."""
    return _jit(function, _OPTIONS)


def exact(function: F) -> F:
    """Compile likewise to code that rounds operation by operation, in the order written."""
    return _jit(function, {**_OPTIONS, "fastmath": False})


def callback(function: Callable[..., Any], signature: Any) -> Any:
    """Compile a function of this signature to one that C can call, at once."""
    options = {name: value for name, value in _OPTIONS.items() if name != "nopython"}
    try:
        return numba.cfunc(signature, cache=True, **options)(function)
    except RuntimeError:  # numba found no folder for its cache
        return numba.cfunc(signature, **options)(function)


def _jit(function: F, options: dict[str, Any]) -> F:
    try:
        return numba.jit(cache=True, **options)(function)  # type: ignore[no-any-return]
    except RuntimeError:  # numba found no folder for its cache
        return numba.jit(**options)(function)  # type: ignore[no-any-return]
