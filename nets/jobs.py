"""What one worker does in one go: plays that share the trainings of one search."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from nets.configuration import Play


@dataclass(frozen=True)
class Job:
    """Plays that one worker makes in one go: they differ in the density alone.

    Parameters
    ----------
    play : Play
        What they have in common.
    densities : tuple of float
        Their densities, largest first.
    """

    play: Play
    densities: tuple[float, ...]

    @property
    def plays(self) -> tuple[Play, ...]:
        """The plays, one a density."""
        return tuple(replace(self.play, density=density) for density in self.densities)

    @property
    def epochs(self) -> float:
        """Epochs of training that the job takes: its size, for the order of work and the progress bar."""
        from nets.methods import method

        chosen = method(self.play.method)
        options = chosen.settle(dict(self.play.options))
        search = self.play.search_training.epochs
        costs = [chosen.cost(density, search, options) for density in self.densities]
        retraining = len(self.densities) * self.play.epochs
        return (max(costs) if chosen.chain else sum(costs)) + retraining


def jobs(plays: Iterable[Play]) -> list[Job]:
    """Return the jobs that make these plays: those of a method that prunes in a chain go together.

    Plays that differ in nothing but the density share one chain of trainings if their method has one; every
    other play is a job of its own. The order is that of the first play of each job.
    """
    from nets.methods import method

    groups: dict[tuple[Play, float | None], list[float]] = {}
    for play in plays:
        key = (replace(play, density=1.0), None) if method(play.method).chain else (play, play.density)
        group = groups.setdefault(key, [])
        if play.density not in group:
            group.append(play.density)
    return [Job(play, tuple(sorted(densities, reverse=True))) for (play, _), densities in groups.items()]
