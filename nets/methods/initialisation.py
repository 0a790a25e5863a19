"""Pruning at initialisation: at random, by SNIP, GraSP and SynFlow."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from nets.granularity.names import KINDS
from nets.masking.course import Scoring, Setting, SparseTraining
from nets.masking.selection import select
from nets.methods.method import DISTRIBUTION, Method, Option
from nets.search import criteria
from nets.search.rounds import one_shot, scored_mask
from nets.search.search import Found, Search, timed


def _scored_method(
    name: str,
    scores: Callable[[Scoring], Tensor],
    *,
    pooling: str = "sum",
    options: tuple[Option, ...] = (),
    **described: Any,
) -> Method:
    """Return the method that scores once, before training, and cuts to every density."""

    def find(search: Search) -> Iterable[Found]:
        return one_shot(search, scores, search.options["distribution"], pooling=pooling)

    def mask(setting: Setting, density: float) -> SparseTraining:
        return scored_mask(setting, density, scores, setting.options["distribution"], pooling=pooling)

    return Method(
        name=name,
        find=find,
        mask=mask,
        cost=lambda density, epochs, options: 0.0,
        options=(*options, DISTRIBUTION),
        granularities=KINDS,
        **described,
    )


RANDOM = _scored_method(
    "random",
    criteria.random,
    pooling="own",
    summary="weights drawn at random before training",
    reference="Liu et al., The unreasonable effectiveness of random pruning, ICLR 2022",
)

SNIP = _scored_method(
    "snip",
    lambda setting: criteria.snip(setting, setting.options["samples"]),
    summary="connection sensitivity at initialisation, one shot",
    reference="Lee, Ajanthan, Torr, ICLR 2019, arXiv 1810.02340",
    needs=("gradients",),
    options=(Option("samples", 1280, "training samples over which the sensitivity is averaged"),),
    chain=True,
)

GRASP = _scored_method(
    "grasp",
    lambda setting: criteria.grasp(setting, setting.options["samples"], setting.options["temperature"]),
    summary="gradient signal preservation at initialisation, one shot",
    reference="Wang, Zhang, Grosse, ICLR 2020, arXiv 2002.07376",
    needs=("gradients", "second derivatives"),
    options=(
        Option("samples", 1280, "training samples over which gradient and Hessian are averaged"),
        Option("temperature", 200.0, "divides the logits"),
    ),
    chain=True,
)


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
        scores = criteria.synflow(setting, mask).masked_fill_(~mask, -torch.inf)
        mask = select(scores, setting.layout, count)
    return mask


def find_synflow(search: Search) -> Iterable[Found]:
    """Prune each density on its own."""

    def one(density: float) -> Found:
        weights = search.rewound()
        search.flat.load(weights)
        seconds = timed()
        mask = flow_mask(search, density)
        search.charge(0, seconds())
        return search.found(mask, density, weights=weights, report={"rounds": search.options["rounds"]})

    return search.each(one)


SYNFLOW = Method(
    name="synflow",
    summary="iterative synaptic flow pruning at initialisation, without data",
    reference="Tanaka, Kunin, Yamins, Ganguli, NeurIPS 2020, arXiv 2006.05467",
    find=find_synflow,
    mask=lambda setting, density: SparseTraining(flow_mask(setting, density)),
    cost=lambda density, epochs, options: 0.0,
    needs=("gradients",),
    options=(Option("rounds", 100, "pruning rounds"),),
    granularities=KINDS,
)
