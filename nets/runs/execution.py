"""Make the runs of a job, each in its folder: never twice, resumed where they stopped, failures apart."""

from __future__ import annotations

import re
import shutil
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nets.configuration import Play
from nets.jobs import Job
from nets.runs.canonical import address, canonical, dense_of, settled
from nets.runs.folder import BadRun, RunFolder
from nets.runs.locks import locked
from nets.storage import records
from nets.storage.atomic import remove_temporaries, write_json

if TYPE_CHECKING:
    from nets.data import Dataset
    from nets.hooks import Hook
    from nets.playing import Scored, Trained
    from nets.tickets import Ticket

#: Folder, beside the runs, of searches under way; a search that several densities share lies there once.
SEARCHES = "searches"


@dataclass(frozen=True)
class Keeping:
    """How runs are kept; none of it changes what a run computes.

    Parameters
    ----------
    root : Path
        The folder that holds the runs.
    interval : float
        Seconds between two checkpoints of a training; 0: after every step.
    keep_search : bool
        Keep the trainings of a finished search, so that smaller densities asked for later go on from there.
    keep_network : bool
        Keep the retrained network.
    tensorboard : bool
        Write TensorBoard event files below "tensorboard" beside the runs (needs the extra "tracking").
    tracker : str
        "package.module:factory" of a hook of the user's own, called as ``factory(play)`` for every play.
    wait : bool
        Wait for a run that another process works on; otherwise `nets.runs.locks.RunBusy` is raised.
    """

    root: Path
    interval: float = 30.0
    keep_search: bool = False
    keep_network: bool = True
    tensorboard: bool = False
    tracker: str = ""
    wait: bool = False

    def folder(self, play: Play) -> RunFolder:
        """Return the folder of a run."""
        return RunFolder(self.root / address(play))

    def search_folder(self, play: Play) -> Path:
        """Return the folder of the search that a run's ticket comes from."""
        return self.root / SEARCHES / search_address(play)


@dataclass(frozen=True)
class Outcome:
    """How one run of a job ended.

    Parameters
    ----------
    play : Play
        The run.
    address : str
        Its address.
    row : mapping or None
        Its row, if it is finished.
    failure : str
        What went wrong, in one sentence; empty if nothing did.
    computed : bool
        False if the run was finished before and only read.
    """

    play: Play
    address: str
    row: dict[str, Any] | None = None
    failure: str = ""
    computed: bool = True


@dataclass
class _Run:
    """A run of a job that is to be made."""

    play: Play
    folder: RunFolder
    ticket: Ticket | None = None
    notes: list[str] = field(default_factory=list)


def search_address(play: Play) -> str:
    """Return the address of the search: that of the run, whatever its density if densities share a chain."""
    from nets.methods import method

    return address(replace(play, density=1.0) if method(play.method).chain else play)


def execute(
    job: Job,
    keeping: Keeping,
    *,
    hooks: Sequence[Hook] = (),
    say: Callable[[str], None] = print,
) -> list[Outcome]:
    """Make the runs of a job that are not finished yet; a run that fails leaves the others alone.

    Parameters
    ----------
    job : Job
        Plays that share one search.
    keeping : Keeping
        Where and how they are kept.
    hooks : sequence of Hook
        Called in every training; they must have ``watches_only`` if the job is ever to be resumed without
        them.
    say : callable
        Told in one sentence what was set aside because it was damaged.

    Returns
    -------
    list of Outcome
        One a density, in their order.

    Raises
    ------
    nets.runs.locks.RunBusy
        If another process works on one of the runs and `keeping` does not wait.
    nets.storage.atomic.StorageError
        If the folder cannot be written to; nothing stored before is lost.
    """
    plays = [settled(play) for play in job.plays]
    if len({search_address(play) for play in plays}) > 1:
        parts = [Job(play, (play.density,)) for play in plays]
        return [outcome for part in parts for outcome in execute(part, keeping, hooks=hooks, say=say)]
    if any(_stored(play, keeping, say) is None for play in plays):
        search = keeping.search_folder(plays[0])
        with locked(search, wait=keeping.wait), ExitStack() as locks:
            missing = [play for play in plays if _stored(play, keeping, say) is None]
            for play in missing:
                locks.enter_context(locked(keeping.folder(play).path, wait=keeping.wait))
            return _make_missing(plays, missing, keeping, hooks, say)
    return [_read(play, keeping, say) for play in plays]


