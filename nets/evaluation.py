"""Accuracy and loss of a network on a part of the data."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from nets import distributed
from nets.data import Dataset

#: Samples in one forward pass; nothing is shuffled, so the result does not depend on it but for rounding.
BATCH = 2500


@dataclass(frozen=True)
class Evaluation:
    """What a network achieves.

    Parameters
    ----------
    accuracy : float
        Share of samples classified correctly, in [0, 1].
    loss : float
        Mean cross-entropy.
    """

    accuracy: float
    loss: float


@torch.no_grad()
def evaluate(model: nn.Module, data: Dataset, part: str = "validation") -> Evaluation:
    """Evaluate a network on "train", "validation" or "test", in evaluation mode; its mode is restored."""
    x, y = data.part(part)
    if len(y) == 0:
        raise ValueError(f"the {part} part of {data.name} is empty")
    was_training = model.training
    model.eval()
    right = torch.zeros((), dtype=torch.int64, device=x.device)
    loss = torch.zeros((), dtype=torch.float64, device=x.device)
    whole = len(y)
    x, y = distributed.share(x), distributed.share(y)
    for a, b in zip(torch.split(x, BATCH), torch.split(y, BATCH)):
        output = model(data.normalise(a))
        right += (output.argmax(1) == b).sum()
        loss += functional.cross_entropy(output, b, reduction="sum")
    distributed.add_up(right, loss)
    model.train(was_training)
    return Evaluation(right.item() / whole, loss.item() / whole)
