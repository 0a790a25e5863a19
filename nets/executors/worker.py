"""The program of a worker process: takes tasks from a pipe, one at a time, and sends back how they end.

It is started by `nets.executors.processes` as ``python -m nets.executors.worker FD PARENT``; its environment
says how many threads it has.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import signal
import sys
import threading
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from nets.executors.pool import Ended, attempt


def serve(connection: Connection) -> None:
    """Run tasks until the other end closes the pipe or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which stops its workers
    lock = threading.Lock()

    def send(kind: str, content: Any) -> None:
        try:
            with lock:
                connection.send((kind, content))
        except (BrokenPipeError, ConnectionResetError):  # the parent is gone: that is no failure of the task
            os._exit(1)

    function = None
    while True:
        try:
            kind, content = connection.recv()
        except (EOFError, OSError):
            return
        if kind == "function":
            function = content
            gc.freeze()  # what was imported stays, so the collector need not look at it again and again
            gc.enable()
            send("ready", os.getpid())
        elif kind == "task":
            assert function is not None
            ended = attempt(function, content, lambda message: send("message", message))
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()  # what the task has printed: this process is ended without a word
            send("ended", portable(ended))


def portable(ended: Ended) -> Ended:
    """Return it without the exception if that does not survive the journey to another process."""
    try:
        pickle.loads(pickle.dumps(ended.error))
    except Exception:
        return replace(ended, error=None)
    return ended


def end_with_parent(parent: int) -> None:
    """End this process when its parent dies, however it dies and whatever this one is doing.

    What a run has stored is whole at every moment, so nothing need be tidied up.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    end_with_parent(int(sys.argv[2]))
    gc.disable()  # until the function and all that it needs are imported: a fifth of that time
    serve(Connection(int(sys.argv[1])))
    os._exit(0)  # taking down all that is imported takes seconds
