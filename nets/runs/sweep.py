"""Sweeps: a grid of plays from a file, planned, then run on any pool of workers.

The file is a grid over any field of a play, in TOML.

    # every list is an axis of the grid; everything else is the same for all runs
    data = "digits"
    model = "lenet-300-100"
    method = ["concave", "imp", "random"]
    density = [0.2, 0.1, 0.05]
    seed = "0..4"                    # the same as [0, 1, 2, 3, 4]

    [[also]]                         # another grid, on top of the values above; axes it names replace them
    method = "concave"
    penalty = ["log(0.02)", "mcp(2)"]

    [also.options]                   # options of the method; lists are axes, too
    descent = [0.3, 0.5]

The first grid is the file's own; every [[also]] adds one. Fields that are lists themselves (milestones,
include, exclude) take a list for one value and a list of lists for an axis. A run that several grids ask for
is made once.
"""

from __future__ import annotations

import itertools
import os
import re
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nets.configuration import Play
from nets.executors import Ended
from nets.runs.canonical import dense_of, play_of, settled
from nets.runs.driver import Report, run_jobs
from nets.runs.execution import Outcome
from nets.runs.jobs import Job, Keeping, jobs
from nets.storage.atomic import StorageError

#: Fields whose values are lists.
LISTS = ("milestones", "include", "exclude")

#: A range of whole numbers, both ends included.
RANGE = re.compile(r"^\s*(-?\d+)\s*\.\.\s*(-?\d+)\s*$")

#: More runs than this are taken to be a slip.
MOST = 1_000_000


def read_sweep(path: str | os.PathLike[str]) -> list[Play]:
    """Return the plays of a sweep file, each once, in the order of the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no TOML, names an unknown field, or a value is wrong; the message names both.
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no sweep file {path}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not TOML: {error}") from None
    try:
        return plays_of(content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def plays_of(content: Mapping[str, Any]) -> list[Play]:
    """Return the plays of a sweep given as plain values, as a sweep file holds them.

    Raises
    ------
    ValueError
        If a field is unknown or a value is wrong.
    """
    base = {name: value for name, value in content.items() if name != "also"}
    also = content.get("also", [])
    if not isinstance(also, list) or not all(isinstance(block, Mapping) for block in also):
        raise ValueError("write each further grid under [[also]], in double brackets")
    plays: dict[Play, None] = {}
    for grid in (base, *({**base, **block} for block in also)):
        if (size := _size(grid)) > MOST:
            raise ValueError(f"the grid has {size:,} runs; {MOST:,} are the most")
        for values in _points(grid):
            plays[settled(play_of(values))] = None
    return list(plays)


def _axes(grid: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the values of every field, those of options under "options.name"."""
    axes: dict[str, list[Any]] = {}
    for name, value in grid.items():
        if name == "options":
            if not isinstance(value, Mapping):
                raise ValueError(
                    "write options of the method as a table: [options] or options = {name = value}"
                )
            axes |= {f"options.{key}": _values(key, item) for key, item in value.items()}
        else:
            axes[name] = _values(name, value)
    return axes


def _values(name: str, value: Any) -> list[Any]:
    if isinstance(value, str) and (match := RANGE.match(value)):
        low, high = int(match[1]), int(match[2])
        if high < low:
            raise ValueError(f"{name} = {value!r} is an empty range")
        if high - low >= MOST:
            raise ValueError(f"{name} = {value!r} has {high - low + 1:,} values; {MOST:,} are the most")
        return list(range(low, high + 1))
    if isinstance(value, str) and ".." in value:
        raise ValueError(
            f'{name} = {value!r} is no range of whole numbers; one is written "0..3", both included'
        )
    if isinstance(value, list) and name in LISTS:
        return value if value and all(isinstance(item, list) for item in value) else [value]
    if isinstance(value, list):
        if not value:
            raise ValueError(f"{name} = [] leaves nothing to run")
        return value
    return [value]


def _size(grid: Mapping[str, Any]) -> int:
    size = 1
    for values in _axes(grid).values():
        size *= len(values)
    return size


