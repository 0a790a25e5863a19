"""Make the runs of a job, each in its folder: never twice, resumed where they stopped, failures apart."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nets.configuration import Play
from nets.metric import Metric
from nets.runs.canonical import address, canonical, dense_of, settled
from nets.runs.folder import MASKS, METRICS, BadRun, RunFolder, locked
from nets.runs.jobs import Job, Keeping, search_address
from nets.storage import records
from nets.storage.atomic import (
    StorageError,
    remove_temporaries,
    set_aside,
    write_bytes,
    write_json,
)
from nets.training.distributed import on_first, rank, size

if TYPE_CHECKING:
    from nets.data import AnyData
    from nets.lottery import Trained
    from nets.runs.trainings import Recorder
    from nets.tickets import Ticket
    from nets.training.loop import Hook


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
    #: What the search told, by the name of the file.
    reported: dict[str, bytes] = field(default_factory=dict)


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
    nets.runs.folder.RunBusy
        If another process works on one of the runs and `keeping` does not wait.
    nets.storage.atomic.StorageError
        If the folder cannot be written to; nothing stored before is lost.
    """
    plays = [settled(play) for play in job.plays]
    if len({search_address(play) for play in plays}) > 1:
        parts = [Job(play, (play.density,), (play.control,)) for play in plays]
        return [outcome for part in parts for outcome in execute(part, keeping, hooks=hooks, say=say)]
    if not any(_stored(play, keeping, say) is None for play in plays):
        return [_read(play, keeping, say) for play in plays]
    from nets.lottery import retrain_ticket

    with ExitStack() as locks:
        _lock(locks, keeping.search_folder(plays[0]), keeping)
        missing = [play for play in plays if _stored(play, keeping, say) is None]
        for play in missing:
            _lock(locks, keeping.folder(play).path, keeping)
        runs = [_Run(play, keeping.folder(play)) for play in missing]
        on_first(lambda: _open(runs, say))
        made: dict[str, Outcome] = {}
        try:
            session = _Session(keeping, hooks, say, *_data(missing[0]))
            on_first(lambda: _note_sessions(runs, session.belongs_to))
            session.search(runs)
            dense = session.dense(missing[0])
        except Exception as error:
            made = {run.folder.address: _failed(run, error) for run in runs}
        else:
            for run in runs:
                try:
                    trained = retrain_ticket(
                        run.play,
                        None if dense is None else run.ticket,
                        data=session.data,
                        **session.watched(run.play, run.folder.path, run.reported, keep_finished=False)[0],
                    )
                    on_first(partial(_store_result, run, keeping, trained, dense or trained))
                    row = on_first(run.folder.result)
                    made[run.folder.address] = Outcome(run.play, run.folder.address, row)
                except Exception as error:
                    made[run.folder.address] = _failed(run, error)
        if all(outcome.row for outcome in made.values()) and not keeping.keep_search:
            on_first(lambda: shutil.rmtree(keeping.search_folder(plays[0]), ignore_errors=True))
        return [made.get(address(play)) or _read(play, keeping, say) for play in plays]


def _lock(locks: ExitStack, folder: Path, keeping: Keeping) -> None:
    """Hold the lock of a folder; of several processes that train together the first one holds it."""
    on_first(lambda: locks.enter_context(locked(folder, wait=keeping.wait)))


def _open(runs: Sequence[_Run], say: Callable[[str], None]) -> None:
    for run in runs:
        if note := run.folder.open(run.play):
            say(note)
        run.folder.clear_failure()


def _stored(play: Play, keeping: Keeping, say: Callable[[str], None]) -> dict[str, Any] | None:
    """Return the row of a finished run, None if it is not finished; a damaged result is set aside."""
    folder = keeping.folder(play)

    def row() -> dict[str, Any] | None:
        if not folder.finished:
            return None
        try:
            return folder.result()
        except BadRun as error:
            say(f"{error}; set aside as {set_aside(folder.path / 'result.json').name}")
            return None

    return on_first(row)


