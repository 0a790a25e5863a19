"""What a command is doing, said on standard error when it takes longer than a moment."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

FIRST = 1.5  # seconds of silence before the first line
LONGEST = 30.0  # between two lines


@contextmanager
def stage(doing: str) -> Iterator[None]:
    """Say what is being done once it has taken a while, then ever less often; nothing if it is quick.

    Parameters
    ----------
    doing
        What is being done, as "solving".
    """
    ended = threading.Event()
    begun = time.perf_counter()
    live = sys.stderr.isatty()

    def tell() -> None:
        wait = FIRST
        while not ended.wait(wait):
            seconds = time.perf_counter() - begun
            if live:  # one line that is written over
                sys.stderr.write(f"\r\x1b[K{doing} ({seconds:.0f} s)")
                wait = 0.5
            else:
                sys.stderr.write(f"convex-analysis: {doing} ({seconds:.0f} s)\n")
                wait = min(2.0 * wait, LONGEST)
            sys.stderr.flush()
        if live and time.perf_counter() - begun >= FIRST:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    watcher = threading.Thread(target=tell, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
