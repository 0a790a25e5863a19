"""The dense network: nothing is pruned; what every ticket is compared with."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from nets.methods.method import Method
from nets.search import Found, Search


def find(search: Search) -> Iterator[Found]:
    """Keep every weight."""
    mask = torch.ones(search.n, dtype=torch.bool, device=search.flat.weights.device)
    for _ in search.densities:
        yield search.found(mask, 1.0)


METHOD = Method(
    name="dense",
    summary="the whole network, nothing pruned",
    reference="-",
    find=find,
    cost=lambda density, epochs, options: 0.0,
    fixed_density=1.0,
    granularities=("weight",),
)
