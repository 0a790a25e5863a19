"""Random tickets: the control that every method must beat."""

from __future__ import annotations

from collections.abc import Iterable

from nets.masking.course import Setting, SparseTraining
from nets.methods.method import Method, Option
from nets.search import Found, Search, criteria
from nets.search.rounds import one_shot, scored_mask


def mask(setting: Setting, density: float) -> SparseTraining:
    """Return the hook that trains under the mask."""
    return scored_mask(setting, density, criteria.random, setting.options["distribution"], pooling="own")


def find(search: Search) -> Iterable[Found]:
    """Keep weights drawn at random, once, before training."""
    return one_shot(search, criteria.random, search.options["distribution"], pooling="own")


METHOD = Method(
    name="random",
    summary="weights drawn at random before training",
    reference="Liu et al., The unreasonable effectiveness of random pruning, ICLR 2022",
    find=find,
    mask=mask,
    cost=lambda density, epochs, options: 0.0,
    options=(
        Option("distribution", "global", "how weights are shared out over layers: global, uniform or erk"),
    ),
    granularities=("weight", "n:m", "channel"),
)