def finished(job: Job, keeping: Keeping) -> bool:
    """Tell whether all runs of a job are finished, so that making it again would only read them."""
    return all(keeping.folder(play).finished for play in job.plays)


def _make_missing(
    plays: Sequence[Play],
    missing: Sequence[Play],
    keeping: Keeping,
    hooks: Sequence[Hook],
    say: Callable[[str], None],
) -> list[Outcome]:
    runs = [_Run(play, keeping.folder(play)) for play in missing]
    for run in runs:
        if said := run.folder.open(run.play):
            say(said)
        run.folder.clear_failure()
    made: dict[str, Outcome] = {}
    try:
        data, belongs_to = _data(missing[0])
        for run in runs:
            _note_session(run, belongs_to)
        _search(runs, keeping, data, belongs_to, hooks, say)
        dense = _dense(missing[0], keeping, hooks, say)
    except Exception as error:
        made = {run.folder.address: _failed(run, error) for run in runs}
    else:
        for run in runs:
            try:
                _finish(run, keeping, data, belongs_to, dense, hooks, say)
                made[run.folder.address] = Outcome(run.play, run.folder.address, run.folder.result())
            except Exception as error:
                made[run.folder.address] = _failed(run, error)
    if all(outcome.row for outcome in made.values()) and not keeping.keep_search:
        shutil.rmtree(keeping.search_folder(plays[0]), ignore_errors=True)
    return [made.get(address(play)) or _read(play, keeping, say) for play in plays]


def _stored(play: Play, keeping: Keeping, say: Callable[[str], None]) -> dict[str, Any] | None:
    """Return the row of a finished run, None if it is not finished; a damaged result is set aside."""
    from nets.storage.atomic import set_aside

    folder = keeping.folder(play)
    if not folder.finished:
        return None
    try:
        return folder.result()
    except BadRun as error:
        say(f"{error}; set aside as {set_aside(folder.path / 'result.json').name}")
        return None


def _read(play: Play, keeping: Keeping, say: Callable[[str], None]) -> Outcome:
    return Outcome(play, address(play), _stored(play, keeping, say), computed=False)


def _failed(run: _Run, error: BaseException) -> Outcome:
    from nets.storage.atomic import StorageError

    message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    try:
        run.folder.write_failure(message, "".join(traceback.format_exception(error)))
    except StorageError:
        if isinstance(error, StorageError):
            raise error from None
        raise
    return Outcome(run.play, run.folder.address, failure=message)


@lru_cache(maxsize=2)
def _loaded(data: str, seed: int, data_dir: str | None, device: str) -> tuple[Dataset, str]:
    """Load a data set once a process; with its fingerprint."""
    from nets.data import load

    dataset = load(data, seed=seed, data_dir=data_dir)
    return dataset.to(device), dataset.fingerprint()


def _data(play: Play) -> tuple[Dataset, dict[str, Any]]:
    """Return the data of a play, and what its trainings belong to."""
    dataset, fingerprint = _loaded(play.data, play.data_seed, play.data_dir, play.device)
    return dataset, {"search": search_address(play), "data": fingerprint}


def _note_session(run: _Run, belongs_to: dict[str, Any]) -> None:
    """Add this session to environment.json; a damaged file starts anew."""
    from nets.runs.environment import environment

    try:
        sessions = run.folder.read("environment.json").get("sessions", [])
    except BadRun:
        sessions = []
    session = {**environment(run.play.device), "data": belongs_to["data"]}
    write_json(run.folder.path / "environment.json", {"sessions": [*sessions, session]})


def _search(
    runs: Sequence[_Run],
    keeping: Keeping,
    data: Dataset,
    belongs_to: dict[str, Any],
    hooks: Sequence[Hook],
    say: Callable[[str], None],
) -> None:
    """Give every run its ticket: the stored one, or one from the search, which is then stored."""
    from nets.playing import search_tickets
    from nets.runs.recorder import Recorder
    from nets.runs.stored_trainings import StoredTrainings

    for run in runs:
        run.ticket = _stored_ticket(run, say)
    wanted = [run for run in runs if run.ticket is None]
    if not wanted:
        return
    play, folder = wanted[0].play, keeping.search_folder(wanted[0].play)
    remove_temporaries(folder)
    tickets = search_tickets(
        play,
        [run.play.density for run in wanted],
        data=data,
        hooks=(*hooks, *_tracking(play, search_address(play), keeping), Recorder(folder)),
        checkpoint=StoredTrainings(folder / "checkpoints", belongs_to, interval=keeping.interval, say=say),
    )
    for run, ticket in zip(wanted, tickets):
        _copy_records(folder, run.folder.path, ticket.metadata["search_epochs"])
        details = {
            "search_seconds": ticket.seconds,
            "layer_densities": ticket.layer_densities,
            "trace": {name: list(values) for name, values in ticket.trace.items()},
        }
        write_json(run.folder.path / "details.json", _finite(details))
        ticket.save(run.folder.path / "ticket.safetensors")
        run.ticket = ticket


