"""The folder of one run: what lies in it, and how it is written and read.

runs/<address>/
    config.json          the canonical form, and every field in full
    environment.json     where it was computed: versions, device, commit, one entry a session
    metrics.jsonl        metrics, one line an epoch of every training
    masks.jsonl          histograms of the relaxed mask, one line an epoch
    ticket.safetensors   the ticket
    network.safetensors  the retrained network
    details.json         layer-wise densities and curves of the search
    result.json          the row; written last, so a run that has it is finished
    failure.json         what went wrong last time, if it did
    checkpoints/         while it runs: the trainings under way
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from nets.configuration import Play
from nets.result import check_row
from nets.runs.canonical import (
    DIGITS,
    VERSION,
    canonical,
    complete,
    digest,
    from_form,
    require_revision,
)
from nets.storage.atomic import (
    explained,
    free_name,
    json_line,
    remove_temporaries,
    set_aside,
    sync_file,
    write_json,
)

if TYPE_CHECKING:
    from nets.tickets import Ticket


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


#: Metrics, one line an epoch of every training.
METRICS = "metrics.jsonl"

#: Histograms of the relaxed mask, one line an epoch.
MASKS = "masks.jsonl"


class BadRun(ValueError):
    """What lies in a run's folder is damaged, tampered with, or not what its name says."""


