"""Tasks one after another in this process."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

from nets.executors.pool import Ended, Function, Pool, Tell, attempt


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
            import time

            time.sleep(timeout)
            return None
        task = self._tasks.popleft()
        return attempt(self._function, task, lambda message: self._tell((task, message)))
