"""Tasks on a cluster, as futures of Dask distributed: the extra "cluster"."""

from __future__ import annotations

import contextlib
import queue
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable
from concurrent.futures import CancelledError
from functools import partial
from pathlib import Path
from typing import Any

from nets.executors.pool import Ended, Function, Pool, Tell, attempt, set_threads

TOPIC = "concave-sparsity"

#: Seconds to wait for the scheduler to answer, and for its first worker.
ANSWER, FIRST_WORKER = 10, 30

#: Seconds to wait for a scheduler to come back, and how often a task that it has lost is handed in.
RETURN, ATTEMPTS = 120, 5

#: Tasks of one worker process run one after another: torch's global generators belong to the process.
_ONE_AT_A_TIME = threading.Lock()


class Cluster(Pool):
    """The workers of a Dask scheduler; lost ones are replaced by the cluster, their tasks run again.

    Parameters
    ----------
    function : callable
        ``function(task, tell)``, importable by name on the workers.
    tell : callable
        Called in this process as ``tell((task, message))`` when a task tells how far it is.
    scheduler : str
        Address of the scheduler, e.g. "tcp://host:8786".
    folder : Path
        A folder that this machine and all workers must see.
    threads : int
        Threads of each worker.
    needs : callable, optional
        Resources that a task needs of its worker, e.g. ``lambda task: {"GPU": 1}``.

    Raises
    ------
    ModuleNotFoundError
        If Dask distributed is not installed.
    ValueError
        If there is no such scheduler, or a worker cannot see the folder or has another version.
    """

    def __init__(
        self,
        function: Function,
        tell: Tell,
        scheduler: str,
        folder: Path,
        *,
        threads: int = 1,
        needs: Callable[[Any], dict[str, float]] | None = None,
    ) -> None:
        self._distributed = _distributed()
        self._function = function
        self._tell = tell
        self._folder = folder.resolve()
        self._threads = threads
        self._needs = needs or (lambda task: {})
        self._done: queue.SimpleQueue[tuple[Hashable, Any]] = queue.SimpleQueue()
        self._messages: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        self._tasks: list[Hashable] = []
        self._scheduler = scheduler
        self._losses: Counter[Hashable] = Counter()
        self._futures: set[Any] = set()
        try:
            self._client = self._distributed.Client(scheduler, timeout=ANSWER, set_as_default=False)
        except (OSError, ValueError) as error:
            raise ValueError(f"no Dask scheduler answers at {scheduler} ({error}); start one there") from None
        try:
            self.size = self._check_workers(scheduler)
        except BaseException:
            self._client.close()
            raise

    def __enter__(self) -> Cluster:
        self._client.subscribe_topic(TOPIC, self._hear)
        return self

    def __exit__(self, *error: object) -> None:
        if self._client.status == "running":
            self._client.unsubscribe_topic(TOPIC)
            if self._futures:
                self._client.cancel(list(self._futures), force=True)
        self._client.close()

    def _check_workers(self, scheduler: str) -> int:
        """Return the number of workers, which must see the folder and have this version of the library."""
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            self._client.wait_for_workers(1, timeout=FIRST_WORKER)
        except TimeoutError:
            raise ValueError(f"the scheduler at {scheduler} has no workers; start some") from None
        with tempfile.NamedTemporaryFile(dir=self._folder, prefix=".probe-") as probe:
            mine = _look(probe.name)
            seen = self._client.run(_look, probe.name)
        for worker, (version, sees) in seen.items():
            if version != mine[0]:
                raise ValueError(f"worker {worker} has version {version} of this library, here is {mine[0]}")
            if not sees:
                raise ValueError(
                    f"worker {worker} does not see the folder {self._folder}: "
                    "put the runs on a file system that all machines share"
                )
        return len(seen)

    def submit(self, task: Hashable) -> None:
        """Hand a task to the scheduler."""
        number = len(self._tasks)
        self._tasks.append(task)
        future = self._client.submit(
            _run,
            self._function,
            task,
            number,
            self._threads,
            key=f"{TOPIC}-{id(self)}-{number}",
            pure=False,
            resources=self._needs(task) or None,
        )
        self._futures.add(future)
        future.add_done_callback(partial(self._end, task))

    def _end(self, task: Hashable, future: Any) -> None:
        self._done.put((task, future))

    def _hear(self, event: tuple[float, Any]) -> None:
        number, message = event[1]
        self._messages.put((number, message))

    def next(self, timeout: float) -> Ended | None:
        """Return the next task that has ended."""
        while not self._messages.empty():
            number, message = self._messages.get()
            if 0 <= number < len(self._tasks):
                self._tell((self._tasks[number], message))
        try:
            task, future = self._done.get(timeout=timeout)
        except queue.Empty:
            return None
        self._futures.discard(future)
        if future.status == "finished":
            try:
                ended = future.result()
            except (CancelledError, OSError):  # the scheduler went away before it was fetched
                return self._again(task)
            assert isinstance(ended, Ended)
            return ended
        if future.status in ("cancelled", "lost"):  # as when the scheduler is started anew
            return self._again(task)
        error = future.exception()
        if isinstance(error, self._distributed.scheduler.KilledWorker):
            return Ended(
                task, failure=f"its worker was lost again and again, the last one {error.last_worker.address}"
            )
        return Ended(task, failure=f"{type(error).__name__}: {error}")

    def _again(self, task: Hashable) -> Ended | None:
        """Hand a task in once more that the scheduler has lost; it resumes from what it has stored."""
        self._losses[task] += 1
        if self._losses[task] >= ATTEMPTS:
            return Ended(task, failure=f"it was cancelled on the cluster {ATTEMPTS} times")
        until = time.monotonic() + RETURN
        while self._client.status != "running":
            if time.monotonic() > until:
                return Ended(task, failure=f"the scheduler at {self._scheduler} went away; start it again")
            if self._client.status == "closed":  # it has given up waiting: a new one takes its place
                self._connect_anew()
            time.sleep(0.1)
        self._client.subscribe_topic(TOPIC, self._hear)
        self.submit(task)
        return None

    def _connect_anew(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._client = self._distributed.Client(self._scheduler, timeout=ANSWER, set_as_default=False)


def _distributed() -> Any:
    try:
        import distributed
    except ImportError:
        raise ModuleNotFoundError(
            "Dask distributed is not installed: pip install 'concave-sparsity[cluster]', "
            "or leave --scheduler out to run on this machine"
        ) from None
    return distributed


def _look(probe: str) -> tuple[str, bool]:
    """Return the version of this library that a worker has, and whether it sees a file."""
    from importlib.metadata import version

    return version("concave-sparsity"), Path(probe).exists()


def _run(function: Function, task: Any, number: int, threads: int) -> Ended:
    """Run a task on a worker of the cluster."""
    from distributed import get_worker

    from nets.executors.worker import portable

    worker = get_worker()
    with _ONE_AT_A_TIME:
        set_threads(threads)
        return portable(attempt(function, task, lambda message: worker.log_event(TOPIC, (number, message))))
