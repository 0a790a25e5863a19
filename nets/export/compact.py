"""From a ticket to a physically smaller network: units that nothing reads are taken out."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from nets.granularity.coupling import Coupling, coupling
from nets.granularity.removal import refuse_other_outputs, without
from nets.tickets import Ticket


def shrink(model: nn.Module, ticket: Ticket, x: Tensor | None = None) -> nn.Module:
    """Return a plain, smaller network with the outputs of the masked one.

    Neurons, channels, attention heads and hidden units of recurrent layers that no weight reads any more are
    removed, with their biases and entries of normalisations, in all layers that they are coupled to. Made for
    tickets of granularity "channel", which consist of whole units; of other tickets what happens to be dead
    goes.

    Parameters
    ----------
    model : Module
        The network, rewound, trained or masked by `attach`; left as it is.
    ticket : Ticket
        Its ticket.
    x : Tensor, optional
        Inputs that the outputs are compared on, shape (n, ...). Default: random ones of the shape that a
        ticket of granularity "channel" remembers.

    Returns
    -------
    Module
        Of the same class, in the same mode.

    Raises
    ------
    ValueError
        If the ticket is for another network, the network mixes samples, or its forward pass does not follow
        the shapes of its tensors.
    """
    masked = ticket.masked(model)
    parameter = next(masked.parameters())
    x = example_inputs(ticket, model=masked).to(parameter) if x is None else x.to(parameter.device)
    units = coupling(masked, tuple(ticket.masks), x)
    small = without(masked, units, read_units(units, ticket.masks))
    refuse_other_outputs(masked, small, x)
    return small


def read_units(units: Coupling, masks: Mapping[str, Tensor]) -> Tensor:
    """Return which units some weight still reads, boolean, shape (units,); one at least in every layer.

    What is read only by units that nobody reads counts as unread.
    """
    alive = torch.ones(units.units + 1, dtype=torch.bool)
    while True:
        read = torch.zeros(units.units + 1, dtype=torch.int64)
        for tensor, mask in masks.items():
            layer = units.key(tensor)
            if layer is None:
                continue
            outputs, inputs = units.outputs[layer], units.inputs[layer]
            left = mask.cpu().flatten(2).any(2) if mask.dim() > 2 else mask.cpu()
            left = left.t() if layer in units.transposed else left
            if len(left) != len(outputs):  # transposed in groups: neither lists its inputs
                continue
            left = left[alive[outputs]].any(0)
            if len(left) == len(inputs):
                read.index_add_(0, torch.where(inputs < 0, units.units, inputs), left.to(torch.int64))
        still = (read > 0) & alive
        still[-1] = True
        for place in (*units.outputs.values(), *units.inputs.values()):
            if not still[place].any():
                still[place[:1]] = True
        if torch.equal(still, alive):
            return alive[:-1]
        alive = still


def example_inputs(ticket: Ticket, samples: int = 8, model: nn.Module | None = None) -> Tensor:
    """Return random inputs of the shape that a ticket remembers, or that a first linear layer takes.

    Raises
    ------
    ValueError
        If neither tells the shape.
    """
    shape = ticket.metadata.get("input_shape")
    first = next(iter(model.children()), None) if model is not None else None
    if shape is None and isinstance(model, nn.Sequential) and isinstance(first, nn.Linear):
        shape = [first.in_features]
    if shape is None:
        raise ValueError("this ticket does not remember the shape of inputs: give x, a batch of them")
    return torch.randn((samples, *shape), generator=torch.Generator().manual_seed(0))
