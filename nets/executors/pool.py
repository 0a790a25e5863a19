"""What a pool of workers is, the one loop that feeds it, and which pool fits."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

#: What a task calls to tell how far it is: any small plain value.
Tell = Callable[[Any], None]

#: What a pool runs: ``function(task, tell)``; importable by name, so that workers find it.
Function = Callable[[Any, Tell], Any]

#: Seconds after which a task that was put off is tried again.
AGAIN = 1.0


@dataclass(frozen=True)
class Ended:
    """How a task ended.

    Parameters
    ----------
    task : object
        The task.
    value : object
        What the function returned.
    failure : str
        What went wrong, in one sentence; empty if nothing did.
    trace : str
        Where it went wrong.
    error : Exception or None
        What was raised, where it could be brought here.
    """

    task: Any
    value: Any = None
    failure: str = ""
    trace: str = ""
    error: Exception | None = None


class Later(Exception):
    """Raised by a task that cannot be done now but may be later: it is tried again after the others."""


class Pool(Protocol):
    """Workers that run tasks; a context manager that stops them, at once if an exception passes through.

    A task whose worker dies is run again on another one; a task that raises is not.
    """

    #: How many tasks run at once, as far as is known.
    size: int

    def __enter__(self) -> Pool:
        """Start the workers."""

    def __exit__(self, *error: object) -> None:
        """Stop the workers; tasks under way are stopped too."""

    def submit(self, task: Hashable) -> None:
        """Hand in a task."""

    def next(self, timeout: float) -> Ended | None:
        """Return the next task that has ended, or None after `timeout` seconds."""


def run_all(
    pool: Pool,
    tasks: Sequence[Hashable],
    *,
    on_end: Callable[[Ended], None] | None = None,
) -> list[Ended]:
    """Run tasks in their order, as many at once as the pool takes, and return how each ended.

    Parameters
    ----------
    pool : Pool
        Entered already.
    tasks : sequence
        The tasks; no two alike.
    on_end : callable, optional
        Called in this process whenever a task has ended.

    Returns
    -------
    list of Ended
        In the order of `tasks`. Tasks that raise `Later` are tried again, after the others, until they end.
    """
    ended: dict[Hashable, Ended] = {}
    put_off: list[tuple[float, Hashable]] = []
    for task in tasks:
        pool.submit(task)
    while len(ended) < len(tasks):
        now = time.monotonic()
        for due in [entry for entry in put_off if entry[0] <= now]:
            put_off.remove(due)
            pool.submit(due[1])
        result = pool.next(0.1)
        if result is None:
            continue
        if result.failure.startswith(Later.__name__):
            put_off.append((time.monotonic() + AGAIN, result.task))
            continue
        ended[result.task] = result
        if on_end is not None:
            on_end(result)
    return [ended[task] for task in tasks]


def attempt(function: Function, task: Any, tell: Tell) -> Ended:
    """Run a task where it is; what it raises becomes its failure."""
    import traceback

    try:
        return Ended(task, function(task, tell))
    except Exception as error:
        message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return Ended(task, failure=message, trace="".join(traceback.format_exception(error)), error=error)


class Inline(Pool):
    """Runs every task in this process when its end is asked for.

    Parameters
    ----------
    function : callable
        ``function(task, tell)``.
    tell : callable
        Called as ``tell((task, message))`` when a task tells how far it is.
    """

    size = 1

    def __init__(self, function: Function, tell: Tell) -> None:
        self._function = function
        self._tell = tell
        self._tasks: deque[Hashable] = deque()

    def __enter__(self) -> Inline:
        return self

    def __exit__(self, *error: object) -> None:
        self._tasks.clear()

    def submit(self, task: Hashable) -> None:
        """Queue a task."""
        self._tasks.append(task)

    def next(self, timeout: float) -> Ended | None:
        """Run the next task."""
        if not self._tasks:
            time.sleep(timeout)
            return None
        task = self._tasks.popleft()
        return attempt(self._function, task, lambda message: self._tell((task, message)))


def start(
    function: Function,
    *,
    tell: Tell = lambda told: None,
    tasks: int,
    workers: int | None = None,
    threads: int = 1,
    scheduler: str | None = None,
    folder: Path | None = None,
    needs: Callable[[Any], dict[str, float]] | None = None,
) -> Pool:
    """Return the pool that fits; enter it to use it.

    Parameters
    ----------
    function : callable
        ``function(task, tell)``, importable by name.
    tell : callable
        Called as ``tell((task, message))`` when a task tells how far it is.
    tasks : int
        How many tasks there are.
    workers : int, optional
        Worker processes; default: one a core (divided by `threads`), no more than there are tasks. One runs
        in this process.
    threads : int
        Threads of each worker.
    scheduler : str, optional
        Address of a Dask scheduler: the tasks go to its workers instead.
    folder : Path, optional
        With a scheduler: the folder that all workers must see.
    needs : callable, optional
        What a task needs, e.g. ``{"GPU": 1}``: a resource of the cluster's workers; on this machine the GPUs
        are shared out over the workers.
    """
    from nets.executors.processes import Processes, available_cores

    if workers is not None and workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}")
    if threads < 1:
        raise ValueError(f"threads must be at least 1, got {threads}")
    if scheduler is not None:
        from nets.executors.cluster import Cluster

        return Cluster(function, tell, scheduler, folder or Path.cwd(), threads=threads, needs=needs)
    size = min(workers or max(1, available_cores() // threads), max(1, tasks))
    if size == 1:
        from nets.executors.worker import set_threads

        set_threads(threads)
        return Inline(function, tell)
    return Processes(function, tell, size, threads=threads, accelerators=accelerators())


def accelerators() -> tuple[str, ...]:
    """Return the names of this machine's GPUs if there are several to share out, else nothing."""
    import os

    import torch

    if not torch.cuda.is_available() or torch.cuda.device_count() < 2:
        return ()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return tuple(named.split(",")) if named else tuple(map(str, range(torch.cuda.device_count())))
