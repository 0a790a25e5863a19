"""Gradual magnitude pruning: the smallest weights go little by little during one training."""

from __future__ import annotations

from collections.abc import Iterable

from nets.masking.course import Setting
from nets.methods.method import Method, Option
from nets.search import Found, Search
from nets.search.regrowth import GradualPruning


def mask(setting: Setting, density: float) -> GradualPruning:
    """Return the hook."""
    o = setting.options
    return GradualPruning(
        setting.n, setting.count(density), o["begin"], o["end"], o["updates"], o["distribution"]
    )


def find(search: Search) -> Iterable[Found]:
    """Train once for every density, pruning along a cubic."""

    def one(density: float) -> Found:
        hook = mask(search, density)
        search.train(hook)
        report = search.reported()
        return search.found(hook.mask, density, report=report)

    return search.each(one)


METHOD = Method(
    name="gmp",
    summary="gradual magnitude pruning along a cubic during one training",
    reference="Zhu, Gupta, To prune, or not to prune, ICLR 2018 workshop, arXiv 1710.01878",
    find=find,
    mask=mask,
    cost=lambda density, epochs, options: epochs,
    options=(
        Option("begin", 0.1, "share of the training at which pruning begins"),
        Option("end", 0.7, "share of the training at which the density is reached"),
        Option("updates", 50, "number of pruning steps in between"),
        Option("distribution", "global", "how weights are shared out over layers: global, uniform or erk"),
    ),
    granularities=("weight", "n:m", "channel"),
)
