"""Floating point operations of one inference, dense and with masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from nets.data.batches import forward, mapped, size

COUNTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True)
class FlopCount:
    """Floating point operations for one sample, a multiplication and an addition counting as two.

    Only multiply-adds count (convolutions, matrix products, attention); biases, normalisation, activations
    and pooling do not, as is usual.

    Parameters
    ----------
    layers : dict
        Dense operations of each Linear and convolution layer, by module name.
    sparse_layers : dict
        The same with the masks: a weight that is masked out multiplies nothing.
    other : int
        Operations outside these layers (the products inside attention; all of torch.nn.MultiheadAttention,
        which does not call its layers), which no mask reduces.
    """

    layers: dict[str, int]
    sparse_layers: dict[str, int]
    other: int

    @property
    def dense(self) -> int:
        """Operations of the dense network."""
        return sum(self.layers.values()) + self.other

    @property
    def sparse(self) -> int:
        """Operations that are left with the masks."""
        return sum(self.sparse_layers.values()) + self.other

    @property
    def share(self) -> float:
        """Share of the dense operations that is left."""
        return self.sparse / self.dense if self.dense else 1.0


def count_flops(model: nn.Module, inputs: Any, masks: Mapping[str, Tensor] | None = None) -> FlopCount:
    """Count the operations of one inference by running it once; the model is left as it was.

    Parameters
    ----------
    model : nn.Module
        Any network, masked by parametrization or not.
    inputs : tuple of int, or a batch
        Shape of one sample, or the inputs of a batch of any size and form (the count is per sample).
    masks : mapping of str to Tensor, optional
        Masks by parameter name ("0.weight"), of the shape of the weight; a weight counts where its mask is
        not zero. Layers without a mask count in full.

    Raises
    ------
    ValueError
        If a mask names no weight of a Linear or convolution layer, or has another shape.
    """
    masks = dict(masks or {})
    layers = {name: module for name, module in model.named_modules() if isinstance(module, COUNTED)}
    _refuse_unknown(masks, layers)
    parameter = next(model.parameters(), None)
    device = parameter.device if parameter is not None else torch.device("cpu")
    shape = isinstance(inputs, Sequence) and all(isinstance(side, int) for side in inputs)
    batch = torch.zeros((1, *inputs), device=device) if shape else mapped(lambda x: x.to(device), inputs)
    dense = dict.fromkeys(layers, 0)
    sparse = dict.fromkeys(layers, 0)

    def hook(name: str) -> Any:
        mask = masks.get(f"{name}.weight" if name else "weight")

        def count(module: nn.Module, args: tuple[Any, ...], out: Tensor) -> None:
            weight: Tensor = module.weight  # type: ignore[assignment]
            # Each weight is used once at every output position.
            positions = out.numel() // weight.shape[0]
            dense[name] += 2 * positions * weight.numel()
            sparse[name] += (
                2 * positions * (weight.numel() if mask is None else int(torch.count_nonzero(mask)))
            )

        return count

    modes = {module: module.training for module in model.modules()}
    fused = torch.backends.mha.get_fastpath_enabled()
    handles = [module.register_forward_hook(hook(name)) for name, module in layers.items()]
    model.eval()
    try:
        # Fused attention is not counted; written out as products, it is.
        torch.backends.mha.set_fastpath_enabled(False)
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            forward(model, batch)
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode
    n = size(batch)
    return FlopCount(
        {name: value // n for name, value in dense.items()},
        {name: value // n for name, value in sparse.items()},
        (counter.get_total_flops() - sum(dense.values())) // n,
    )


def _refuse_unknown(masks: Mapping[str, Tensor], layers: Mapping[str, nn.Module]) -> None:
    shapes: dict[str, tuple[int, ...]] = {}
    for name, layer in layers.items():
        weight: Tensor = layer.weight  # type: ignore[assignment]
        shapes[f"{name}.weight" if name else "weight"] = tuple(weight.shape)
    for name, mask in masks.items():
        if name not in shapes:
            raise ValueError(f"mask {name!r} is no weight of a Linear or convolution layer of the model")
        if tuple(mask.shape) != shapes[name]:
            raise ValueError(f"mask {name!r} has shape {tuple(mask.shape)}, its weight {shapes[name]}")
