"""SynFlow: data-free pruning in rounds that conserves the synaptic flow and so keeps every layer alive."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from nets.distributions import select
from nets.gradient_criteria import synflow
from nets.methods.method import Method, Option
from nets.search import Found, Search, timed


def find(search: Search) -> Iterable[Found]:
    """Prune each density on its own, in rounds of exponentially falling density with new scores."""
    rounds = int(search.options["rounds"])
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, got {rounds}")

    def one(density: float) -> Found:
        weights = search.rewound()
        search.flat.load(weights)
        seconds = timed()
        mask = torch.ones_like(search.flat.weights, dtype=torch.bool)
        for k in range(1, rounds + 1):
            count = search.count(density) if k == rounds else round(density ** (k / rounds) * search.n)
            scores = synflow(search, mask).masked_fill_(~mask, -torch.inf)
            mask = select(scores, search.layout, count)
        search.charge(0, seconds())
        return search.found(mask, density, weights=weights, report={"rounds": rounds})

    return search.each(one)


METHOD = Method(
    name="synflow",
    summary="iterative synaptic flow pruning at initialisation, without data",
    reference="Tanaka, Kunin, Yamins, Ganguli, NeurIPS 2020, arXiv 2006.05467",
    find=find,
    cost=lambda density, epochs, options: 0.0,
    needs=("gradients",),
    options=(Option("rounds", 100, "pruning rounds"),),
    granularities=("weight", "n:m", "channel"),
)
