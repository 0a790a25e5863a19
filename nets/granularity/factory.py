"""The groups of a granularity for a given network."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from nets import registry
from nets.data import AnyData
from nets.granularity.blocks import Blocks
from nets.granularity.channels import Channels
from nets.granularity.groups import Groups
from nets.granularity.layers import LayerDensities
from nets.granularity.n_of_m import NOfM
from nets.granularity.names import granularity_kind, n_and_m
from nets.granularity.removal import disturbed, refuse_other_outputs, without
from nets.granularity.single_weights import SingleWeights
from nets.masking.layout import Layout


def groups_of(
    name: str | Mapping[str, float], model: nn.Module, layout: Layout, data: AnyData | Tensor | None
) -> Groups:
    """Return how the entries of a mask are tied to one another.

    Parameters
    ----------
    name : str or mapping
        As `nets.granularity.names.granularity_name` returns it, or densities of layers.
    model : Module
        The network; left as it is.
    layout : Layout
        Its maskable weights.
    data : Dataset, Stream or Tensor
        The network is tried on its first inputs; needed for channels alone.

    Raises
    ------
    ValueError
        If the network does not admit the granularity.
    """
    if isinstance(name, Mapping):
        return LayerDensities(name, layout)
    if name == "weight":
        return SingleWeights(layout.names, layout.shapes)
    pair = n_and_m(name)
    if pair is not None:
        return NOfM(*pair, model, layout)
    if granularity_kind(name) == "block":
        return Blocks(name, registry.granularities.find(name), layout)
    if data is None:
        raise ValueError("granularity channel tries the network on inputs: give a batch")
    x = data[:4] if isinstance(data, Tensor) else data.example(4)
    if not isinstance(x, Tensor):
        raise ValueError("granularity channel needs a network of one input tensor; prune by weight or N:M")
    channels = Channels(model, layout, x, name)
    _try_out(model, channels, x)
    return channels


def _try_out(model: nn.Module, channels: Channels, x: Tensor) -> None:
    """Take half of the units out of a copy and compare, before a search relies on what was found."""
    scores = torch.rand(channels.units, generator=torch.Generator().manual_seed(0))
    alive = channels.best(scores) | (scores > 0.5)
    whole = disturbed(model)
    parameters = dict(whole.named_parameters())
    with torch.no_grad():
        for name, mask in channels.layout.split(channels.expand(alive)).items():
            parameters[name].mul_(mask.to(parameters[name].device))
    refuse_other_outputs(whole, without(whole, channels.coupling, alive), x)
