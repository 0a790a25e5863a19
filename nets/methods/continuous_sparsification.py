"""Continuous sparsification: a sigmoid mask whose temperature falls, trained jointly with the weights."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from nets.methods.method import Method, Option
from nets.scored_mask import Moment, ScoredMask
from nets.scored_search import find_by_scores
from nets.search import Found, Search


def sigmoid_mask(scores: Tensor, sharpness: float, share: float) -> Tensor:
    """Return sigmoid(b s), b rising exponentially from 1 to `sharpness` as `share` goes from 0 to 1."""
    return torch.sigmoid(scores * sharpness**share)


def find(search: Search) -> Iterable[Found]:
    """Train scores and weights jointly; lam is steered so that the wanted share of scores stays positive.

    The paper fixes lam and the initial score and takes the density that follows. It repeats such trainings,
    each starting from the weights and the surviving scores of the last; here there is one.
    """
    o = search.options

    def hook(density: float) -> ScoredMask:
        def relaxation(scores: Tensor, moment: Moment) -> Tensor:
            return sigmoid_mask(scores, o["sharpness"], moment.share)

        scores = search.flat.weights.new_full((search.entries,), o["start"])
        target = None if o["lam"] else density
        return ScoredMask(
            scores,
            relaxation,
            lr=o["lr"],
            adam=True,
            cost=relaxation,
            lam=o["lam"],
            density=target,
            descent=o["descent"],
        )

    return find_by_scores(search, hook)


METHOD = Method(
    name="continuous-sparsification",
    summary="sigmoid mask of falling temperature, trained with the weights",
    reference="Savarese, Silva, Maire, Winning the lottery with continuous sparsification, NeurIPS 2020",
    find=find,
    cost=lambda density, epochs, options: epochs,
    needs=("gradients",),
    options=(
        Option("sharpness", 200.0, "factor of the scores at the end of the training"),
        Option("start", 0.5, "initial score"),
        Option("lr", 0.1, "peak learning rate of the scores (Adam)"),
        Option("descent", 0.3, "share of the training over which the density wanted falls"),
        Option("lam", 0.0, "weight of the sum of the mask in the objective; 0: steered to the density"),
    ),
    granularities=("weight", "n:m", "channel"),
)
