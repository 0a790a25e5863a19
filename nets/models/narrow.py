"""The widest network of an architecture whose maskable weights or operations are no more than a ticket's."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from nets.data import AnyData
from nets.masking.layout import Layout, maskable
from nets.models.factory import Architecture, ModelSpec, build
from nets.models.flops import count_flops
from nets.registry import models

#: Halvings of the width that is still open; units are whole numbers, so this is far finer than needed.
HALVINGS = 24


def maskable_weights(model: nn.Module, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> int:
    """Return the number of weights that `nets.masking.layout.maskable` names."""
    return Layout.of(model, maskable(model, include, exclude)).total


def width_for(
    model: ModelSpec,
    data: AnyData,
    most: int,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    *,
    operations: bool = False,
) -> float:
    """Return the width at which a network has as many maskable weights as possible, but at most `most`.

    Parameters
    ----------
    model : str or callable
        A model's name, or a factory with a parameter `width`.
    data : Dataset or Stream
        Gives the shape of the inputs and the number of classes.
    most : int
        Maskable weights at most, e.g. what a ticket keeps.
    include, exclude : sequence of str
        See `nets.masking.layout.maskable`.
    operations : bool
        Count the operations of one inference instead of the weights.

    Raises
    ------
    ValueError
        If the model cannot be narrowed, or has more weights even at one unit a layer.
    """

    def size(width: float) -> int:
        # on the meta device: shapes without numbers
        with torch.device("meta"):
            made = _made(model, data, width)
        if operations:
            return count_flops(made, data.example(1)).dense
        return maskable_weights(made, include, exclude)

    what = "operations" if operations else "weights"
    low, high = 1e-9, 1.0
    smallest = size(low)
    if smallest > most:
        raise ValueError(
            f"no dense network of this architecture is as small as {most} {what}: even with the fewest "
            f"units a layer it has {smallest}; ask for a larger density"
        )
    if size(high) <= most:
        return high
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if size(middle) <= most else (low, middle)
    return low


def _made(model: ModelSpec, data: AnyData, width: float) -> nn.Module:
    found = models.find(model) if isinstance(model, str) else model
    if isinstance(found, Architecture):
        return found.factory(data.input_shape, data.n_classes, width=width)
    with torch.device("cpu"):  # a user's network is tried on an input, which needs numbers
        return build(model, data, width=width)
