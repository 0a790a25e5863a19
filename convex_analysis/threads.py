"""Threads of BLAS during a solve: one for the many small products, all that are allowed for a large one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from convex_analysis import steering


class _Blas:
    """Thread counts of the loaded BLAS libraries, shared by all solves of the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._libraries: list[Any] | None = None
        self._allowed: list[int] = []
        self._solves = 0

    def enter(self) -> None:
        """Begin a solve: the first one sets one thread."""
        with self._lock:
            if self._libraries is None:
                from threadpoolctl import ThreadpoolController

                libraries = ThreadpoolController().lib_controllers
                self._libraries = [library for library in libraries if library.user_api == "blas"]
            if self._solves == 0:
                self._allowed = [library.num_threads for library in self._libraries]
                self._set([1] * len(self._allowed))
            self._solves += 1

    def leave(self) -> None:
        """End a solve: the last one gives the threads back."""
        with self._lock:
            self._solves -= 1
            if self._solves == 0:
                self._set(self._allowed)

    def open(self, threads: bool) -> None:
        """Allow threads or not, if only one solve runs."""
        with self._lock:
            if self._solves == 1:
                self._set(self._allowed if threads else [1] * len(self._allowed))

    def _set(self, counts: list[int]) -> None:
        for library, count in zip(self._libraries or (), counts, strict=True):
            library.set_num_threads(count)


_blas = _Blas()
_here = threading.local()


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep BLAS to one thread: what solvers multiply is small, and threads would wait for each other."""
    if getattr(_here, "solving", False):  # a solve within a solve
        yield
        return
    _blas.enter()
    _here.solving = True
    try:
        yield
    finally:
        _here.solving = False
        _blas.leave()


@contextmanager
def threads_for(multiply_adds: float) -> Iterator[None]:
    """Let one product within a solve use all threads that the caller allowed, if it is large."""
    if multiply_adds < steering.LARGE_PRODUCT:
        yield
        return
    _blas.open(True)
    try:
        yield
    finally:
        _blas.open(False)
