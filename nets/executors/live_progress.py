"""Live progress: bars on a terminal, lines where the output is none."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import ClassVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from nets.configuration import Play
from nets.executors.job_pool import Progress as JobProgress
from nets.executors.jobs import Job
from nets.training.loop import Hook, Loop

#: Seconds between two lines where the output is no terminal: in the first minutes, and later.
OFTEN, SELDOM, FIRST_MINUTES = 2.0, 30.0, 300.0


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
        self._last = JobProgress(0.0, 0.0, text)
        self._start = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._print_lines, daemon=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} epochs"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task(text, total=1.0)

    def __enter__(self) -> Bar:
        if self._lines:
            self._thread.start()
        else:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._lines:
            self._thread.join()
        else:
            self._progress.stop()

    def show(self, progress: JobProgress) -> None:
        """Show how far a comparison is."""
        self._last = progress
        self._progress.update(
            self._task, completed=progress.done, total=progress.total, description=progress.text
        )

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


class EpochBar(Hook):
    """Moves a bar on after every epoch of every training of a play."""

    watches_only: ClassVar[bool] = True

    def __init__(self, bar: Bar, play: Play) -> None:
        self._bar = bar
        self._text = f"{play.method}, seed {play.seed}"
        self._total = Job(play, (play.density,), (play.control,)).epochs + play.epochs
        self._done = 0.0

    def start(self, loop: Loop) -> None:
        """Show the bar."""
        self._bar.show(JobProgress(self._done, self._total, self._text))

    def end_epoch(self, loop: Loop) -> None:
        """Move the bar on by an epoch."""
        self._done += 1.0
        self._bar.show(JobProgress(self._done, max(self._total, self._done), self._text))
