"""The optimiser of the one training loop: torch's own, fused, on one flat parameter."""

from __future__ import annotations

import torch
from torch import nn

from nets import registry
from nets.configuration import Training

#: Devices on which torch has fused optimisers.
FUSED = ("cpu", "cuda", "xpu", "mps")


def optimiser(parameter: nn.Parameter, training: Training) -> torch.optim.Optimizer:
    """Return the optimiser that `training` names, stepping on one flat parameter.

    One of the user's own is a function (parameters, training) -> torch optimiser.
    """
    made: torch.optim.Optimizer = registry.optimisers.find(training.optimiser)([parameter], training)
    return made


def sgd(parameters: list[nn.Parameter], training: Training) -> torch.optim.Optimizer:
    """Return stochastic gradient descent with momentum."""
    return torch.optim.SGD(
        parameters,
        lr=training.lr,
        momentum=training.momentum,
        nesterov=training.nesterov,
        weight_decay=training.weight_decay,
        fused=_fused(parameters),
    )


def adam(parameters: list[nn.Parameter], training: Training) -> torch.optim.Optimizer:
    """Return Adam."""
    return _adaptive(torch.optim.Adam, parameters, training)


def adamw(parameters: list[nn.Parameter], training: Training) -> torch.optim.Optimizer:
    """Return Adam with decoupled weight decay."""
    return _adaptive(torch.optim.AdamW, parameters, training)


def _adaptive(
    kind: type[torch.optim.Adam], parameters: list[nn.Parameter], training: Training
) -> torch.optim.Optimizer:
    return kind(
        parameters,
        lr=training.lr,
        betas=(training.momentum, 0.999),
        weight_decay=training.weight_decay,
        fused=_fused(parameters),
    )


def _fused(parameters: list[nn.Parameter]) -> bool:
    return all(p.device.type in FUSED and p.dtype in (torch.float32, torch.float64) for p in parameters)
