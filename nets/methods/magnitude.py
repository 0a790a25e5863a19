"""One-shot magnitude pruning: train once, keep the largest weights, rewind."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from nets.masking.course import Course, SparseTraining
from nets.masking.selection import select
from nets.methods.method import Method, Option
from nets.search import Found, Search, criteria
from nets.search.rounds import Snapshot, refuse_rewinding


class Magnitude(SparseTraining):
    """No mask during the training; the largest weights at its end."""

    def __init__(self, n: int, distribution: str) -> None:
        super().__init__(torch.ones(n, dtype=torch.bool))
        self.distribution = distribution

    def cut(self, loop: Course, count: int) -> Tensor:
        """Return the mask of the `count` largest weights."""
        return select(loop.flat.weights.abs(), loop.flat.layout, count, self.distribution, pooling="mean")


def find(search: Search) -> Iterable[Found]:
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


METHOD = Method(
    name="magnitude",
    summary="one-shot magnitude pruning after one training",
    reference="Han, Pool, Tran, Dally, NeurIPS 2015; one-shot tickets: Frankle, Carbin, ICLR 2019",
    find=find,
    mask=lambda setting, density: Magnitude(setting.n, setting.options["distribution"]),
    cost=lambda density, epochs, options: epochs,
    options=(
        Option("distribution", "global", "how weights are shared out over layers: global, uniform or erk"),
        Option("rewinding", "weights", "what goes back: weights, or the learning-rate alone"),
    ),
    chain=True,
    granularities=("weight", "n:m", "channel"),
)
