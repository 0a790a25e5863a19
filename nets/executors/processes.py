"""Worker processes of this machine; one that dies loses nothing but its place, which another one takes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Hashable, Sequence
from multiprocessing.connection import Pipe, wait
from typing import Any

from nets.executors.pool import Ended, Function, Pool, Tell

#: How often a task is given to a worker before it is taken to be what kills them.
ATTEMPTS = 3


class Processes(Pool):
    """A fixed number of worker processes, each computing on a fixed number of threads.

    They are programs of their own rather than forks: nothing of this process is copied into them, and a
    script that starts them needs no ``if __name__ == "__main__"``.

    Parameters
    ----------
    function : callable
        ``function(task, tell)``, importable by name.
    tell : callable
        Called in this process as ``tell((task, message))`` when a task tells how far it is.
    size : int
        Number of workers.
    threads : int
        Threads of each.
    accelerators : sequence of str
        Names of the accelerators of this machine (values for CUDA_VISIBLE_DEVICES), shared out over the
        workers one by one; empty leaves them all to each.
    """

    def __init__(
        self, function: Function, tell: Tell, size: int, *, threads: int = 1, accelerators: Sequence[str] = ()
    ) -> None:
        if size < 1:
            raise ValueError(f"a pool needs at least 1 worker, got {size}")
        if function.__module__ == "__main__" or "<" in function.__qualname__:
            raise ValueError(
                f"{function.__qualname__} cannot be imported by worker processes: put it into a module"
            )
        self.size = size
        self._function = function
        self._tell = tell
        self._threads = threads
        self._accelerators = tuple(accelerators)
        self._tasks: deque[Hashable] = deque()
        self._attempts: dict[Hashable, int] = {}
        self._workers: list[_Worker] = []

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self._workers:
            worker.stop()
        self._workers.clear()

    def submit(self, task: Hashable) -> None:
        """Queue a task."""
        self._tasks.append(task)

    def next(self, timeout: float) -> Ended | None:
        """Hand out what is queued and return the next task that has ended."""
        self._hand_out()
        by_connection: dict[Any, _Worker] = {worker.connection: worker for worker in self._workers}
        for connection in wait(list(by_connection), timeout):
            ended = self._receive(by_connection[connection])
            if ended is not None:
                return ended
        return None

    def _hand_out(self) -> None:
        idle = sum(worker.task is None for worker in self._workers)
        for _ in range(min(self.size - len(self._workers), len(self._tasks) - idle)):
            self._workers.append(self._new_worker(self._free_place()))
        for worker in self._workers:
            if worker.task is None and self._tasks:
                task = self._tasks.popleft()
                self._attempts[task] = self._attempts.get(task, 0) + 1
                worker.give(task)

    def _free_place(self) -> int:
        taken = {worker.place for worker in self._workers}
        return next(place for place in range(self.size) if place not in taken)

    def _new_worker(self, place: int) -> _Worker:
        visible = self._accelerators[place % len(self._accelerators)] if self._accelerators else None
        return _Worker(place, self._function, self._threads, visible)

    def _receive(self, worker: _Worker) -> Ended | None:
        try:
            kind, content = worker.connection.recv()
        except (EOFError, OSError):
            return self._lost(worker)
        if kind == "message":
            self._tell((worker.task, content))
        elif kind == "ended":
            worker.task = None
            assert isinstance(content, Ended)
            return content
        return None

    def _lost(self, worker: _Worker) -> Ended | None:
        """Take the place of a worker that died; its task goes back to the front of the queue."""
        worker.stop(patience=2.0)  # it may still be on its way out
        self._workers.remove(worker)
        task = worker.task
        if task is None:
            return None
        if self._attempts[task] < ATTEMPTS:
            self._tasks.appendleft(task)
            return None
        return Ended(
            task, failure=f"its worker process died {ATTEMPTS} times, the last time {worker.cause()}"
        )


class _Worker:
    """One worker process and the pipe to it."""

    def __init__(self, place: int, function: Function, threads: int, visible: str | None) -> None:
        self.place = place
        self.task: Hashable | None = None
        self.connection, theirs = Pipe()
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        if visible is not None:
            environment["CUDA_VISIBLE_DEVICES"] = visible
        # What the parent can import the worker can too: tasks may name modules beside the user's script.
        environment["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
        # Ctrl-C is for the parent alone, also while the worker is still importing.
        ignoring = ["/bin/sh", "-c", 'trap "" INT; exec "$@"', "sh"]
        self._process = subprocess.Popen(
            [
                *ignoring,
                sys.executable,
                "-m",
                "nets.executors.worker",
                str(theirs.fileno()),
                str(os.getpid()),
            ],
            pass_fds=[theirs.fileno()],
            env=environment,
            stdin=subprocess.DEVNULL,
        )
        theirs.close()
        self._send(("function", function))

    def give(self, task: Hashable) -> None:
        """Give a task to the worker."""
        self.task = task
        self._send(("task", task))

    def _send(self, message: object) -> None:
        # If the worker is dead already, reading from it will tell.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send(message)

    def stop(self, patience: float = 0.0) -> None:
        """End the process, whatever it is doing; what it has stored is whole at every moment."""
        self.connection.close()
        if patience:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(patience)
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()

    def cause(self) -> str:
        """Tell how the process ended."""
        code = self._process.returncode
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                return f"by signal {signal.Signals(-code).name}"
        return f"with exit status {code}"


def available_cores() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
