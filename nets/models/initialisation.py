"""Initial weights, as the papers draw them."""

from __future__ import annotations

from torch import nn

LAYERS = (nn.Linear, nn.Conv2d)


def glorot_normal(model: nn.Module) -> None:
    """Draw Linear and Conv2d weights from Glorot's normal law, biases zero (Glorot, Bengio 2010)."""
    for module in model.modules():
        if isinstance(module, LAYERS):
            nn.init.xavier_normal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
