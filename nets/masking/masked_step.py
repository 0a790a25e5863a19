"""A step of SGD on weights under a mask in one pass over the flat vectors, on a processor.

In separate calls the step reads and writes the vectors of gradients, squares, mask, momentum, weights and
effective weights sixteen times in all, which takes longer than the arithmetic; in one pass it is ten times,
as often as the unmasked step takes with torch's calls.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from nets.flat_model import FlatModel
from nets.masking.course import Course


def in_one_pass(loop: Course) -> bool:
    """Return whether `step` can act: our own loop, SGD with momentum, a processor, float32 or float64."""
    return (
        isinstance(loop.flat, FlatModel)
        and isinstance(loop.optimiser, torch.optim.SGD)
        and loop.optimiser.param_groups[0]["momentum"] > 0
        and loop.flat.parameter.device.type == "cpu"
        and loop.flat.parameter.dtype in (torch.float32, torch.float64)
    )


def step(loop: Course, mask: Tensor, squares: Tensor) -> None:
    """Step the optimiser on the weights theta of which the network sees theta * mask; zero the gradients.

    The same as, up to rounding, ``squares += gradients**2; gradients *= mask``, the step of the optimiser,
    ``gradients = 0`` and ``effective = weights * mask``. The momentum stays in the optimiser's state.

    Parameters
    ----------
    loop : Course
        With gradients of the effective weights; `in_one_pass` holds for it.
    mask : Tensor
        Shape (n,).
    squares : Tensor
        Running sum of squared gradients of the effective weights, shape (n,), changed in place.
    """
    from nets.masking.kernels import masked_sgd

    flat, group = loop.flat, loop.optimiser.param_groups[0]
    assert isinstance(flat, FlatModel)
    state = loop.optimiser.state[flat.parameter]
    if state.get("momentum_buffer") is None:
        state["momentum_buffer"] = torch.zeros_like(flat.parameter)
    vectors = (flat.gradients_of_all, flat.parameter, state["momentum_buffer"], flat.effective, mask, squares)
    kind: Any = np.float32 if mask.dtype == torch.float32 else np.float64
    rates = (kind(group[name]) for name in ("lr", "momentum", "weight_decay"))
    arguments: list[Any] = [*(v.detach().numpy() for v in vectors), *rates, group["nesterov"]]
    masked_sgd(*arguments)
