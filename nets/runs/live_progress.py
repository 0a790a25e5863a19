"""Live progress: bars on a terminal, lines where the output is none."""

from __future__ import annotations

import threading
import time
from types import TracebackType

import rich.progress
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from nets.runs.driver import Progress

#: Seconds between two lines where the output is no terminal: in the first minutes, and later.
OFTEN, SELDOM, FIRST_MINUTES = 2.0, 30.0, 300.0


def epochs_bar(console: Console | None = None, *, transient: bool = False) -> rich.progress.Progress:
    """Return a bar of epochs done, with the time gone and left."""
    return rich.progress.Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f} epochs"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=transient,
    )


class Bar:
    """Progress over epochs of training: a bar on a terminal, else lines; a context manager.

    Parameters
    ----------
    console : Console
        Where to show it; nothing is shown if it is quiet.
    text : str
        What is under way, until `show` says more.
    """

    def __init__(self, console: Console, text: str = "starting") -> None:
        self._console = console
        self._lines = not console.is_terminal and not console.quiet
        self._last = Progress()
        self._last.text = text
        self._start = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._print_lines, daemon=True)
        self._bar = epochs_bar(console, transient=True)
        self._task = self._bar.add_task(text, total=1.0)

    def __enter__(self) -> Bar:
        if self._lines:
            self._thread.start()
        else:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._lines:
            self._thread.join()
        else:
            self._bar.stop()

    def show(self, progress: Progress) -> None:
        """Show how far a comparison is."""
        self._last = progress
        self._bar.update(self._task, completed=progress.done, total=progress.total, description=progress.text)

    def _print_lines(self) -> None:
        """Print a line every other second, so that a reader of a log sees that something goes on."""
        while True:
            seconds = time.monotonic() - self._start
            last = self._last
            share = f"{last.done:.0f} of {last.total:.0f} epochs of training, " if last.total else ""
            self._console.print(
                f"{share}{seconds:.0f} s, {last.text}", highlight=False, markup=False, soft_wrap=True
            )
            if self._over.wait(OFTEN if seconds < FIRST_MINUTES else SELDOM):
                return