def _read(play: Play, keeping: Keeping, say: Callable[[str], None]) -> Outcome:
    return Outcome(play, address(play), _stored(play, keeping, say), computed=False)


def _failed(run: _Run, error: BaseException) -> Outcome:
    message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    trace = "".join(traceback.format_exception(error))
    try:
        on_first(lambda: run.folder.write_failure(message, trace))
    except StorageError:
        if isinstance(error, StorageError):
            raise error from None
        raise
    return Outcome(run.play, run.folder.address, failure=message)


@lru_cache(maxsize=2)
def _loaded(
    data: str, task: str, seed: int, data_dir: str | None, device: str, verify: bool
) -> tuple[AnyData, str]:
    """Load a data set once a process; with its fingerprint."""
    from nets.data import load

    dataset = load(data, task=task or None, seed=seed, data_dir=data_dir, verify=verify)
    return dataset.to(device), dataset.fingerprint()


def _data(play: Play) -> tuple[AnyData, dict[str, Any]]:
    """Return the data of a play, and what its trainings belong to."""
    dataset, fingerprint = _loaded(
        play.data, play.task, play.data_seed, play.data_dir, play.device, play.verify
    )
    place = play.device.partition(":")[0]
    return dataset, {"search": search_address(play), "data": fingerprint, "device": place}


def _note_sessions(runs: Sequence[_Run], belongs_to: dict[str, Any]) -> None:
    """Add this session to each environment.json; a damaged file starts anew."""
    from nets.runs.environment import environment

    session = {**environment(runs[0].play.device), "data": belongs_to["data"], "processes": size()}
    for run in runs:
        try:
            sessions = run.folder.read("environment.json").get("sessions", [])
        except BadRun:
            sessions = []
        write_json(run.folder.path / "environment.json", {"sessions": [*sessions, session]}, durable=False)


@dataclass(frozen=True)
class _Session:
    """What the trainings of a job have in common."""

    keeping: Keeping
    hooks: Sequence[Hook]
    say: Callable[[str], None]
    data: AnyData
    #: What stored trainings belong to.
    belongs_to: dict[str, Any]

    def search(self, runs: Sequence[_Run]) -> None:
        """Give every run its ticket: the stored one, or one from the search, which is then stored."""
        from nets.lottery import search_tickets

        for run in runs:
            run.ticket = on_first(partial(_stored_ticket, run, self.keeping, self.say))
        wanted = [run for run in runs if run.ticket is None]
        if not wanted:
            return
        play, folder = wanted[0].play, self.keeping.search_folder(wanted[0].play)
        on_first(lambda: remove_temporaries(folder))
        watched, recorder = self.watched(play, folder)
        densities = [run.play.density for run in wanted]
        for run, run.ticket in zip(wanted, search_tickets(play, densities, data=self.data, **watched)):
            on_first(partial(_store_ticket, run, recorder))

    def dense(self, play: Play) -> Trained | None:
        """Return the dense network's scores, from its own run; None if the play is that run."""
        from nets.lottery import Untrained, is_dense

        if is_dense(play):
            return None
        dense, waiting = dense_of(play), replace(self.keeping, wait=True)
        (outcome,) = execute(Job(dense, (dense.density,)), waiting, hooks=self.hooks, say=self.say)
        if outcome.row is None:
            raise RuntimeError(f"its dense network {outcome.address} failed: {outcome.failure}")
        metric = Metric.of_row(outcome.row)
        test, validation = (outcome.row[metric.column(part)] for part in ("test", "validation"))
        return replace(Untrained, test_score=test, validation_score=validation, metric=metric)

    def watched(
        self,
        play: Play,
        folder: Path,
        before: Mapping[str, bytes] | None = None,
        *,
        keep_finished: bool = True,
    ) -> tuple[dict[str, Any], Recorder | None]:
        """Return hooks and checkpoint of trainings kept below a folder, and what records them.

        Of several processes that train together the first one alone records and tells trackers.
        """
        from nets.runs.trainings import Recorder, StoredTrainings, trackers

        keeping, recorder, hooks = self.keeping, None, list(self.hooks)
        if not rank():
            recorder = Recorder(folder, before)
            title = f"{play.data}-{play.model}-{play.method}-{play.density:g}-seed-{play.seed}"
            title = re.sub(r"[^\w.-]+", "-", title)
            events = keeping.root / "tensorboard" / f"{title}-{folder.name[:8]}"
            hooks += trackers(play, events, tensorboard=keeping.tensorboard, tracker=keeping.tracker)
            hooks.append(recorder)
        checkpoint = StoredTrainings(
            folder / "checkpoints",
            self.belongs_to,
            interval=keeping.interval,
            keep_finished=keep_finished,
            device=play.device,
            recorder=recorder,
            say=self.say,
        )
        return {"hooks": hooks, "checkpoint": checkpoint}, recorder


