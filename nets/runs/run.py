"""Make one run, or read it if it is finished."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nets.configuration import Play
from nets.result import Result
from nets.runs.execution import execute
from nets.runs.jobs import Job, Keeping
from nets.runs.results import result_of
from nets.training.distributed import on_first

if TYPE_CHECKING:
    from nets.tickets import Ticket
    from nets.training.loop import Hook


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
