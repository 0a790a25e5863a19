"""Continuous sparsification: a sigmoid mask whose temperature falls, trained jointly with the weights."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor

from nets.masking.course import Setting
from nets.masking.scored_mask import Moment, ScoredMask
from nets.methods.method import Method, Option
from nets.search import Found, Search
from nets.search.scored_search import find_by_scores


def sigmoid_mask(scores: Tensor, sharpness: float, share: float) -> Tensor:
    """Return sigmoid(b s), b rising exponentially from 1 to `sharpness` as `share` goes from 0 to 1."""
    return torch.sigmoid(scores * sharpness**share)


def set_back(scores: Tensor, sharpness: float, start: float) -> Tensor:
    """Return the scores that the next round starts from, min(sharpness * s, start): survivors at `start`."""
    return (scores * sharpness).clamp(max=start)


def mask(setting: Setting, density: float, origin: float = 1.0, scores: Tensor | None = None) -> ScoredMask:
    """Return the hook: scores that start at their initial value, or at those given."""
    o = setting.options

    def relaxation(scores: Tensor, moment: Moment) -> Tensor:
        return sigmoid_mask(scores, o["sharpness"], moment.share)

    return ScoredMask(
        setting.flat.weights.new_full((setting.entries,), o["start"]) if scores is None else scores,
        relaxation,
        lr=o["lr"],
        adam=True,
        cost=relaxation,
        lam=o["lam"],
        density=None if o["lam"] else density,
        descent=o["descent"],
        origin=origin,
    )


def find(search: Search) -> Iterable[Found]:
    """Train scores and weights jointly; lam is steered so that the wanted share of scores stays positive.

    The paper fixes lam and the initial score and takes the density that follows. As there, a further round
    goes on from the trained weights with the temperature and the scores of survivors set back, and those of
    the others so low that they stay out; only the ticket is rewound.
    """
    o = search.options
    if o["rounds"] < 1:
        raise ValueError(f"rounds must be at least 1, got {o['rounds']!r}")

    def again(last: ScoredMask, origin: float, density: float) -> ScoredMask:
        return mask(search, density, origin, set_back(last.scores.detach(), o["sharpness"], o["start"]))

    return find_by_scores(search, partial(mask, search), rounds=o["rounds"], again=again)


METHOD = Method(
    name="continuous-sparsification",
    summary="sigmoid mask of falling temperature, trained with the weights",
    reference="Savarese, Silva, Maire, Winning the lottery with continuous sparsification, NeurIPS 2020",
    find=find,
    mask=mask,
    cost=lambda density, epochs, options: epochs * options["rounds"],
    needs=("gradients",),
    options=(
        Option("sharpness", 200.0, "factor of the scores at the end of the training"),
        Option("start", 0.5, "initial score"),
        Option("lr", 0.1, "peak learning rate of the scores (Adam)"),
        Option("descent", 0.3, "share of the training over which the density wanted falls"),
        Option("lam", 0.0, "weight of the sum of the mask in the objective; 0: steered to the density"),
        Option("rounds", 1, "trainings, each going on with the survivors of the last"),
    ),
    granularities=("weight", "n:m", "channel"),
)
