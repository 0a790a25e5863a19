"""Tickets from scores that a `ScoredMask` trains: rank the scores, cut to the exact count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from nets.mask_cut import cut
from nets.masking.scored_mask import ScoredMask
from nets.rounds import append_curves
from nets.search import Found, Search


def find_by_scores(
    search: Search,
    hook: Callable[[float], ScoredMask],
    rounds: int = 1,
    again: Callable[[ScoredMask, float, float], ScoredMask] | None = None,
) -> list[Found]:
    """Train a scored mask for every density and keep the weights that rank highest.

    Parameters
    ----------
    search : Search
        The search. Where the hook freezes the weights they are the rewound ones, not decayed.
    hook : callable
        Makes the hook for a density; the network stands at its initial weights.
    rounds : int
        Trainings, each going on from the weights of the last; round k of R ends at the density p^(k/R) for a
        density p asked for.
    again : callable, optional
        For more rounds than one: makes the hook of a round from that of the last, the density at which it
        begins and that at which it ends.
    """

    def one(density: float) -> Found:
        search.flat.load(search.initial)
        scored = hook(density ** (1 / rounds))
        training, weights = search.training, None
        if scored.freeze:
            training, weights = replace(training, weight_decay=0.0), search.rewound()
        loop = search.train(scored, weights=weights, training=training, teacher=scored.teacher)
        trace = scored.trace
        for number in range(2, rounds + 1):
            assert again is not None
            weights = search.flat.snapshot()
            scored = again(scored, density ** ((number - 1) / rounds), density ** (number / rounds))
            loop = search.train(scored, weights=weights, training=training, teacher=scored.teacher)
            append_curves(trace, scored.trace, loop.steps * (number - 1))
        mask, report = cut(search, loop, scored, search.count(density))
        if rounds > 1:
            report["rounds"] = rounds
        return search.found(mask, density, report=report, trace=trace)

    return search.each(one)
