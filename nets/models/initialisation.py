"""Initial weights, as the papers draw them.

Each function draws, in the order of the modules, from torch's global CPU generator (`nets.models.build` seeds
it); biases are zero, normalisation layers start at weight 1 and bias 0.
"""

from __future__ import annotations

from typing import Literal

from torch import nn

LAYERS = (nn.Linear, nn.Conv2d)


def _zero_bias(module: nn.Linear | nn.Conv2d) -> None:
    if module.bias is not None:
        nn.init.zeros_(module.bias)


def glorot_normal(model: nn.Module) -> None:
    """Draw from N(0, 2 / (fan_in + fan_out)) (Glorot and Bengio, AISTATS 2010)."""
    for module in model.modules():
        if isinstance(module, LAYERS):
            nn.init.xavier_normal_(module.weight)
            _zero_bias(module)


def kaiming_normal(model: nn.Module, mode: Literal["fan_in", "fan_out"] = "fan_in") -> None:
    """Draw from N(0, 2 / fan) (He, Zhang, Ren and Sun, ICCV 2015)."""
    for module in model.modules():
        if isinstance(module, LAYERS):
            # The fan of a Linear layer is its inputs in either mode: it is the classifier.
            fan: Literal["fan_in", "fan_out"] = mode if isinstance(module, nn.Conv2d) else "fan_in"
            nn.init.kaiming_normal_(module.weight, mode=fan, nonlinearity="relu")
            _zero_bias(module)


def truncated_normal(model: nn.Module, std: float = 0.02) -> None:
    """Draw from N(0, std^2) cut at two units, as for transformers (Dosovitskiy et al., ICLR 2021)."""
    for module in model.modules():
        if isinstance(module, LAYERS):
            nn.init.trunc_normal_(module.weight, std=std)
            _zero_bias(module)
