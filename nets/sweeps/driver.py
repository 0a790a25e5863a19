"""Sweeps: planned first, every job in its folder on any pool of workers; what fails is told at the end."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nets.configuration import Play
from nets.executors import Ended
from nets.runs.canonical import dense_of, settled
from nets.runs.driver import Report, run_jobs
from nets.runs.execution import Outcome
from nets.runs.jobs import Job, Keeping, jobs
from nets.storage.atomic import StorageError


@dataclass(frozen=True)
class Plan:
    """What a sweep is going to do.

    Parameters
    ----------
    runs : tuple of Play
        What was asked for, the dense networks that the others are compared with among it, each once.
    states : tuple of str
        State of each: "finished", "running" (by somebody else), "failed", "interrupted", "new".
    jobs : tuple of Job
        What is to do: dense networks first (the others need them), then the largest first, so that the
        workers end together.
    """

    runs: tuple[Play, ...]
    states: tuple[str, ...]
    jobs: tuple[Job, ...]

    @property
    def epochs(self) -> float:
        """Epochs of training to do; what interrupted runs have done already is not deducted."""
        return sum(job.epochs for job in self.jobs)

    @property
    def counts(self) -> Counter[str]:
        """How many runs are in each state."""
        return Counter(self.states)

    @property
    def to_do(self) -> int:
        """How many runs are to be made."""
        return sum(state != "finished" for state in self.states)


def make_plan(plays: Iterable[Play], root: Path, *, retry_failed: bool = True) -> Plan:
    """Plan a sweep; nothing is written.

    Parameters
    ----------
    plays : iterable of Play
        What is asked for.
    root : Path
        Folder of the runs.
    retry_failed : bool
        Whether runs that failed before are tried again.
    """
    keeping = Keeping(root)
    asked = [settled(play) for play in plays]
    runs = tuple(dict.fromkeys([*map(dense_of, asked), *asked]))
    states = tuple(keeping.folder(run).state for run in runs)
    done = ("finished",) if retry_failed else ("finished", "failed")
    missing = [run for run, state in zip(runs, states) if state not in done]
    todo = jobs(missing)
    dense = [job for job in todo if dense_of(job.play) == job.play]
    others = [job for job in todo if job not in dense]
    return Plan(runs, states, (*dense, *sorted(others, key=lambda job: -job.epochs)))


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
    on_progress: Callable[[Report], None] | None = None,
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
        Called with a `Report` after every epoch of every training.
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

    def report(report: Report) -> None:
        if report.note:
            summary.notes.append(report.text)
        if on_progress is not None:
            on_progress(report)

    def end(ended: Ended) -> None:
        outcomes = _outcomes(ended)
        summary.outcomes += outcomes
        if on_end is not None:
            on_end(ended.task.job, outcomes)

    keeping.root.mkdir(parents=True, exist_ok=True)
    run_jobs(
        plan.jobs,
        keeping,
        workers=workers,
        threads=threads,
        scheduler=scheduler,
        on_report=report,
        on_end=end,
    )
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
