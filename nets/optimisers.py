"""The optimiser of the one training loop: torch's own, fused, on one flat parameter."""

from __future__ import annotations

import torch
from torch import Tensor, nn

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


def state_vectors(optimiser: torch.optim.Optimizer, parameter: nn.Parameter) -> list[Tensor]:
    """Return the optimiser's state that lies like the parameter: momentum, squared gradients."""
    state = optimiser.state.get(parameter, {})
    return [v for v in state.values() if isinstance(v, Tensor) and v.shape == parameter.shape]
