"""Live progress bars on a terminal; silent where the output is no terminal."""

from __future__ import annotations

from types import TracebackType
from typing import ClassVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from nets.configuration import Play
from nets.hooks import Hook
from nets.job_pool import Progress as JobProgress
from nets.jobs import Job
from nets.training import Loop


class Bar:
    """A progress bar over epochs of training; a context manager."""

    def __init__(self, console: Console, total: float | None = None) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} epochs"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("", total=total or 1.0)

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, progress: JobProgress) -> None:
        """Show how far a comparison is."""
        self._progress.update(
            self._task, completed=progress.done, total=progress.total, description=progress.text
        )


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
