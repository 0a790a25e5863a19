"""Metric and loss of a network on a part of the data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from nets.data import AnyData, Dataset, Stream, load
from nets.data.batches import forward, mapped
from nets.data.dataset import BATCH
from nets.data.stream import is_streamed
from nets.metric import ACCURACY, Metric, accuracy_of
from nets.tasks import Task
from nets.training import distributed


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
def evaluate(
    model: nn.Module, data: Any, part: str = "validation", *, task: str | Task | None = None
) -> Evaluation:
    """Evaluate a network in evaluation mode; its mode is restored.

    Parameters
    ----------
    model : Module
        The network.
    data : Dataset, Stream, or what else `nets.data.load` takes
        A pair (x, y), one torch data set or one loader is evaluated as a whole; labels of a pair are class
        indices.
    part : str
        Of all others the part: "train", "validation" or "test".
    task : str or Task, optional
        What the targets mean, of data that do not say.
    """
    data, part = _part_of(data, part, task)
    if not data.has(part):
        raise ValueError(f"the {part} part of {data.name} is empty")
    own: Task = data.task
    was_training = model.training
    model.eval()
    loss = torch.zeros((), dtype=torch.float64, device=data.device)
    count = torch.zeros((), dtype=torch.float64, device=data.device)
    sums: Tensor | None = None
    own.metric.reset()
    for inputs, target in data.part_batches(part):
        inputs, target = (mapped(distributed.share, value) for value in (inputs, target))
        output = forward(model, inputs)
        found = own.metric.sums(output, target)
        sums = found if sums is None else sums + found
        loss += own.total(output, target)
        count += own.count(target)
    assert sums is not None, "a part that is there yields batches"
    distributed.add_up(sums, loss, count)
    model.train(was_training)
    return Evaluation(own.metric.value(sums), (loss / count).item(), own.metric.described())


def _part_of(data: Any, part: str, task: str | Task | None) -> tuple[AnyData, str]:
    """Return data, and the part of them that is to be evaluated."""
    if isinstance(data, (Dataset, Stream)):
        return data, part
    if isinstance(data, (DataLoader, torch.utils.data.Dataset)):
        return Stream(data, data, data, task=task), "test"
    if isinstance(data, (tuple, list)) and len(data) == 2 and not is_streamed(data):
        x, y = (torch.as_tensor(value) for value in data)
        if len(x) != len(y) or not len(x):
            raise ValueError(f"x and y must hold the same samples, got {len(x)} and {len(y)}")
        batches = list(zip(torch.split(x, BATCH), torch.split(y, BATCH)))
        return Stream(batches, batches, task=task), "test"
    return load(data, task=task), part


def evaluate_if_there(model: nn.Module, data: AnyData, part: str = "validation") -> Evaluation:
    """Evaluate as `evaluate`; NaN where the data have no such part."""
    if data.has(part):
        return evaluate(model, data, part)
    return Evaluation(math.nan, math.nan, data.task.metric.described())
