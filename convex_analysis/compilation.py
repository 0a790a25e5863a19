"""Numba compilation with a cache on disk that also works where nothing can be written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile to machine code on first use, cached on disk; without a writable place, in memory only."""
    options: dict[str, Any] = {"nopython": True, "fastmath": {"contract", "reassoc", "nsz", "arcp"}}
    try:
        return numba.jit(cache=True, **options)(function)  # type: ignore[no-any-return]
    except RuntimeError:  # numba found no folder for its cache
        return numba.jit(**options)(function)  # type: ignore[no-any-return]
