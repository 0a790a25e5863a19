"""One lock a run: two sweeps over the same folder never work on the same run at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from nets.storage.atomic import explained

#: Seconds between two looks at a lock that another process holds.
POLL = 0.2


class RunBusy(RuntimeError):
    """Another process is working on this run."""


@contextmanager
def locked(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold the lock of a run's folder; the operating system drops it when the process dies, however it dies.

    Parameters
    ----------
    folder : Path
        Folder of the run; made if it is missing.
    wait : bool
        Wait for the lock if another process holds it, instead of refusing at once.

    Raises
    ------
    RunBusy
        If another process holds the lock and waiting is not wanted.
    nets.storage.atomic.StorageError
        If the lock cannot be made: read-only folder, full disk.
    """
    path = folder / ".lock"
    lock = FileLock(path)
    with explained(path):
        while not lock.is_locked:
            folder.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(blocking=wait, poll_interval=POLL)
            except FileNotFoundError:
                continue  # who held it removed the folder of its finished search meanwhile
            except Timeout:
                busy = f"another process is working on {folder.name}: let it finish, or stop it"
                raise RunBusy(busy) from None
            if not path.exists():  # the lock of a folder that was removed keeps nobody away
                lock.release()
    try:
        yield
    finally:
        lock.release()


def is_locked(folder: Path) -> bool:
    """Tell whether a process works on the run at this moment; nothing is made or changed."""
    path = folder / ".lock"
    if not path.exists():
        return False
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    except OSError:
        return False
    lock.release()
    return False
