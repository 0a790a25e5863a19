"""What networks cost: floating point operations of an inference and of a search."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from nets.data import AnyData
from nets.models.flops import FlopCount, count_flops, masks_of_layers

#: Operations of a forward and a backward pass together, in forward passes.
PASSES = 3.0


def inference_flops(network: nn.Module, data: AnyData, masks: Mapping[str, Tensor]) -> FlopCount:
    """Count the operations of one inference; masks of tensors other than layers' weights save none."""
    counted = masks_of_layers(network, masks, strict=False)
    return count_flops(network, data.example(1), counted)


def training_flops(inference: float, samples: int, epochs: float) -> float:
    """Return the operations of trainings, every pass counted as dense, as it is computed.

    Parameters
    ----------
    inference : float
        Operations of one inference of the dense network.
    samples : int
        Training samples an epoch.
    epochs : float
        Epochs in all.
    """
    return PASSES * inference * samples * epochs
