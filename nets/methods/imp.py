"""Iterative magnitude pruning: train, prune the smallest weights, rewind the survivors, repeat."""

from __future__ import annotations

from collections.abc import Iterable

from nets.methods.method import Method, Option
from nets.search import Found, Search, criteria
from nets.search.rounds import in_rounds, rounds_needed


def find(search: Search) -> Iterable[Found]:
    """Prune by magnitude in rounds."""
    return in_rounds(search, criteria.magnitude, **search.options, pooling="mean")


METHOD = Method(
    name="imp",
    summary="iterative magnitude pruning with rewinding of weights or learning rate",
    reference="Frankle, Carbin, ICLR 2019; step k: Frankle et al., ICML 2020; rate: Renda et al., ICLR 2020",
    find=find,
    cost=lambda density, epochs, options: epochs * rounds_needed(density, options["keep"]),
    options=(
        Option("keep", 0.8, "share of the weights that survives a round"),
        Option("rewinding", "weights", "what goes back each round: weights, learning-rate or fine-tuning"),
        Option("fine_tune", 0.1, "rate of fine-tuning, as a share of the peak learning rate"),
        Option("distribution", "global", "how weights are shared out over layers: global, uniform or erk"),
    ),
    chain=True,
    granularities=("weight", "n:m", "channel"),
)
