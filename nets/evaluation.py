"""Metric and loss of a network on a part of the data."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nets import distributed
from nets.data import Dataset
from nets.metric import ACCURACY, Metric, accuracy_of

#: Samples in one forward pass; nothing is shuffled, so the result does not depend on it but for rounding.
BATCH = 2500


@dataclass(frozen=True)
class Evaluation:
    """What a network achieves.

    Parameters
    ----------
    score : float
        The task's metric.
    loss : float
        The task's loss, its mean.
    metric : Metric
        What `score` is.
    """

    score: float
    loss: float
    metric: Metric = ACCURACY

    def column(self, part: str) -> dict[str, float]:
        """Return the score under the name that columns have: {"search_accuracy": 0.97}."""
        return {self.metric.column(part): self.score}

    @property
    def error(self) -> float:
        """What is the smaller the better: 1 - score of shares, else the score or its negative."""
        if not self.metric.higher_is_better:
            return self.score
        return 1.0 - self.score if self.metric.unit == "%" else -self.score

    @property
    def accuracy(self) -> float:
        """Share of samples classified correctly, in [0, 1]; of tasks that are judged by it."""
        return accuracy_of(self.score, self.metric)


@torch.no_grad()
def evaluate(model: nn.Module, data: Dataset, part: str = "validation") -> Evaluation:
    """Evaluate a network on "train", "validation" or "test", in evaluation mode; its mode is restored."""
    x, y = data.part(part)
    if len(y) == 0:
        raise ValueError(f"the {part} part of {data.name} is empty")
    task = data.task
    was_training = model.training
    model.eval()
    loss = torch.zeros((), dtype=torch.float64, device=x.device)
    count = torch.zeros((), dtype=torch.float64, device=x.device)
    sums: Tensor | None = None
    task.metric.reset()
    x, y = distributed.share(x), distributed.share(y)
    for a, b in zip(torch.split(x, BATCH), torch.split(y, BATCH)):
        output = model(data.normalise(a))
        found = task.metric.sums(output, b)
        sums = found if sums is None else sums + found
        loss += task.total(output, b)
        count += task.count(b)
    assert sums is not None
    distributed.add_up(sums, loss, count)
    model.train(was_training)
    return Evaluation(task.metric.value(sums), (loss / count).item(), task.metric.described())
