"""The groups of a granularity for a given network."""

from __future__ import annotations

from torch import nn

from nets.data import Dataset
from nets.granularity.groups import Groups
from nets.granularity.n_of_m import NOfM
from nets.granularity.names import n_and_m
from nets.layout import Layout


def groups_of(name: str, model: nn.Module, layout: Layout, data: Dataset) -> Groups | None:
    """Return how the entries of a mask are tied to one another; None for single weights.

    Parameters
    ----------
    name : str
        As `nets.granularity.names.granularity_name` returns it.
    model : Module
        The network; left as it is.
    layout : Layout
        Its maskable weights.
    data : Dataset
        An input of which the network is tried on.
    """
    if name == "weight":
        return None
    pair = n_and_m(name)
    if pair is not None:
        return NOfM(*pair, model, layout)
    raise ValueError(f"granularity {name!r} is not known")
