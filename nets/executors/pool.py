"""What a pool of workers is, and the one loop that feeds it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
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


def set_threads(threads: int) -> None:
    """Let torch compute on so many threads."""
    import torch

    torch.set_num_threads(threads)


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
