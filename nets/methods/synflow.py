"""SynFlow: data-free pruning in rounds that conserves the synaptic flow and so keeps every layer alive."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from nets.masking.course import Scoring, SparseTraining
from nets.masking.selection import select
from nets.methods.method import Method, Option
from nets.search.criteria import synflow
from nets.search.search import Found, Search, timed


def flow_mask(setting: Scoring, density: float) -> Tensor:
    """Return the mask of the network as it stands, in rounds of exponentially falling density."""
    rounds = int(setting.options["rounds"])
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, got {rounds}")
    mask = torch.ones_like(setting.flat.weights, dtype=torch.bool)
    for k in range(1, rounds + 1):
        count = (
            setting.count(density) if k == rounds else round(density ** (k / rounds) * setting.layout.whole)
        )
        scores = synflow(setting, mask).masked_fill_(~mask, -torch.inf)
        mask = select(scores, setting.layout, count)
    return mask


def find(search: Search) -> Iterable[Found]:
    """Prune each density on its own."""

    def one(density: float) -> Found:
        weights = search.rewound()
        search.flat.load(weights)
        seconds = timed()
        mask = flow_mask(search, density)
        search.charge(0, seconds())
        return search.found(mask, density, weights=weights, report={"rounds": search.options["rounds"]})

    return search.each(one)


METHOD = Method(
    name="synflow",
    summary="iterative synaptic flow pruning at initialisation, without data",
    reference="Tanaka, Kunin, Yamins, Ganguli, NeurIPS 2020, arXiv 2006.05467",
    find=find,
    mask=lambda setting, density: SparseTraining(flow_mask(setting, density)),
    cost=lambda density, epochs, options: 0.0,
    needs=("gradients",),
    options=(Option("rounds", 100, "pruning rounds"),),
    granularities=("weight", "n:m", "channel"),
)
