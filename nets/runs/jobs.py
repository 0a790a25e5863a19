"""What one worker does in one go: plays that share the trainings of a search; and where runs are kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from nets.configuration import Play
from nets.runs.canonical import address
from nets.runs.folder import RunFolder


@dataclass(frozen=True)
class Job:
    """Plays that one worker makes in one go: they differ in the density and the control alone.

    Parameters
    ----------
    play : Play
        What they have in common.
    densities : tuple of float
        Their densities, largest first.
    controls : tuple of str
        Their controls, "" being the ticket itself.
    """

    play: Play
    densities: tuple[float, ...]
    controls: tuple[str, ...] = ("",)

    @property
    def plays(self) -> tuple[Play, ...]:
        """The plays, one a density and control."""
        return tuple(
            replace(self.play, density=density, control=control)
            for density in self.densities
            for control in self.controls
        )

    @property
    def epochs(self) -> float:
        """Epochs of training that the job takes: its size, for the order of work and the progress bar."""
        from nets.methods import method

        chosen = method(self.play.method)
        options = chosen.settle(dict(self.play.options))
        search = self.play.search_training.epochs
        costs = [chosen.cost(density, search, options) for density in self.densities]
        retraining = len(self.densities) * len(self.controls) * self.play.epochs
        return (max(costs) if chosen.chain else sum(costs)) + retraining


def jobs(plays: Iterable[Play]) -> list[Job]:
    """Return the jobs that make these plays: those that share one search go together.

    Plays that differ in nothing but the control share the search, and so do those that differ in the density
    if their method prunes in a chain. The order is that of the first play of each job.
    """
    from nets.methods import method

    groups: dict[Play, dict[float, list[str]]] = {}
    for play in plays:
        key = replace(play, control="")
        controls = groups.setdefault(key, {}).setdefault(play.density, [])
        if play.control not in controls:
            controls.append(play.control)
    chains: dict[tuple[Play, float | None, tuple[str, ...]], list[float]] = {}
    for play, asked in groups.items():
        for density, controls in asked.items():
            chained = method(play.method).chain
            search = replace(play, density=1.0) if chained else play
            chains.setdefault((search, None if chained else density, tuple(controls)), []).append(density)
    return [
        Job(play, tuple(sorted(densities, reverse=True)), controls)
        for (play, _, controls), densities in chains.items()
    ]


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
        Wait for a run that another process works on; otherwise `nets.runs.folder.RunBusy` is raised.
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
