"""What a sweep is going to do: the runs, which of them are done, and what the others cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nets.configuration import Play
from nets.runs.canonical import dense_of, settled
from nets.runs.jobs import Job, jobs
from nets.runs.store import Keeping


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
