"""Whether tickets of different seeds share masks, and their trained networks lie in one valley."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from nets.analysis.controls import control, draws, linear_connectivity, overlap
from nets.configuration import Play, check
from nets.lottery import data_of, grouped_layout, retrain, search_tickets
from nets.metric import ACCURACY, Metric
from nets.models import build


@dataclass(frozen=True)
class Connection:
    """Two trained networks and the straight line between them.

    Parameters
    ----------
    kind : str
        "seeds": tickets of two seeds, each retrained; "batches": one ticket, retrained with the batch orders
        of two seeds (the instability of Frankle et al., ICML 2020).
    seeds : tuple of int
        The two seeds.
    overlap : float
        Overlap of the masks (Jaccard index); 1 for one ticket.
    chance : float
        Overlap of the first mask with the second one shuffled within layers.
    barrier : float
        Largest error on the line above the straight line between the errors of the ends.
    errors : tuple of float
        Error (see `nets.analysis.controls.linear_connectivity`) at points from the first network to
        the second.
    metric : Metric
        What the errors are of.
    """

    kind: str
    seeds: tuple[int, int]
    overlap: float
    chance: float
    barrier: float
    errors: tuple[float, ...]
    metric: Metric = ACCURACY

    @property
    def connected(self) -> bool:
        """Whether the barrier is below two points of error, as Frankle et al. define it.

        Of a metric that is no share: below twice what a matching ticket may lose of it.
        """
        ends = (self.errors[0] + self.errors[-1]) / 2
        return self.barrier < (0.02 if self.metric.unit == "%" else 2 * self.metric.tolerated(ends))


def connectivity(
    play: Play | None = None, *, seeds: Sequence[int] = (0, 1), **changes: Any
) -> list[Connection]:
    """Find and retrain a ticket for every seed, and compare them in pairs.

    Parameters
    ----------
    play : Play, optional
        What to play; its seed does not matter. Default: ``Play()``.
    seeds : sequence of int
        At least two, all different.
    **changes
        Fields of the play, e.g. ``method="imp"``.

    Returns
    -------
    list of Connection
        For every pair one of kind "batches" (the first seed's ticket) and one of kind "seeds".
    """
    play = Play(**changes) if play is None else replace(play, **changes)
    seeds = tuple(seeds)
    check(len(set(seeds)) == len(seeds) >= 2, "seeds", seeds, "at least two different ones")
    check(play.control != "small-dense", "control", play.control, "one with a mask: another, or none")
    data = data_of(play)
    layout = grouped_layout(play, data)
    plays = {seed: replace(play, seed=seed) for seed in seeds}
    tickets = {seed: search_tickets(p, (p.density,), data=data)[0] for seed, p in plays.items()}
    if play.control:
        draw = draws(play.model, data)
        tickets = {
            seed: control(play.control, ticket, seed, draw, layout) for seed, ticket in tickets.items()
        }
    trained: dict[tuple[int, int], Any] = {}

    def state(ticket: int, order: int) -> Any:
        if (ticket, order) not in trained:
            made = retrain(
                tickets[ticket],
                play.model,
                data,
                seed=order,
                training=play.training,
                device=play.device,
            )
            trained[ticket, order] = made.model.cpu().state_dict()
        return trained[ticket, order]

    connections = []
    for first, second in combinations(seeds, 2):
        for kind, other in (("batches", (first, second)), ("seeds", (second, second))):
            line = linear_connectivity(build(play.model, data), state(first, first), state(*other), data)
            one, two = tickets[first], tickets[other[0]]
            chance = overlap(one, control("shuffle", two, second, layout=layout))
            connections.append(
                Connection(
                    kind,
                    (first, second),
                    overlap(one, two),
                    chance,
                    float(line["barrier"]),  # type: ignore[arg-type]
                    tuple(line["error"]),  # type: ignore[arg-type]
                    data.task.metric.described(),
                )
            )
    return connections
