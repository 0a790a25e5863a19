"""Training under a fixed or changing binary mask: pruned weights are exactly zero at every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from nets.masking.course import Course
from nets.training import distributed
from nets.training.loop import Hook


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

    lam = 0.0

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask
        self._factor = mask.to(torch.float32)
        self.trace: Mapping[str, Sequence[float]] = {}

    def start(self, loop: Course) -> None:
        """Zero the weights outside the mask."""
        self.change(loop, self.mask)

    def change(self, loop: Course, mask: Tensor) -> None:
        """Replace the mask: weights outside it become zero and the optimiser forgets them."""
        weights = loop.flat.weights
        self.mask = mask.to(weights.device)
        distributed.agree(self.mask)
        self._factor = self.mask.to(weights.dtype)
        loop.flat.zero(~self.mask)

    def after_backward(self, loop: Course) -> None:
        """Zero the gradient outside the mask."""
        loop.flat.scale_gradients(self._factor)

    def final(self, loop: Course) -> Tensor:
        """Return the mask, in numbers."""
        return self._factor

    def show(self, loop: Course, mask: Tensor) -> None:
        """Do nothing: the network sees the weights that are trained."""

    def cut(self, loop: Course, count: int) -> Tensor:
        """Return the mask."""
        return self.mask

    def state_dict(self) -> dict[str, Any]:
        """Return the mask."""
        return {"mask": self.mask}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the mask back."""
        self.mask = state["mask"]
        self._factor = self.mask.to(torch.float32)
