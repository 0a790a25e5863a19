"""The l1 mask: the concave method with its convex member, the baseline of the paper."""

from __future__ import annotations

from collections.abc import Iterable

from concave_sparsity import L1
from nets.methods.concave import OPTIONS, cost, find_with, follows, mask_with
from nets.methods.method import Method
from nets.search import Found, Search


def find(search: Search) -> Iterable[Found]:
    """Train mask and weights jointly with the l1 penalty."""
    return find_with(search, L1())


METHOD = Method(
    name="l1",
    summary="relaxed mask with the l1 penalty, otherwise as concave",
    reference="Fracastoro et al., IEEE TNNLS 2024 (baseline)",
    find=find,
    mask=lambda setting, density: mask_with(setting, L1(), density),
    cost=cost,
    options=OPTIONS,
    density_follows=follows,
    granularities=("weight", "n:m", "channel"),
    revision=1,
)
