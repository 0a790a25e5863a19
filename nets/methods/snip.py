"""SNIP: weights whose removal changes the loss of the untrained network most are kept."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from nets.masking.course import Scoring
from nets.methods.method import Method, Option
from nets.search import Found, Search
from nets.search.criteria import snip
from nets.search.rounds import one_shot, scored_mask


def scores(setting: Scoring) -> Tensor:
    """Return the connection sensitivities."""
    return snip(setting, setting.options["samples"])


def find(search: Search) -> Iterable[Found]:
    """Score once by connection sensitivity and cut to every density."""
    return one_shot(search, scores, search.options["distribution"])


METHOD = Method(
    name="snip",
    summary="connection sensitivity at initialisation, one shot",
    reference="Lee, Ajanthan, Torr, ICLR 2019, arXiv 1810.02340",
    find=find,
    mask=lambda setting, density: scored_mask(setting, density, scores, setting.options["distribution"]),
    cost=lambda density, epochs, options: 0.0,
    needs=("gradients",),
    options=(
        Option("samples", 1280, "training samples over which the sensitivity is averaged"),
        Option("distribution", "global", "how weights are shared out over layers: global, uniform or erk"),
    ),
    chain=True,
    granularities=("weight", "n:m", "channel"),
)
