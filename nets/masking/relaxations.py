"""What stands for a binary mask while it is trained: an entry clipped to [0, 1], or a sigmoid of a score."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor


class Relaxation(Protocol):
    """A mask in [0, 1] as a function of scores that are trained."""

    #: Whether the scores are the mask itself.
    direct: bool

    #: How far scores must move, in units of the slope in the mask, for a mask entry to cross the box.
    reach: float

    def scores(self, mask: Tensor) -> Tensor:
        """Return new scores for a mask at the start of a training, shape (n,)."""

    def mask(self, scores: Tensor, share: float, out: Tensor) -> Tensor:
        """Return the mask when `share` of the training is done, in `out` or in the scores themselves."""

    def pull_back(self, slope: Tensor, mask: Tensor, share: float) -> None:
        """Turn the slope in the mask into that in the scores, in place."""

    def project(self, scores: Tensor) -> None:
        """Move the scores to the nearest allowed ones, in place."""


class Clipped:
    """The mask itself is trained and projected on [0, 1] (Fracastoro et al. 2024)."""

    direct = True
    reach = 1.0

    def scores(self, mask: Tensor) -> Tensor:
        """Return a copy of the mask."""
        return mask.clone()

    def mask(self, scores: Tensor, share: float, out: Tensor) -> Tensor:
        """Return the scores."""
        return scores

    def pull_back(self, slope: Tensor, mask: Tensor, share: float) -> None:
        """Leave the slope as it is."""

    def project(self, scores: Tensor) -> None:
        """Clip to [0, 1]."""
        scores.clamp_(0.0, 1.0)


class Sigmoid:
    """m = sigmoid(s / T), the re-parametrisation: no projection is needed, and no entry is ever exactly 0.

    Parameters
    ----------
    temperature : float
        T at the end of the training; it falls from 1 exponentially (Savarese, Silva, Maire 2020).
    """

    direct = False
    reach = 20.0  # from one side of the box to the other in s, over a typical dm/ds

    #: Largest mask entry that a training starts from: nearer to 1 the sigmoid is too flat to learn.
    NEAREST = 0.9

    def __init__(self, temperature: float = 1.0) -> None:
        if not 0 < temperature < math.inf:
            raise ValueError(f"temperature must be positive, got {temperature!r}")
        self.temperature = temperature

    def scores(self, mask: Tensor) -> Tensor:
        """Return the scores at T = 1 of a mask, moved into [0.1, 0.9]."""
        return torch.logit(mask.clamp(1.0 - self.NEAREST, self.NEAREST))

    def mask(self, scores: Tensor, share: float, out: Tensor) -> Tensor:
        """Return the sigmoid in `out`."""
        return torch.mul(scores, self.temperature**-share, out=out).sigmoid_()

    def pull_back(self, slope: Tensor, mask: Tensor, share: float) -> None:
        """Multiply by dm/ds = m (1 - m) / T."""
        slope.mul_(mask).mul_(1.0 - mask)
        if self.temperature != 1.0:
            slope.mul_(self.temperature**-share)

    def project(self, scores: Tensor) -> None:
        """Leave the scores as they are."""
