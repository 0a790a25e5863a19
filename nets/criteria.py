"""Scores by which weights are ranked; each takes the search and returns one score a maskable weight."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nets.masking.course import Setting

#: A criterion returns scores of shape (n,) for the network as it stands in ``setting.flat``; larger is kept.
Criterion = Callable[[Any], Tensor]


def magnitude(setting: Setting) -> Tensor:
    """Absolute value of the weight."""
    return setting.flat.weights.abs()


def random(setting: Setting) -> Tensor:
    """Uniform random numbers, fixed by the seed."""
    scores = torch.rand(setting.n, generator=setting.generator("random"), dtype=torch.float64)
    return scores.to(setting.flat.weights.device)