def _points(grid: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    axes = _axes(grid)
    for point in itertools.product(*axes.values()):
        values: dict[str, Any] = {}
        for name, value in zip(axes, point):
            if name.startswith("options."):
                values.setdefault("options", {})[name.removeprefix("options.")] = value
            else:
                values[name] = value
        yield values


@dataclass(frozen=True)
class Plan:
    """What a sweep is going to do.

    Parameters
    ----------
    runs : tuple of Play
        What was asked for, the dense networks that the others are compared with among it, each once.
    states : tuple of str
        State of each: "finished", "running" (by somebody else), "failed", "interrupted", "new".
    jobs : tuple of Job
        What is to do: dense networks first (the others need them), then the largest first, so that the
        workers end together.
    """

    runs: tuple[Play, ...]
    states: tuple[str, ...]
    jobs: tuple[Job, ...]

    @property
    def epochs(self) -> float:
        """Epochs of training to do; what interrupted runs have done already is not deducted."""
        return sum(job.epochs for job in self.jobs)

    @property
    def counts(self) -> Counter[str]:
        """How many runs are in each state."""
        return Counter(self.states)

    @property
    def to_do(self) -> int:
        """How many runs are to be made."""
        return sum(state != "finished" for state in self.states)


def make_plan(plays: Iterable[Play], root: Path, *, retry_failed: bool = True) -> Plan:
    """Plan a sweep; nothing is written.

    Parameters
    ----------
    plays : iterable of Play
        What is asked for.
    root : Path
        Folder of the runs.
    retry_failed : bool
        Whether runs that failed before are tried again.
    """
    keeping = Keeping(root)
    asked = [settled(play) for play in plays]
    runs = tuple(dict.fromkeys([*map(dense_of, asked), *asked]))
    states = tuple(keeping.folder(run).state for run in runs)
    done = ("finished",) if retry_failed else ("finished", "failed")
    missing = [run for run, state in zip(runs, states) if state not in done]
    todo = jobs(missing)
    dense = [job for job in todo if dense_of(job.play) == job.play]
    others = [job for job in todo if job not in dense]
    return Plan(runs, states, (*dense, *sorted(others, key=lambda job: -job.epochs)))


@dataclass
class SweepSummary:
    """How a sweep went.

    Parameters
    ----------
    outcomes : list of Outcome
        One for every run that was to be made.
    notes : list of str
        What was set aside on the way.
    seconds : float
        How long it took.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def failures(self) -> list[Outcome]:
        """The runs that failed."""
        return [outcome for outcome in self.outcomes if outcome.failure]

    @property
    def finished(self) -> list[Outcome]:
        """The runs that are finished."""
        return [outcome for outcome in self.outcomes if outcome.row is not None]


def sweep(
    what: str | os.PathLike[str] | Mapping[str, Any] | Iterable[Play],
    folder: str | os.PathLike[str] = "runs",
    *,
    workers: int | None = None,
    threads: int = 1,
    scheduler: str | None = None,
    retry_failed: bool = True,
    **keeping: Any,
) -> SweepSummary:
    """Run a grid of plays; what is finished is not run again.

    Parameters
    ----------
    what : path, mapping or iterable of Play
        A sweep file, the same as plain values (lists are axes of the grid), or plays.
    folder : path
        Folder of the runs.
    workers, threads, scheduler
        See `run_plan`.
    retry_failed : bool
        Whether runs that failed before are tried again.
    **keeping
        Further fields of `nets.runs.execution.Keeping`, e.g. ``tensorboard=True``.

    Returns
    -------
    SweepSummary
    """
    if isinstance(what, Mapping):
        plays: Iterable[Play] = plays_of(what)
    else:
        plays = read_sweep(what) if isinstance(what, (str, os.PathLike)) else what
    plan = make_plan(plays, Path(folder), retry_failed=retry_failed)
    kept = Keeping(Path(folder), **keeping)
    return run_plan(plan, kept, workers=workers, threads=threads, scheduler=scheduler)


def run_plan(
    plan: Plan,
    keeping: Keeping,
    *,
    workers: int | None = None,
    threads: int = 1,
    scheduler: str | None = None,
    on_progress: Callable[[Report], None] | None = None,
    on_end: Callable[[Job, list[Outcome]], None] | None = None,
) -> SweepSummary:
    """Make the runs of a plan that are not finished.

    Every run is stored as soon as it has ended, so a sweep can be stopped at any moment (Ctrl-C, kill -9,
    power cut) and started again; what another sweep over the same folder is working on is left to it and read
    when it is done.

    Parameters
    ----------
    plan : Plan
        See `make_plan`.
    keeping : Keeping
        Where and how runs are kept.
    workers, threads, scheduler
        See `nets.executors.start`. On a cluster a run on a GPU asks its worker for the resource "GPU".
    on_progress : callable, optional
        Called with a `Report` after every epoch of every training.
    on_end : callable, optional
        Called when a job has ended.

    Returns
    -------
    SweepSummary
        Failures of single runs are in it, not raised.

    Raises
    ------
    nets.storage.atomic.StorageError
        If the folder cannot be written to.
    """
    began = time.monotonic()
    summary = SweepSummary()

    def report(report: Report) -> None:
        if report.note:
            summary.notes.append(report.text)
        if on_progress is not None:
            on_progress(report)

    def end(ended: Ended) -> None:
        outcomes = _outcomes(ended)
        summary.outcomes += outcomes
        if on_end is not None:
            on_end(ended.task.job, outcomes)

    keeping.root.mkdir(parents=True, exist_ok=True)
    run_jobs(
        plan.jobs,
        keeping,
        workers=workers,
        threads=threads,
        scheduler=scheduler,
        on_report=report,
        on_end=end,
    )
    summary.seconds = time.monotonic() - began
    return summary


def _outcomes(ended: Ended) -> list[Outcome]:
    """Return how the runs of a job ended, also where the job as a whole failed."""
    if not ended.failure:
        outcomes: list[Outcome] = ended.value
        return outcomes
    if ended.failure.startswith(StorageError.__name__):
        raise StorageError(ended.failure.partition(": ")[2])
    from nets.runs.canonical import address

    return [Outcome(play, address(play), failure=ended.failure) for play in ended.task.job.plays]
