"""Run the jobs of a comparison on workers of one thread each; results do not depend on their number."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nets.configuration import Play
from nets.executors import Ended, run_all, start
from nets.executors.jobs import Job
from nets.executors.pool import Later, Tell
from nets.result import Result
from nets.runs.store import Keeping


@dataclass(frozen=True)
class Progress:
    """How far a comparison is.

    Parameters
    ----------
    done, total : float
        Epochs of training done, and in all.
    text : str
        What has just ended.
    """

    done: float
    total: float
    text: str


@dataclass(frozen=True)
class _Task:
    """A job; with a folder its runs are stored there, and those that are finished are read."""

    job: Job
    folder: Path | None


def run_jobs(
    dense: Sequence[Play],
    jobs: Sequence[Job],
    *,
    workers: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    folder: Path | None = None,
) -> list[Result]:
    """Run the dense trainings and the jobs, the largest first.

    Parameters
    ----------
    dense : sequence of Play
        Dense trainings, one a seed; every job's results are compared with that of its seed.
    jobs : sequence of Job
        The jobs.
    workers : int, optional
        Worker processes; default: one a core. One worker runs in this process.
    on_progress : callable, optional
        Called whenever something has ended.
    folder : Path, optional
        Store every run there as it ends; what is finished there is not run again.

    Returns
    -------
    list of Result
        The dense results first; no other order.
    """
    first = [_Task(Job(play, (play.density,)), folder) for play in dense]
    rest = [_Task(job, folder) for job in sorted(jobs, key=lambda job: -job.epochs)]
    sizes = {task: task.job.epochs for task in (*first, *rest)}
    done = 0.0

    def tell(ended: Ended) -> None:
        nonlocal done
        if ended.error is not None:
            raise ended.error
        if ended.failure:
            raise RuntimeError(ended.failure)
        done += sizes[ended.task]
        if on_progress is not None:
            play = ended.task.job.play
            on_progress(Progress(done, sum(sizes.values()), f"{play.method}, seed {play.seed}"))

    tasks: list[Hashable] = [*first, *rest]
    here = [task for task in (*first, *rest) if task.folder and Keeping(task.folder).finished(task.job)]
    there = [task for task in tasks if task not in here]
    ended: dict[Hashable, Ended] = {}
    for some, count in ((here, 1), (there, workers)):
        with start(work, tasks=len(some), workers=count) as pool:
            ended |= {one.task: one for one in run_all(pool, some, on_end=tell)}
    results: list[list[Result]] = [ended[task].value for task in tasks]
    dense_results = {result.play.seed: result for group in results[: len(first)] for result in group}
    compared = [
        replace(
            result,
            dense_test_score=dense_results[result.play.seed].test_score,
            dense_validation_score=dense_results[result.play.seed].validation_score,
        )
        for group in results[len(first) :]
        for result in group
    ]
    return [*dense_results.values(), *compared]


def work(task: _Task, tell: Tell) -> list[Result]:
    """Do a task on a worker; the dense scores are filled in by the caller."""
    if task.folder is not None:
        return _stored(task.job, task.folder)
    from nets.lottery import Untrained, is_dense, play_densities

    job = task.job
    dense = None if is_dense(job.play) else Untrained
    return [result for result, _ in play_densities(job.play, job.densities, job.controls, dense=dense)]


def _stored(job: Job, folder: Path) -> list[Result]:
    from nets.runs.execution import execute
    from nets.runs.locks import RunBusy
    from nets.runs.results import result_of

    keeping = Keeping(folder, keep_network=False)
    try:
        outcomes = execute(job, keeping)
    except RunBusy as error:
        raise Later(str(error)) from None
    for outcome in outcomes:
        if outcome.failure:
            raise RuntimeError(f"{outcome.play.method}, seed {outcome.play.seed}: {outcome.failure}")
    return [result_of(keeping.folder(outcome.play)) for outcome in outcomes]


def one_thread() -> None:
    """Let torch compute on one thread: the workers share out the cores."""
    from nets.executors import set_threads

    set_threads(1)
