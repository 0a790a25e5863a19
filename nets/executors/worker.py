"""The program of a worker process: takes tasks from a pipe, one at a time, and sends back how they end.

It is started by `nets.executors.processes` as ``python -m nets.executors.worker FD``; its environment says
how many threads it has.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from nets.executors.pool import Ended, attempt


def serve(connection: Connection) -> None:
    """Run tasks until the other end closes the pipe or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which stops its workers
    lock = threading.Lock()

    def send(kind: str, content: Any) -> None:
        with lock:
            connection.send((kind, content))

    function = None
    while True:
        try:
            kind, content = connection.recv()
        except (EOFError, OSError):
            return
        if kind == "function":
            function = content
            send("ready", os.getpid())
        elif kind == "task":
            assert function is not None
            with _end_with_parent():
                ended = attempt(function, content, lambda message: send("told", message))
            try:
                send("ended", portable(ended))
            except (BrokenPipeError, ConnectionResetError):
                return


def portable(ended: Ended) -> Ended:
    """Return it without the exception if that does not survive the journey to another process."""
    try:
        pickle.loads(pickle.dumps(ended.error))
    except Exception:
        return replace(ended, error=None)
    return ended


def set_threads(threads: int) -> None:
    """Let torch compute on so many threads."""
    import torch

    torch.set_num_threads(threads)


class _end_with_parent:
    """End this process when its parent dies, also in the middle of a task."""

    def __enter__(self) -> None:
        self._done = threading.Event()
        parent = os.getppid()

        def watch() -> None:
            while not self._done.wait(1.0):
                if os.getppid() != parent:
                    os._exit(1)

        threading.Thread(target=watch, daemon=True).start()

    def __exit__(self, *error: object) -> None:
        self._done.set()


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))
