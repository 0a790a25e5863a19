"""What the networks share: the check of the input, the width, the initial weights."""

from __future__ import annotations

from typing import Literal

from torch import nn


def image_shape(
    name: str, input_shape: tuple[int, ...], *, smallest: int = 1, multiple: int = 1
) -> tuple[int, int, int]:
    """Return (channels, height, width).

    Parameters
    ----------
    name : str
        The network, for the message.
    input_shape : tuple of int
        Shape of one input.
    smallest : int
        Pixels that the height and the width must have at least.
    multiple : int
        Number that they must be multiples of.

    Raises
    ------
    ValueError
        If it is no image, or one too small.
    """
    if len(input_shape) != 3:
        raise ValueError(
            f"{name} takes images of shape (channels, height, width), got inputs of shape {input_shape}; "
            "lenet-300-100 takes any shape"
        )
    channels, height, width = input_shape
    if min(height, width) < smallest or height % multiple or width % multiple:
        needs = f"at least {smallest} x {smallest} pixels" + (
            f", sides multiples of {multiple}" if multiple > 1 else ""
        )
        raise ValueError(f"{name} needs images of {needs}, got {height} x {width}")
    return channels, height, width


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


def scaled(units: int, width: float, multiple: int = 1) -> int:
    """Return units * width, rounded to a multiple of `multiple`, and at least that.

    Raises
    ------
    ValueError
        If the width is not positive.
    """
    if not width > 0:
        raise ValueError(f"width must be positive, got {width!r}")
    return max(1, round(units * width / multiple)) * multiple
