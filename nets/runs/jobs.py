"""What one worker does in one go: plays that share the trainings of one search."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from nets.configuration import Play


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
