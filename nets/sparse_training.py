"""Training under a fixed or changing binary mask: pruned weights are exactly zero at every step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nets import distributed
from nets.hooks import Hook
from nets.optimisers import state_vectors
from nets.training import Loop


class SparseTraining(Hook):
    """Keep the weights outside a mask exactly zero.

    They start at zero, their gradient is zeroed before the optimiser sees it and so is the optimiser's memory
    of them, hence neither momentum, weight decay nor Adam can move them. This costs one product a step for
    all layers; the forward pass is the dense one.

    Parameters
    ----------
    mask : Tensor
        Boolean, shape (n,): True where a weight is kept.
    """

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask
        self._factor = mask.to(torch.float32)

    def start(self, loop: Loop) -> None:
        """Zero the weights outside the mask."""
        self.change(loop, self.mask)

    def change(self, loop: Loop, mask: Tensor) -> None:
        """Replace the mask: weights outside it become zero and the optimiser forgets them."""
        weights = loop.flat.weights
        self.mask = mask.to(weights.device)
        distributed.agree(self.mask)
        self._factor = self.mask.to(weights.dtype)
        pruned = ~self.mask
        weights.masked_fill_(pruned, 0.0)
        for vector in state_vectors(loop.optimiser, loop.flat.parameter):
            vector[: loop.flat.n].masked_fill_(pruned, 0.0)

    def after_backward(self, loop: Loop) -> None:
        """Zero the gradient outside the mask."""
        loop.flat.gradients.mul_(self._factor)

    def state_dict(self) -> dict[str, Any]:
        """Return the mask."""
        return {"mask": self.mask}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the mask back."""
        self.mask = state["mask"]
        self._factor = self.mask.to(torch.float32)
