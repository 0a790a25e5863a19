"""Metric and loss of a network on a part of the data."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nets import distributed
from nets.data import AnyData
from nets.data.batches import forward, mapped
from nets.metric import ACCURACY, Metric, accuracy_of


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
def evaluate(model: nn.Module, data: AnyData, part: str = "validation") -> Evaluation:
    """Evaluate a network on "train", "validation" or "test", in evaluation mode; its mode is restored."""
    if not data.has(part):
        raise ValueError(f"the {part} part of {data.name} is empty")
    task = data.task
    was_training = model.training
    model.eval()
    loss = torch.zeros((), dtype=torch.float64, device=data.device)
    count = torch.zeros((), dtype=torch.float64, device=data.device)
    sums: Tensor | None = None
    task.metric.reset()
    for inputs, target in data.part_batches(part):
        inputs, target = (mapped(distributed.share, value) for value in (inputs, target))
        output = forward(model, inputs)
        found = task.metric.sums(output, target)
        sums = found if sums is None else sums + found
        loss += task.total(output, target)
        count += task.count(target)
    assert sums is not None, "a part that is there yields batches"
    distributed.add_up(sums, loss, count)
    model.train(was_training)
    return Evaluation(task.metric.value(sums), (loss / count).item(), task.metric.described())


def evaluate_if_there(model: nn.Module, data: AnyData, part: str = "validation") -> Evaluation:
    """Evaluate as `evaluate`; NaN where the data have no such part."""
    if data.has(part):
        return evaluate(model, data, part)
    return Evaluation(math.nan, math.nan, data.task.metric.described())