def _store_ticket(run: _Run, recorder: Recorder | None) -> None:
    """Store a ticket that was just found, and what the search told: of a chain what this ticket needed."""
    assert run.ticket is not None
    assert recorder is not None
    lines = [json.loads(line) for line in recorder.reported[METRICS].splitlines()]
    lines = lines[: round(run.ticket.metadata["search_epochs"])]
    needed = {(line["training"], line["epoch"]) for line in lines}
    masks = [json.loads(line) for line in recorder.reported[MASKS].splitlines()]
    masks = [mask for mask in masks if (mask["training"], mask["epoch"]) in needed]
    run.reported = {METRICS: records.text(lines), MASKS: records.text(masks)}
    run.reported = {name: text for name, text in run.reported.items() if text}
    details = {
        "search_seconds": run.ticket.seconds,
        "layer_densities": run.ticket.layer_densities,
        "trace": {name: list(values) for name, values in run.ticket.trace.items()},
        "told": {name: [len(text), hashlib.sha256(text).hexdigest()] for name, text in run.reported.items()},
    }
    _store_told(run)
    write_json(run.folder.path / "details.json", _finite(details), durable=False)
    run.ticket.save(run.folder.path / "ticket.safetensors", whole=True)  # the controls need it whole


def _store_told(run: _Run) -> None:
    for name in (METRICS, MASKS):
        records.replace(run.folder.path / name, run.reported.get(name, b""))


def _stored_ticket(run: _Run, keeping: Keeping, say: Callable[[str], None]) -> Ticket | None:
    """Return the ticket that was found before; for a control that of the play without it serves as well."""
    plain = [keeping.folder(replace(run.play, control=""))] if run.play.control else []
    for folder in (run.folder, *plain):
        try:
            if ticket := folder.ticket():
                seconds, run.reported = folder.searched()
                if folder is not run.folder:  # so that it holds all, however it came by its ticket
                    _store_told(run)
                    for name in ("details.json", "ticket.safetensors"):
                        write_bytes(run.folder.path / name, (folder.path / name).read_bytes())
                return replace(ticket, seconds=seconds)
        except BadRun as error:
            say(str(error))
    return None


def _store_result(run: _Run, keeping: Keeping, trained: Trained, dense: Trained) -> None:
    """Store network and result of a run, and drop its checkpoints."""
    from nets.lottery import result_of
    from nets.storage import tensor_file

    assert run.ticket is not None
    row = _finite(result_of(run.play, run.ticket, trained, dense).row())
    row["dense"] = address(dense_of(run.play))
    if keeping.keep_network:
        metadata = {"run": run.folder.address, "form": canonical(run.play)}
        path = run.folder.path / "network.safetensors"
        tensor_file.write(path, "concave-sparsity network", 1, trained.model.state_dict(), metadata)
    run.folder.write_result(row)
    run.folder.clear_checkpoints()


def _finite(value: Any) -> Any:
    """Return plain values with tuples as lists and numbers that are none as None."""
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
