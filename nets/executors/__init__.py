"""Where tasks are run: in this process, in worker processes of this machine, or on a cluster."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nets.executors.pool import Ended, Function, Inline, Later, Pool, Tell, run_all, set_threads
from nets.executors.processes import Processes, available_cores

__all__ = ["Ended", "Later", "Pool", "Tell", "available_cores", "run_all", "set_threads", "start"]


def start(
    function: Function,
    *,
    tell: Tell = lambda message: None,
    tasks: int,
    workers: int | None = None,
    threads: int = 1,
    scheduler: str | None = None,
    folder: Path | None = None,
    needs: Callable[[Any], dict[str, float]] | None = None,
) -> Pool:
    """Return the pool that fits; enter it to use it.

    Parameters
    ----------
    function : callable
        ``function(task, tell)``, importable by name.
    tell : callable
        Called as ``tell((task, message))`` when a task tells how far it is.
    tasks : int
        How many tasks there are.
    workers : int, optional
        Worker processes; default: one a core (divided by `threads`), no more than there are tasks. One runs
        in this process.
    threads : int
        Threads of each worker.
    scheduler : str, optional
        Address of a Dask scheduler: the tasks go to its workers instead.
    folder : Path, optional
        With a scheduler: the folder that all workers must see.
    needs : callable, optional
        What a task needs, e.g. ``{"GPU": 1}``: a resource of the cluster's workers; on this machine the GPUs
        are shared out over the workers.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}")
    if threads < 1:
        raise ValueError(f"threads must be at least 1, got {threads}")
    if scheduler is not None:
        from nets.executors.cluster import Cluster

        return Cluster(function, tell, scheduler, folder or Path.cwd(), threads=threads, needs=needs)
    size = min(workers or max(1, available_cores() // threads), max(1, tasks))
    if size == 1:
        set_threads(threads)
        return Inline(function, tell)
    return Processes(function, tell, size, threads=threads, accelerators=accelerators())


def accelerators() -> tuple[str, ...]:
    """Return the names of this machine's GPUs if there are several to share out, else nothing."""
    import torch

    if not torch.cuda.is_available() or torch.cuda.device_count() < 2:
        return ()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return tuple(named.split(",")) if named else tuple(map(str, range(torch.cuda.device_count())))
