"""Make runs, stored or not: one in this process, or many on any pool of workers; and how far they are."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from nets.configuration import Play
from nets.executors import Ended, Later, Tell, run_all, start
from nets.result import Result
from nets.runs.execution import Outcome, execute
from nets.runs.folder import RunBusy
from nets.runs.jobs import Job, Keeping
from nets.runs.results import result_of
from nets.training.distributed import on_first
from nets.training.loop import Hook, Loop

if TYPE_CHECKING:
    from nets.tickets import Ticket
    from nets.training.loop import Hook


@dataclass(frozen=True)
class Task:
    """A job and where it is kept, if it is: what travels to a worker."""

    job: Job
    keeping: Keeping | None


@dataclass(frozen=True)
class Report:
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


class Progress:
    """How far jobs are, in epochs of training.

    Parameters
    ----------
    jobs : sequence of Job
        All that is to be made.
    more : float
        Epochs of other trainings that are told of as theirs.

    Attributes
    ----------
    total, done : float
        Epochs in all, and of the jobs that have ended and are under way.
    text : str
        What was told last.
    under_way : dict of Job to Report
        What was told last of each job under way.
    """

    def __init__(self, jobs: Sequence[Job] = (), more: float = 0.0) -> None:
        self.total = sum(job.epochs for job in jobs) + more
        self.text = ""
        self.under_way: dict[Job, Report] = {}
        self._more = more
        self._ended = 0.0

    @property
    def done(self) -> float:
        """Epochs done."""
        under_way = tuple(self.under_way.values())  # another thread may be showing it
        begun = sum(min(report.epochs, report.job.epochs + self._more) for report in under_way)
        return min(self._ended + begun, self.total)

    def report(self, report: Report) -> None:
        """Take in what a job tells."""
        if not report.note:
            self.under_way[report.job] = report
            self.text = f"{report.job.play.method}, seed {report.job.play.seed}"

    def ended(self, job: Job) -> None:
        """Take in that a job has ended."""
        self.under_way.pop(job, None)
        self._ended += job.epochs


def run_jobs(
    jobs: Sequence[Job],
    keeping: Keeping | None = None,
    *,
    workers: int | None = None,
    threads: int = 1,
    scheduler: str | None = None,
    on_report: Callable[[Report], None] | None = None,
    on_end: Callable[[Ended], None] | None = None,
) -> list[Ended]:
    """Make jobs in their order and return how each ended; those that are finished are read in this process.

    Parameters
    ----------
    jobs : sequence of Job
        The jobs.
    keeping : Keeping, optional
        Where and how the runs are kept; without, nothing is.
    workers, threads, scheduler
        See `nets.executors.start`. On a cluster a run on a GPU asks its worker for the resource "GPU".
    on_report : callable, optional
        Called after every epoch of every training.
    on_end : callable, optional
        Called when a job has ended; the job is ``ended.task.job``.

    Returns
    -------
    list of Ended
        One a job, in their order; its value a list of `Outcome` where runs are kept, of `Result` else.
    """

    def tell(report: tuple[Hashable, Any]) -> None:
        task, message = report
        assert isinstance(task, Task)
        if on_report is not None:
            on_report(Report(task.job, **message))

    tasks = [Task(job, keeping) for job in jobs]
    here: list[Task] = []
    there: list[Task] = []
    for task in tasks:
        (here if keeping is not None and keeping.finished(task.job) else there).append(task)
    ended: dict[Hashable, Ended] = {}
    for some, count, place in ((here, 1, None), (there, workers, scheduler)):
        pool = start(
            work,
            tell=tell,
            tasks=len(some),
            workers=count,
            threads=threads,
            scheduler=place,
            folder=None if keeping is None else keeping.root,
            needs=_needs,
        )
        with pool:
            ended |= {one.task: one for one in run_all(pool, some, on_end=on_end)}
    return [ended[task] for task in tasks]


def _needs(task: Task) -> dict[str, float]:
    return {"GPU": 1.0} if task.job.play.device.startswith("cuda") else {}


def work(task: Task, tell: Tell) -> list[Outcome] | list[Result]:
    """Do a task on a worker: make the runs of its job.

    Raises
    ------
    Later
        If somebody else is working on one of them.
    """
    job, hook = task.job, TellEpochs(tell)
    if task.keeping is None:
        from nets.lottery import Untrained, is_dense, play_densities

        dense = None if is_dense(job.play) else Untrained  # the caller has trained it
        found = play_densities(job.play, job.densities, job.controls, dense=dense, hooks=(hook,))
        return [result for result, _ in found]
    try:
        return execute(job, task.keeping, hooks=(hook,), say=hook.say)
    except RunBusy as error:
        raise Later(str(error)) from None


class TellEpochs(Hook):
    """Tells how many epochs a job has trained."""

    watches_only: ClassVar[bool] = True

    def __init__(self, tell: Tell) -> None:
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


class RunFailed(RuntimeError):
    """A run could not be finished."""


def run(
    play: Play | None = None,
    folder: str | os.PathLike[str] = "runs",
    *,
    hooks: Sequence[Hook] = (),
    keeping: Keeping | None = None,
    **changes: Any,
) -> Result:
    """Play the lottery once and keep the run; a finished run is read, an interrupted one resumes.

    Parameters
    ----------
    play : Play, optional
        What to run; default ``Play()``.
    folder : path
        Folder of the runs; this one lies in ``folder/<address>/``, the address being the hash of what it is.
    hooks : sequence of Hook
        Called in every training that is still to be done.
    keeping : Keeping, optional
        How it is kept; its `root` is `folder`. Default: the network too, a checkpoint every 30 s.
    **changes
        Fields of the play, e.g. ``method="imp"``.

    Returns
    -------
    Result

    Raises
    ------
    RunFailed
        If it failed; the reason is kept in ``failure.json``, and the next call tries again.
    nets.runs.folder.RunBusy
        If another process is working on it.
    nets.storage.atomic.StorageError
        If the folder cannot be written to.
    """
    play = Play(**changes) if play is None else replace(play, **changes)
    kept = replace(keeping, root=Path(folder)) if keeping else Keeping(Path(folder))
    (outcome,) = execute(Job(play, (play.density,), (play.control,)), kept, hooks=hooks)
    if outcome.failure:
        raise RunFailed(outcome.failure)
    result = result_of(kept.folder(outcome.play))
    return replace(
        result, play=replace(result.play, device=play.device, data_dir=play.data_dir, verify=play.verify)
    )


def stored_ticket(play: Play, folder: str | os.PathLike[str] = "runs") -> Ticket:
    """Return the ticket of a finished run.

    Raises
    ------
    FileNotFoundError
        If the run is not finished.
    nets.runs.folder.BadRun
        If the ticket is damaged; it was then set aside.
    """
    found = on_first(Keeping(Path(folder)).folder(play).ticket)
    if found is None:
        raise FileNotFoundError(f"this run has no ticket in {folder}: run it first")
    return found


def stored_network(play: Play, folder: str | os.PathLike[str] = "runs") -> Path:
    """Return the file of the trained network of a finished run.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    found = Keeping(Path(folder)).folder(play).path / "network.safetensors"
    if not found.is_file():
        raise FileNotFoundError(f"this run has no network in {folder}: it was made without keeping it")
    return found
