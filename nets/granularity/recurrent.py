"""Hidden units of LSTM, GRU and RNN: rows in all gates, a column of the recurrent weight, who reads them.

A layer of `torch.nn.LSTM` has for each direction a matrix that reads its inputs and one that reads its own
state, each with the rows of all gates behind one another. Unit j is row j of every gate and column j of the
second; all layers and directions of a module have equally many units.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn

_WEIGHT = re.compile(r"weight_(ih|hh)_l(\d+)(_reverse)?")


class RecurrentWeight(NamedTuple):
    """One matrix of a recurrent module."""

    name: str
    #: Whether it reads the state instead of the inputs.
    own: bool
    layer: int
    direction: int


def recurrent_weights(module: nn.RNNBase) -> list[RecurrentWeight]:
    """Return the matrices of a module without projection, in its order."""
    found = [(name, _WEIGHT.fullmatch(name)) for name in module._flat_weights_names]
    return [RecurrentWeight(name, m[1] == "hh", int(m[2]), int(bool(m[3]))) for name, m in found if m]


def why_whole(module: nn.RNNBase, x: object, state: object) -> str:
    """Return why the units of a call of a module cannot be told apart; empty if they can."""
    if not isinstance(x, Tensor) or x.dim() != 3:
        return "its inputs are packed, or no batch"
    return "an initial state is given to it" if state is not None else ""


def places(module: nn.RNNBase, inputs: Tensor, states: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the units of the rows and of the columns of every matrix, by its name.

    Parameters
    ----------
    module : RNNBase
        Without projection.
    inputs : Tensor
        Units of its inputs, shape (input_size,).
    states : Tensor
        Units of its states, shape (num_layers, directions * hidden_size).
    """
    rows, columns = {}, {}
    for name, own, layer, direction in recurrent_weights(module):
        mine = states[layer].view(-1, module.hidden_size)[direction]
        rows[name] = mine.repeat(getattr(module, name).shape[0] // module.hidden_size)
        columns[name] = mine if own else states[layer - 1] if layer else inputs
    return rows, columns


def balanced(modules: Mapping[str, nn.RNNBase], outputs: Mapping[str, Tensor], alive: Tensor) -> Tensor:
    """Return which units stay where all layers and directions of a module keep equally many.

    Parameters
    ----------
    modules : mapping of str to RNNBase
        By name.
    outputs : mapping of str to Tensor
        Units of the rows of their matrices, by the names of these in the network.
    alive : Tensor
        Boolean, shape (units + 1,), the last for what cannot be removed: which are needed.
    """
    alive = alive.clone()
    while True:
        before = int(alive.sum())
        for name, module in modules.items():
            own = [f"{name}.{w.name}".lstrip(".") for w in recurrent_weights(module) if w.own]
            layers = [outputs[key][: module.hidden_size] for key in own]
            most = max(int(alive[units].sum()) for units in layers)
            for units in layers:
                dead = units[~alive[units]]
                alive[dead[: max(0, most - int(alive[units].sum()))]] = True
        if int(alive.sum()) == before:
            return alive


def narrow(
    module: nn.RNNBase, rows: Mapping[str, Tensor], columns: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return the parameters of a module with some of its units and inputs; its sizes become theirs.

    Parameters
    ----------
    module : RNNBase
        Changed in `input_size` and `hidden_size`.
    rows, columns : mapping of str to Tensor
        Boolean, by the name of each matrix.
    """
    small = {}
    for name, own, layer, _ in recurrent_weights(module):
        weight = getattr(module, name).detach()
        kept, read = rows[name].to(weight.device), columns[name].to(weight.device)
        small[name] = weight[kept][:, read]
        bias = name.replace("weight", "bias")
        if module.bias:
            small[bias] = getattr(module, bias).detach()[kept]
        if own:
            module.hidden_size = int(read.sum())
        elif not layer:
            module.input_size = int(read.sum())
    return small
