"""Where and how runs are kept. This module imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from nets.configuration import Play
from nets.runs.canonical import address
from nets.runs.folder import RunFolder
from nets.runs.jobs import Job

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

    def finished(self, job: Job) -> bool:
        """Tell whether all runs of a job are finished, so that making it again would only read them."""
        return all(self.folder(play).finished for play in job.plays)


def search_address(play: Play) -> str:
    """Return the address of the search: that of the run, whatever its control, and its density in a chain."""
    from nets.methods import method

    play = replace(play, control="")
    return address(replace(play, density=1.0) if method(play.method).chain else play)
