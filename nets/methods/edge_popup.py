"""Edge-popup: scores are trained over frozen weights; the network sees the weights of largest score."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor

from nets.masking.course import Course, Setting
from nets.masking.scored_mask import Moment, ScoredMask, straight_through
from nets.masking.selection import select
from nets.methods.method import Method, Option
from nets.search import Found, Search
from nets.search.scored_search import find_by_scores


class EdgePopup(ScoredMask):
    """A scored mask that shows the weights of largest score in size."""

    def ranked(self, loop: Course) -> Tensor:
        """Return the sizes of the scores."""
        return self.scores.detach().abs()


def mask(setting: Setting, density: float) -> EdgePopup:
    """Return the hook."""
    o, layout, count = setting.options, setting.layout, setting.count(density)

    def relaxation(scores: Tensor, moment: Moment) -> Tensor:
        size = scores.abs()
        kept = select(size.detach(), layout, count, o["distribution"]).to(size.dtype)
        return straight_through(kept, size)

    scale = 1 / math.sqrt(density) if o["scale"] else 1.0
    scores, spread = uniform_scores(setting), o["distribution"]
    return EdgePopup(scores, relaxation, lr=o["lr"], adam=True, freeze=True, scale=scale, distribution=spread)


def find(search: Search) -> Iterable[Found]:
    """Train scores at the exact density, straight through; the weights stay at what they are rewound to.

    As in the paper the weights shown are enlarged by 1 / sqrt(density). Unlike there the weights are the
    network's own initial ones, not signed constants, the scores are stepped by Adam, and the layers share the
    weights out by Erdős–Rényi kernels: a uniform density leaves a small last layer next to nothing.
    """
    return find_by_scores(search, partial(mask, search))


def uniform_scores(setting: Setting) -> Tensor:
    """Return scores drawn uniformly within 1 / sqrt(fan-in) of zero, tensor by tensor, by the seed."""
    generator = setting.generator("scores")
    parts = []
    for shape in setting.layout.shapes:
        bound = 1.0 / math.sqrt(max(1, math.prod(shape[1:])))
        parts.append((2 * torch.rand(math.prod(shape), generator=generator) - 1) * bound)
    return torch.cat(parts).to(setting.flat.weights)


METHOD = Method(
    name="edge-popup",
    summary="scores trained over frozen weights, the largest shown",
    reference="Ramanujan et al., What's hidden in a randomly weighted neural network?, CVPR 2020",
    find=find,
    mask=mask,
    cost=lambda density, epochs, options: epochs,
    needs=("gradients",),
    options=(
        Option("lr", 0.01, "peak learning rate of the scores (Adam)"),
        Option("scale", True, "enlarge the weights shown by 1 / sqrt(density)"),
        Option("distribution", "erk", "how weights are shared out over layers: global, uniform or erk"),
    ),
)
