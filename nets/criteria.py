"""Scores by which weights are ranked; each takes the search and returns one score a maskable weight."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from nets.search import Search

#: A criterion returns scores of shape (n,) for the network as it stands in ``search.flat``; larger is kept.
Criterion = Callable[[Search], Tensor]


def magnitude(search: Search) -> Tensor:
    """Absolute value of the weight."""
    return search.flat.weights.abs()


def random(search: Search) -> Tensor:
    """Uniform random numbers, fixed by the seed."""
    scores = torch.rand(search.n, generator=search.generator("random"), dtype=torch.float64)
    return scores.to(search.flat.weights.device)
