"""Edge-popup: scores are trained over frozen weights; the network sees the weights of largest score."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from nets.distributions import select
from nets.methods.method import Method, Option
from nets.scored_mask import Moment, ScoredMask, straight_through
from nets.scored_search import find_by_scores
from nets.search import Found, Search


def find(search: Search) -> Iterable[Found]:
    """Train scores at the exact density, straight through; the weights stay at what they are rewound to."""
    o, layout = search.options, search.layout

    def hook(density: float) -> ScoredMask:
        count = search.count(density)

        def relaxation(scores: Tensor, moment: Moment) -> Tensor:
            size = scores.abs()
            return straight_through(
                select(size.detach(), layout, count, o["distribution"]).to(size.dtype), size
            )

        return ScoredMask(uniform_scores(search), relaxation, lr=o["lr"], freeze=True)

    return find_by_scores(search, hook, lambda _, scored: scored.scores.abs(), o["distribution"])


def uniform_scores(search: Search) -> Tensor:
    """Return scores drawn uniformly within 1 / sqrt(fan-in) of zero, tensor by tensor, by the seed."""
    generator = search.generator("scores")
    parts = []
    for shape in search.layout.shapes:
        bound = 1.0 / math.sqrt(max(1, math.prod(shape[1:])))
        parts.append((2 * torch.rand(math.prod(shape), generator=generator) - 1) * bound)
    return torch.cat(parts).to(search.flat.weights)


METHOD = Method(
    name="edge-popup",
    summary="scores trained over frozen weights, the largest shown",
    reference="Ramanujan et al., What's hidden in a randomly weighted neural network?, CVPR 2020",
    find=find,
    cost=lambda density, epochs, options: epochs,
    needs=("gradients",),
    options=(
        Option("lr", 0.1, "peak learning rate of the scores"),
        Option("distribution", "uniform", "how weights are shared out over layers: global, uniform or erk"),
    ),
)