class RunFolder:
    """The folder of one run.

    Parameters
    ----------
    path : Path
        The folder; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def address(self) -> str:
        """The run's address: the name of the folder."""
        return self.path.name

    @property
    def finished(self) -> bool:
        """Whether the run is finished."""
        return (self.path / "result.json").exists()

    @property
    def failed(self) -> bool:
        """Whether it failed when it was last tried."""
        return not self.finished and (self.path / "failure.json").exists()

    @property
    def state(self) -> str:
        """One of "finished", "running", "failed", "interrupted", "new"."""
        if self.finished:
            return "finished"
        if is_locked(self.path):
            return "running"
        if self.failed:
            return "failed"
        return "interrupted" if (self.path / "config.json").exists() else "new"

    def open(self, play: Play) -> str | None:
        """Make the folder ready for a run; call it with the lock held.

        Writes config.json, deletes what a killed writer left, and sets the folder's contents aside if they
        belong to a run that this library would do otherwise today (a default has changed).

        Returns
        -------
        str or None
            What had to be set aside and why, in one sentence.
        """
        remove_temporaries(self.path)
        wanted = {"form": canonical(play), "settings": complete(play)}
        note = None
        if (self.path / "config.json").exists():
            try:
                stored = self.config()
                if _same(stored["settings"], wanted["settings"]):
                    if stored != wanted:  # another version wrote it, or the name of a setting is damaged
                        write_json(self.path / "config.json", wanted, durable=False)
                    return None
                note = "a default has changed since it was computed"
            except BadRun as error:
                note = str(error)
            aside = self._set_contents_aside()
            note = f"what lay in {self.path} was set aside in {aside.name}: {note}"
        write_json(self.path / "config.json", wanted, durable=False)  # made durable with the result
        return note

    def _set_contents_aside(self) -> Path:
        """Move everything but the lock into a folder beside."""
        aside = free_name(self.path)
        aside.mkdir()
        for item in list(self.path.iterdir()):
            if item.name != ".lock":
                item.rename(aside / item.name)
        return aside

    def config(self) -> dict[str, Any]:
        """Return {"form": canonical form, "settings": every field}, checked against the folder's name.

        Raises
        ------
        BadRun
            If it is damaged, describes another run, or is not a configuration at all.
        """
        stored = self.read("config.json")
        form, every = stored.get("form"), stored.get("settings")
        if not isinstance(form, dict) or not isinstance(every, dict):
            raise BadRun(f"{self.path / 'config.json'} is not the configuration of a run")
        try:
            text = json.dumps(form, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
        except ValueError as error:
            raise BadRun(f"{self.path / 'config.json'} holds a number that is none ({error})") from None
        if digest(text) != self.address:
            raise BadRun(f"{self.path / 'config.json'} describes another run than the folder's name says")
        return stored

    def play(self) -> Play:
        """Return the run as a `Play`.

        Raises
        ------
        BadRun
            If config.json is damaged or names an unexpected class, field or value.
        """
        try:
            return from_form(self.config()["form"])
        except BadRun:
            raise
        except ValueError as error:
            raise BadRun(f"{self.path / 'config.json'}: {error}") from None

    def read(self, name: str) -> dict[str, Any]:
        """Return the JSON object in a file of the folder.

        Raises
        ------
        BadRun
            If it is missing, or no JSON object.
        """
        path = self.path / name
        try:
            with explained(path, "read"):
                content = path.read_bytes()
            value = json.loads(content, parse_constant=_refuse)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise BadRun(f"{path} is missing, or no file") from None
        except (ValueError, RecursionError) as error:
            raise BadRun(f"{path} is damaged: it is not JSON ({error})") from None
        if not isinstance(value, dict):
            raise BadRun(f"{path} is damaged: it holds no JSON object")
        return value

    def write_result(self, row: Mapping[str, Any]) -> None:
        """Write result.json, with its own sha256: from now on the run is finished, also after a power cut."""
        for name in ("config.json", "details.json"):
            sync_file(self.path / name)
        content = {**row, "run": self.address, "version": VERSION}
        if number := canonical(self.play()).get("revision"):
            content["revision"] = number
        write_json(self.path / "result.json", {**content, "sha256": _sha256(content)})
        self.clear_failure()

    def result(self) -> dict[str, Any]:
        """Return the row of a finished run, checked against its sha256 and the folder's name.

        Raises
        ------
        BadRun
            If it is missing, damaged or of another run.
        """
        row = self.read("result.json")
        stored = row.pop("sha256", None)
        if stored != _sha256(row):
            raise BadRun(f"{self.path / 'result.json'} was changed or damaged after it was written")
        if row.get("run") != self.address:
            raise BadRun(f"{self.path / 'result.json'} belongs to run {row.get('run')!r}")
        if row.pop("version", None) != VERSION:
            raise BadRun(f"{self.path / 'result.json'} was written by another version of this library")
        try:
            require_revision(str(row.get("method")), row.pop("revision", None))
        except ValueError as error:
            raise BadRun(f"{self.path / 'result.json'} was {error}") from None
        try:
            check_row(row)
        except ValueError as error:
            raise BadRun(f"{self.path / 'result.json'} is not the result of a run: {error}") from None
        return row

    def write_failure(self, message: str, trace: str) -> None:
        """Note why the run failed; the next try deletes the note."""
        write_json(self.path / "failure.json", {"message": message, "trace": trace})

    def clear_failure(self) -> None:
        """Delete the note of an earlier failure."""
        path = self.path / "failure.json"
        with explained(path):
            path.unlink(missing_ok=True)

    def ticket(self) -> Ticket | None:
        """Return the stored ticket, or None if there is none yet; a damaged one is set aside.

        Raises
        ------
        BadRun
            If it was damaged: said once, the next call returns None.
        """
        from nets.tickets import Ticket

        path = self.path / "ticket.safetensors"
        try:
            return Ticket.load(path)
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise BadRun(f"{error}; set aside as {set_aside(path).name}") from None

    def searched(self) -> tuple[float, dict[str, bytes]]:
        """Return the seconds of the search, and what it had told when its ticket was stored, by file.

        Raises
        ------
        BadRun
            If details.json or one of the files is missing or damaged.
        """
        details = self.read("details.json")
        try:
            seconds, reported = float(details["search_seconds"]), {}
            for name, (size, digest) in details["told"].items():
                path = self.path / name
                with explained(path, "read"), path.open("rb") as file:
                    reported[name] = file.read(size)
                if hashlib.sha256(reported[name]).hexdigest() != digest:
                    raise BadRun(f"{self.path / name} was changed or damaged after it was written")
        except (KeyError, TypeError, ValueError, AttributeError, FileNotFoundError) as error:
            if isinstance(error, BadRun):
                raise
            raise BadRun(f"{self.path} lacks what its search told ({error})") from None
        return seconds, reported

    def clear_checkpoints(self) -> None:
        """Delete the trainings under way: the run no longer needs them."""
        shutil.rmtree(self.path / "checkpoints", ignore_errors=True)


def run_folders(root: Path) -> Iterator[RunFolder]:
    """Yield the folders of runs under `root`, by name; whatever is no run's folder is passed over.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {root}: name the folder that holds the runs")
    with os.scandir(root) as entries:
        names = [e.name for e in entries if is_address(e.name) and e.is_dir(follow_symlinks=False)]
    for name in sorted(names):
        yield RunFolder(root / name)


def is_address(name: str) -> bool:
    """Tell whether a text has the form of an address."""
    return len(name) == DIGITS and not set(name) - set("0123456789abcdef")


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number in JSON")


def _sha256(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(json_line(value).encode()).hexdigest()


def _same(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Tell whether two sets of settings describe one run; fields that only one version knows do not count."""
    compared = [f.name for f in fields(Play) if f.compare and f.name != "options"]
    pairs = [(stored, wanted, name) for name in compared]
    pairs += [(stored.get("options") or {}, wanted["options"], name) for name in wanted["options"]]
    return all(old[name] == new[name] for old, new, name in pairs if name in old)
