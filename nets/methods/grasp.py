"""GraSP: weights whose removal would weaken the gradient flow of the untrained network are kept."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from nets.masking.course import Scoring
from nets.methods.method import Method, Option
from nets.search import Found, Search
from nets.search.criteria import grasp
from nets.search.rounds import one_shot, scored_mask


def scores(setting: Scoring) -> Tensor:
    """Return the Hessian-gradient products."""
    return grasp(setting, setting.options["samples"], setting.options["temperature"])


def find(search: Search) -> Iterable[Found]:
    """Score once by the Hessian-gradient product and cut to every density."""
    return one_shot(search, scores, search.options["distribution"])


METHOD = Method(
    name="grasp",
    summary="gradient signal preservation at initialisation, one shot",
    reference="Wang, Zhang, Grosse, ICLR 2020, arXiv 2002.07376",
    find=find,
    mask=lambda setting, density: scored_mask(setting, density, scores, setting.options["distribution"]),
    cost=lambda density, epochs, options: 0.0,
    needs=("gradients", "second derivatives"),
    options=(
        Option("samples", 1280, "training samples over which gradient and Hessian are averaged"),
        Option("temperature", 200.0, "divides the logits"),
        Option("distribution", "global", "how weights are shared out over layers: global, uniform or erk"),
    ),
    chain=True,
    granularities=("weight", "n:m", "channel"),
)
