"""Run plays in worker processes of one thread each; the results do not depend on their number."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nets.configuration import Play
from nets.result import Result

if TYPE_CHECKING:
    from nets.comparison import Job


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


def run_jobs(
    dense: Sequence[Play],
    jobs: Sequence[Job],
    *,
    workers: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
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

    Returns
    -------
    list of Result
        The dense results first; no other order.
    """
    sizes = {job: job.epochs for job in jobs}
    ordered = sorted(jobs, key=lambda job: -sizes[job])
    total = sum(sizes.values()) + sum(play.epochs for play in dense)
    done = 0.0

    def tell(epochs: float, play: Play) -> None:
        nonlocal done
        done += epochs
        if on_progress is not None:
            on_progress(Progress(done, total, f"{play.method}, seed {play.seed}"))

    dense_results: dict[int, Result] = {}
    job_results: list[Result] = []
    count = min(workers or available_cores(), max(1, len(jobs) + len(dense)))
    if count == 1:
        one_thread()
        for play in dense:
            dense_results[play.seed] = run_dense(play)
            tell(play.epochs, play)
        for job in ordered:
            job_results += run_job(job)
            tell(sizes[job], job.play)
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(count, mp_context=context, initializer=one_thread) as pool:
            waiting: dict[Future[Any], Play | Job] = {pool.submit(run_dense, play): play for play in dense}
            waiting |= {pool.submit(run_job, job): job for job in ordered}
            try:
                while waiting:
                    finished, _ = wait(waiting, return_when=FIRST_COMPLETED)
                    for future in finished:
                        task = waiting.pop(future)
                        if isinstance(task, Play):
                            dense_results[task.seed] = future.result()
                            tell(task.epochs, task)
                        else:
                            job_results += future.result()
                            tell(sizes[task], task.play)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    compared = [
        replace(
            result,
            dense_test_accuracy=dense_results[result.play.seed].test_accuracy,
            dense_validation_accuracy=dense_results[result.play.seed].validation_accuracy,
        )
        for result in job_results
    ]
    return [*dense_results.values(), *compared]


def available_cores() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def one_thread() -> None:
    """Let torch compute on one thread: the workers share out the cores."""
    import torch

    torch.set_num_threads(1)


def run_dense(play: Play) -> Result:
    """Train the dense network of a play."""
    from nets.playing import play as play_once

    return play_once(play)


def run_job(job: Job) -> list[Result]:
    """Play the densities of a job; the dense accuracies are filled in by the caller."""
    from nets.playing import Untrained, play_densities

    return [result for result, _ in play_densities(job.play, job.densities, dense=Untrained)]
