"""SET: sparse from scratch; the smallest weights are dropped and as many grown at random."""

from __future__ import annotations

from collections.abc import Iterable

from nets.methods.method import Method
from nets.search import Found, Search
from nets.search.regrowth import OPTIONS, find_by_regrowth, regrowth


def find(search: Search) -> Iterable[Found]:
    """Train a sparse network of changing connections, grown at random."""
    return find_by_regrowth(search, "random")


METHOD = Method(
    name="set",
    summary="sparse evolutionary training: drop by magnitude, grow at random",
    reference="Mocanu et al., Nature Communications 2018, arXiv 1707.04780",
    find=find,
    mask=lambda setting, density: regrowth(setting, density, "random"),
    cost=lambda density, epochs, options: epochs,
    options=OPTIONS,
    granularities=("weight",),
)