def _stored_ticket(run: _Run, say: Callable[[str], None]) -> Ticket | None:
    try:
        ticket = run.folder.ticket()
        return ticket and replace(ticket, seconds=float(run.folder.read("details.json")["search_seconds"]))
    except (BadRun, KeyError, TypeError, ValueError) as error:
        say(str(error))
        return None


def _copy_records(search: Path, folder: Path, epochs: float) -> None:
    """Copy what the search told into the run's folder: of a shared chain only what this ticket needed."""
    from nets.runs.recorder import MASKS, METRICS
    from nets.storage.atomic import json_line, write_bytes

    told = list(records.read(search / METRICS))[: round(epochs)]
    needed = {(line.get("training"), line.get("epoch")) for line in told}
    masks = [m for m in records.read(search / MASKS) if (m.get("training"), m.get("epoch")) in needed]
    for name, lines in ((METRICS, told), (MASKS, masks)):
        if lines:
            write_bytes(folder / name, "".join(json_line(line) + "\n" for line in lines).encode())


def _dense(play: Play, keeping: Keeping, hooks: Sequence[Hook], say: Callable[[str], None]) -> Scored | None:
    """Return the accuracies of the dense network, from its own run; None if the play is that run."""
    from nets.playing import is_dense

    if is_dense(play):
        return None
    dense = dense_of(play)
    (outcome,) = execute(Job(dense, (dense.density,)), replace(keeping, wait=True), hooks=hooks, say=say)
    if outcome.row is None:
        raise RuntimeError(f"its dense network {outcome.address} failed: {outcome.failure}")
    return _Accuracies(outcome.row["test_accuracy"], outcome.row["validation_accuracy"])


@dataclass(frozen=True)
class _Accuracies:
    test_accuracy: float
    validation_accuracy: float


def _finish(
    run: _Run,
    keeping: Keeping,
    data: Dataset,
    belongs_to: dict[str, Any],
    dense: Scored | None,
    hooks: Sequence[Hook],
    say: Callable[[str], None],
) -> None:
    """Retrain the ticket, store network and result, drop the checkpoints."""
    from nets.playing import result_of, retrain_ticket
    from nets.runs.recorder import Recorder
    from nets.runs.stored_trainings import StoredTrainings

    assert run.ticket is not None
    path = run.folder.path
    trained = retrain_ticket(
        run.play,
        None if dense is None else run.ticket,
        data=data,
        hooks=(*hooks, *_tracking(run.play, run.folder.address, keeping), Recorder(path)),
        checkpoint=StoredTrainings(path / "checkpoints", belongs_to, interval=keeping.interval, say=say),
    )
    if keeping.keep_network:
        _store_network(path / "network.safetensors", trained, run)
    result = result_of(run.play, run.ticket, trained, dense or trained)
    row = _finite(result.row())
    row["dense"] = address(dense_of(run.play))
    run.folder.write_result(row)
    run.folder.clear_checkpoints()


def _store_network(path: Path, trained: Trained, run: _Run) -> None:
    from nets.storage import tensor_file

    said = {"run": run.folder.address, "form": canonical(run.play)}
    tensor_file.write(path, "concave-sparsity network", 1, trained.model.state_dict(), said)


def _tracking(play: Play, name: str, keeping: Keeping) -> list[Hook]:
    """Return the hooks of trackers that were asked for."""
    from nets.tracking import trackers

    said = re.sub(
        r"[^\w.-]+", "-", f"{play.data}-{play.model}-{play.method}-{play.density:g}-seed-{play.seed}"
    )
    folder = keeping.root / "tensorboard" / f"{said}-{name[:8]}"
    return trackers(play, folder, tensorboard=keeping.tensorboard, tracker=keeping.tracker)


def _finite(value: Any) -> Any:
    """Return plain values with tuples as lists and numbers that are none as None."""
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
