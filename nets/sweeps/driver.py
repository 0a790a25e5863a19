"""Run a sweep: every job in its folder, on any pool of workers; what fails is told at the end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from nets.configuration import Play
from nets.executors import Ended, run_all, start
from nets.executors.jobs import Job
from nets.executors.pool import Later, Tell
from nets.runs.execution import Outcome, execute
from nets.runs.locks import RunBusy
from nets.runs.store import Keeping
from nets.storage.atomic import StorageError
from nets.sweeps.plan import Plan
from nets.training.loop import Hook, Loop


@dataclass(frozen=True)
class Task:
    """A job and where it is kept: what travels to a worker."""

    job: Job
    keeping: Keeping


@dataclass
class SweepSummary:
    """How a sweep went.

    Parameters
    ----------
    outcomes : list of Outcome
        One for every run that was to be made.
    notes : list of str
        What was set aside on the way.
    seconds : float
        How long it took.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def failures(self) -> list[Outcome]:
        """The runs that failed."""
        return [outcome for outcome in self.outcomes if outcome.failure]

    @property
    def finished(self) -> list[Outcome]:
        """The runs that are finished."""
        return [outcome for outcome in self.outcomes if outcome.row is not None]


@dataclass(frozen=True)
class Told:
    """What a worker tells of a job under way.

    Parameters
    ----------
    job : Job
        The job.
    epochs : float
        Epochs that it has trained so far.
    text : str
        What it is doing, or what it has set aside.
    note : bool
        Whether the text is a note to keep.
    """

    job: Job
    epochs: float
    text: str
    note: bool = False


def sweep(
    what: str | os.PathLike[str] | Mapping[str, Any] | Iterable[Play],
    folder: str | os.PathLike[str] = "runs",
    *,
    workers: int | None = None,
    threads: int = 1,
    scheduler: str | None = None,
    retry_failed: bool = True,
    **keeping: Any,
) -> SweepSummary:
    """Run a grid of plays; what is finished is not run again.

    Parameters
    ----------
    what : path, mapping or iterable of Play
        A sweep file, the same as plain values (lists are axes of the grid), or plays.
    folder : path
        Folder of the runs.
    workers, threads, scheduler
        See `run_plan`.
    retry_failed : bool
        Whether runs that failed before are tried again.
    **keeping
        Further fields of `nets.runs.execution.Keeping`, e.g. ``tensorboard=True``.

    Returns
    -------
    SweepSummary
    """
    from nets.sweeps.plan import make_plan
    from nets.sweeps.sweep_file import plays_of, read_sweep

    if isinstance(what, Mapping):
        plays: Iterable[Play] = plays_of(what)
    else:
        plays = read_sweep(what) if isinstance(what, (str, os.PathLike)) else what
    plan = make_plan(plays, Path(folder), retry_failed=retry_failed)
    kept = Keeping(Path(folder), **keeping)
    return run_plan(plan, kept, workers=workers, threads=threads, scheduler=scheduler)


def run_plan(
    plan: Plan,
    keeping: Keeping,
    *,
    workers: int | None = None,
    threads: int = 1,
    scheduler: str | None = None,
    on_progress: Callable[[Told], None] | None = None,
    on_end: Callable[[Job, list[Outcome]], None] | None = None,
) -> SweepSummary:
    """Make the runs of a plan that are not finished.

    Every run is stored as soon as it has ended, so a sweep can be stopped at any moment (Ctrl-C, kill -9,
    power cut) and started again; what another sweep over the same folder is working on is left to it and read
    when it is done.

    Parameters
    ----------
    plan : Plan
        See `make_plan`.
    keeping : Keeping
        Where and how runs are kept.
    workers, threads, scheduler
        See `nets.executors.start`. On a cluster a run on a GPU asks its worker for the resource "GPU".
    on_progress : callable, optional
        Called with a `Told` after every epoch of every training.
    on_end : callable, optional
        Called when a job has ended.

    Returns
    -------
    SweepSummary
        Failures of single runs are in it, not raised.

    Raises
    ------
    nets.storage.atomic.StorageError
        If the folder cannot be written to.
    """
    began = time.monotonic()
    summary = SweepSummary()

    def tell(told: tuple[Hashable, Any]) -> None:
        task, message = told
        assert isinstance(task, Task)
        said = Told(task.job, **message)
        if said.note:
            summary.notes.append(said.text)
        if on_progress is not None:
            on_progress(said)

    def end(ended: Ended) -> None:
        outcomes = _outcomes(ended)
        summary.outcomes += outcomes
        if on_end is not None:
            on_end(ended.task.job, outcomes)

    keeping.root.mkdir(parents=True, exist_ok=True)
    tasks = [Task(job, keeping) for job in plan.jobs]
    pool = start(
        work,
        tell=tell,
        tasks=len(tasks),
        workers=workers,
        threads=threads,
        scheduler=scheduler,
        folder=keeping.root,
        needs=_needs,
    )
    try:
        with pool:
            run_all(pool, tasks, on_end=end)
    finally:
        summary.seconds = time.monotonic() - began
    return summary


def _outcomes(ended: Ended) -> list[Outcome]:
    """Return how the runs of a job ended, also where the job as a whole failed."""
    if not ended.failure:
        outcomes: list[Outcome] = ended.value
        return outcomes
    if ended.failure.startswith(StorageError.__name__):
        raise StorageError(ended.failure.partition(": ")[2])
    from nets.runs.canonical import address

    return [Outcome(play, address(play), failure=ended.failure) for play in ended.task.job.plays]


def _needs(task: Task) -> dict[str, float]:
    return {"GPU": 1.0} if task.job.play.device.startswith("cuda") else {}


def work(task: Task, tell: Tell) -> list[Outcome]:
    """Do a task on a worker: make the runs of its job.

    Raises
    ------
    Later
        If somebody else is working on one of them.
    """
    hook = TellEpochs(task.job.play, tell)
    try:
        return execute(task.job, task.keeping, hooks=(hook,), say=hook.say)
    except RunBusy as error:
        raise Later(str(error)) from None


class TellEpochs(Hook):
    """Tells how many epochs a job has trained."""

    watches_only: ClassVar[bool] = True

    def __init__(self, play: Play, tell: Tell) -> None:
        self._play = play
        self._tell = tell
        self._epochs = 0.0

    def record(self, loop: Loop, metrics: Mapping[str, float]) -> None:
        """Count an epoch."""
        self._epochs += 1.0
        self._tell(
            {"epochs": self._epochs, "text": f"{loop.name} {loop.epochs_ended}/{loop.training.epochs}"}
        )

    def say(self, text: str) -> None:
        """Pass on what was set aside."""
        self._tell({"epochs": self._epochs, "text": text, "note": True})
