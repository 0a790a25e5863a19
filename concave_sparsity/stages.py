"""What a command is doing, said on standard error when it takes longer than a moment."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, get_args

FIRST = 1.5  # seconds of silence before the first line, or the bar
LONGEST = 30.0  # between two lines


class Stage:
    """How far a stage is: ``tell(done, of)``."""

    def __init__(self, doing: str) -> None:
        self.doing, self.done, self.of = doing, 0, 0
        self._begun = time.perf_counter()

    def tell(self, done: int, of: int) -> None:
        """Note that so many steps of so many are done."""
        self.done, self.of = done, of

    @property
    def seconds(self) -> float:
        """Seconds since it began."""
        return time.perf_counter() - self._begun

    def __str__(self) -> str:
        share = f", {self.done} of {self.of}" if self.of else ""
        return f"{self.doing} ({self.seconds:.0f} s{share})"


def sentence(error: BaseException) -> str:
    """Return what an error says; of the system's own the file and the reason, without its number."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def refuse_fractions(app: Any, commands: Any, arguments: Any) -> None:
    """Refuse 1.5 where a whole number belongs, which the command line would round; a hook of its settings.

    Raises
    ------
    ValueError
        Naming the option and the value.
    """
    for argument in arguments:
        if int in (argument.hint, *get_args(argument.hint)) and float not in get_args(argument.hint):
            for token in argument.tokens:
                if "." in token.value and not token.value.rstrip("0").endswith("."):
                    raise ValueError(f"{argument.name} takes a whole number, got {token.value}")


@contextmanager
def stage(doing: str) -> Iterator[Stage]:
    """Say what is being done once it has taken a while: a bar in a terminal, else lines, ever less often.

    Parameters
    ----------
    doing
        What is being done, as "solving".
    """
    now, ended = Stage(doing), threading.Event()
    follow = _draw if sys.stderr.isatty() else _write
    watcher = threading.Thread(target=follow, args=(now, ended), daemon=True)
    watcher.start()
    try:
        yield now
    finally:
        ended.set()
        watcher.join()


def _write(now: Stage, ended: threading.Event) -> None:
    wait = FIRST
    while not ended.wait(wait):
        sys.stderr.write(f"{now}\n")
        sys.stderr.flush()
        wait = min(2.0 * wait, LONGEST)


def _draw(now: Stage, ended: threading.Event) -> None:
    if ended.wait(FIRST):
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns: list[Any] = [TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()]
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(now.doing, total=now.of or None)
        while not ended.wait(0.2):
            if now.of and len(bar.columns) == len(columns):
                bar.columns = (*bar.columns, MofNCompleteColumn())
            bar.update(task, completed=now.done, total=now.of or None)
