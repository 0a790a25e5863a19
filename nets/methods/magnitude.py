"""Magnitude pruning: none of it (dense), once, in rounds with rewinding (IMP)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from nets.granularity.names import KINDS
from nets.masking.course import Course, SparseTraining
from nets.masking.selection import select
from nets.methods.method import DISTRIBUTION, Method, Option
from nets.search import Found, Search, criteria
from nets.search.rounds import Snapshot, in_rounds, refuse_rewinding, rounds_needed


def find_dense(search: Search) -> Iterator[Found]:
    """Keep every weight."""
    mask = torch.ones(search.n, dtype=torch.bool, device=search.flat.weights.device)
    for _ in search.densities:
        yield search.found(mask, 1.0)


DENSE = Method(
    name="dense",
    summary="the whole network, nothing pruned",
    reference="-",
    find=find_dense,
    cost=lambda density, epochs, options: 0.0,
    fixed_density=1.0,
    granularities=("weight",),
)


class Magnitude(SparseTraining):
    """No mask during the training; the largest weights at its end."""

    def __init__(self, n: int, distribution: str) -> None:
        super().__init__(torch.ones(n, dtype=torch.bool))
        self.distribution = distribution

    def cut(self, loop: Course, count: int) -> Tensor:
        """Return the mask of the `count` largest weights."""
        return select(loop.flat.weights.abs(), loop.flat.layout, count, self.distribution, pooling="mean")


def find_magnitude(search: Search) -> Iterable[Found]:
    """Train the dense network once; every density is a cut of the same trained weights."""
    refuse_rewinding(search.options["rewinding"])
    snapshot = Snapshot(search.rewind)
    search.train(*([snapshot] if search.rewind else []))
    rewound = snapshot.weights if search.rewind else search.initial
    if search.options["rewinding"] != "weights":
        rewound = search.flat.snapshot()
    scores = criteria.magnitude(search)
    for density in search.densities:
        count, distribution = search.count(density), search.options["distribution"]
        mask = select(scores, search.layout, count, distribution, pooling="mean")
        yield search.found(mask, density, weights=rewound)


MAGNITUDE = Method(
    name="magnitude",
    summary="one-shot magnitude pruning after one training",
    reference="Han, Pool, Tran, Dally, NeurIPS 2015; one-shot tickets: Frankle, Carbin, ICLR 2019",
    find=find_magnitude,
    mask=lambda setting, density: Magnitude(setting.n, setting.options["distribution"]),
    cost=lambda density, epochs, options: epochs,
    options=(
        DISTRIBUTION,
        Option("rewinding", "weights", "what goes back: weights, or the learning-rate alone"),
    ),
    chain=True,
    granularities=KINDS,
)


def find_imp(search: Search) -> Iterable[Found]:
    """Prune by magnitude in rounds."""
    return in_rounds(search, criteria.magnitude, **search.options, pooling="mean")


IMP = Method(
    name="imp",
    summary="iterative magnitude pruning with rewinding of weights or learning rate",
    reference="Frankle, Carbin, ICLR 2019; step k: Frankle et al., ICML 2020; rate: Renda et al., ICLR 2020",
    find=find_imp,
    cost=lambda density, epochs, options: epochs * rounds_needed(density, options["keep"]),
    options=(
        Option("keep", 0.8, "share of the weights that survives a round"),
        Option("rewinding", "weights", "what goes back each round: weights, learning-rate or fine-tuning"),
        Option("fine_tune", 0.1, "rate of fine-tuning, as a share of the peak learning rate"),
        DISTRIBUTION,
    ),
    chain=True,
    granularities=KINDS,
)
