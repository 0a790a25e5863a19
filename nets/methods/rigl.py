"""RigL: sparse from scratch; the smallest weights are dropped and grown where the gradient is largest."""

from __future__ import annotations

from collections.abc import Iterable

from nets.methods.method import Method
from nets.search import Found, Search
from nets.search.regrowth import OPTIONS, find_by_regrowth, regrowth


def find(search: Search) -> Iterable[Found]:
    """Train a sparse network of changing connections, grown where the gradient is largest."""
    return find_by_regrowth(search, "gradient")


METHOD = Method(
    name="rigl",
    summary="rigged lottery: drop by magnitude, grow by gradient",
    reference="Evci et al., Rigging the lottery, ICML 2020, arXiv 1911.11134",
    find=find,
    mask=lambda setting, density: regrowth(setting, density, "gradient"),
    cost=lambda density, epochs, options: epochs,
    options=OPTIONS,
    granularities=("weight",),
)
