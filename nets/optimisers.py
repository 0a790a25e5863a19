"""The optimiser of the one training loop: torch's own, fused, on one flat parameter."""

from __future__ import annotations

import torch
from torch import nn

from nets.configuration import Training

#: Devices on which torch has fused optimisers.
FUSED = ("cpu", "cuda", "xpu", "mps")


def optimiser(parameter: nn.Parameter, training: Training) -> torch.optim.Optimizer:
    """Return the optimiser that `training` names, stepping on one flat parameter."""
    fused = parameter.device.type in FUSED and parameter.dtype in (torch.float32, torch.float64)
    if training.optimiser == "sgd":
        return torch.optim.SGD(
            [parameter],
            lr=training.lr,
            momentum=training.momentum,
            nesterov=training.nesterov,
            weight_decay=training.weight_decay,
            fused=fused,
        )
    kind = torch.optim.Adam if training.optimiser == "adam" else torch.optim.AdamW
    betas = (training.momentum, 0.999)
    return kind([parameter], lr=training.lr, betas=betas, weight_decay=training.weight_decay, fused=fused)
