"""The ticket: which weights a sparse network keeps, and the values they are rewound to."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nets import parametrization
from nets.layout import Layout
from nets.storage import tensor_file

FORMAT = "concave-sparsity ticket"
VERSION = 1


@dataclass(frozen=True, eq=False)
class Ticket:
    """A sparse network to be trained: binary masks and the weights to start from.

    Parameters
    ----------
    masks : mapping of str to Tensor
        Boolean, by parameter name, shaped like the parameters: True where a weight is kept.
    weights : mapping of str to Tensor
        State of the whole network (`state_dict`) that the ticket is rewound to.
    metadata : mapping
        Plain values: method, penalty, density asked for, seed, cost of the search, what the search reported.
    trace : mapping of str to sequence of float
        Curves of the search, e.g. lam at every update of the mask.
    """

    masks: Mapping[str, Tensor]
    weights: Mapping[str, Tensor]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    trace: Mapping[str, Sequence[float]] = field(default_factory=dict)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if not self.masks:
            raise ValueError("a ticket needs at least one mask")
        for name, mask in self.masks.items():
            if mask.dtype != torch.bool:
                raise TypeError(f"the mask of {name} must be boolean, got {mask.dtype}")
            if name not in self.weights:
                raise ValueError(f"the mask of {name} has no weight to go with it")
            if self.weights[name].shape != mask.shape:
                raise ValueError(
                    f"the mask of {name} has shape {tuple(mask.shape)}, "
                    f"its weight {tuple(self.weights[name].shape)}"
                )

    @property
    def kept(self) -> int:
        """Number of maskable weights kept."""
        return sum(int(mask.sum()) for mask in self.masks.values())

    @property
    def total(self) -> int:
        """Number of maskable weights."""
        return sum(mask.numel() for mask in self.masks.values())

    @property
    def density(self) -> float:
        """Share of the maskable weights kept: kept / total."""
        return self.kept / self.total

    @property
    def layer_densities(self) -> dict[str, float]:
        """Share kept of each masked tensor, by name."""
        return {name: int(mask.sum()) / mask.numel() for name, mask in self.masks.items()}

    def apply(self, model: nn.Module) -> nn.Module:
        """Write the ticket into a network, in place: rewound weights, exact zeros where they are pruned.

        The network stays a plain one: nothing is attached, its `state_dict` has the usual names. To keep
        pruned weights at zero while training with a loop of your own, use `attach`.

        Parameters
        ----------
        model : Module
            A network of the architecture that the ticket was found for.

        Returns
        -------
        Module
            `model`.

        Raises
        ------
        ValueError
            If the network has other parameters or shapes; it is then left unchanged.
        """
        own = model.state_dict()
        state = self.masked_weights()
        missing, unknown = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
        if missing or unknown:
            raise ValueError(
                f"this ticket is for another network: {type(model).__name__} "
                + "; ".join(
                    f"{text} {', '.join(names[:5])}"
                    for text, names in (("lacks", unknown), ("has besides", missing))
                    if names
                )
            )
        for name, tensor in state.items():
            if tensor.shape != own[name].shape:
                raise ValueError(
                    f"this ticket is for another network: {name} has shape {tuple(own[name].shape)}, "
                    f"the ticket's {tuple(tensor.shape)}"
                )
        model.load_state_dict(state)
        return model

    def attach(self, model: nn.Module) -> nn.Module:
        """Write the ticket into a network and attach its masks by `torch.nn.utils.parametrize`, in place.

        Pruned weights then stay exactly zero under any training loop; `nets.make_permanent` takes the masks
        off again.
        """
        return parametrization.attach(self.apply(model), self.masks)

    def masked_weights(self) -> dict[str, Tensor]:
        """Return the rewound state with exact zeros at the pruned weights."""
        return {
            name: torch.where(self.masks[name], tensor, 0) if name in self.masks else tensor.clone()
            for name, tensor in self.weights.items()
        }

    def flat_mask(self, layout: Layout) -> Tensor:
        """Return the masks as one flat vector in the order of a layout.

        Raises
        ------
        ValueError
            If the layout has other tensors.
        """
        if set(layout.names) != set(self.masks):
            odd = sorted(set(layout.names) ^ set(self.masks))
            raise ValueError(f"the ticket masks other tensors than the network's rule: {', '.join(odd)}")
        return layout.join(self.masks)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the ticket as a safetensors file, atomically; masks take one bit a weight.

        Parameters
        ----------
        path : path
            Where to write; an existing file is replaced.

        Returns
        -------
        Path
            The file written.
        """
        path = Path(path)
        tensors = {f"weight:{name}": tensor for name, tensor in self.weights.items()}
        for name, mask in self.masks.items():
            bits = np.packbits(mask.cpu().numpy().reshape(-1))
            tensors[f"mask:{name}"] = torch.from_numpy(bits)
        said = {"metadata": dict(self.metadata), "trace": {k: list(v) for k, v in self.trace.items()}}
        tensor_file.write(path, FORMAT, VERSION, tensors, said)
        return path

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Ticket:
        """Read a ticket written by `save`; nothing is unpickled.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file is not a ticket, is truncated, or was changed since it was written.
        """
        path = Path(path)
        tensors, said = tensor_file.read(path, FORMAT, VERSION)
        weights = {k.removeprefix("weight:"): t for k, t in tensors.items() if k.startswith("weight:")}
        packed = {k.removeprefix("mask:"): t for k, t in tensors.items() if k.startswith("mask:")}
        try:
            masks = {name: _unpacked(bits, weights[name].shape) for name, bits in packed.items()}
            return cls(masks, weights, said["metadata"], said["trace"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is not a ticket that this library wrote ({error!r})") from None


def _unpacked(bits: Tensor, shape: torch.Size) -> Tensor:
    """Return the mask that one bit a weight stands for."""
    if bits.dtype != torch.uint8 or bits.numel() != -(-shape.numel() // 8):
        raise ValueError(f"its mask has {bits.numel()} bytes for {shape.numel()} weights")
    flat = np.unpackbits(bits.numpy(), count=shape.numel()).astype(bool)
    return torch.from_numpy(flat).reshape(shape)
