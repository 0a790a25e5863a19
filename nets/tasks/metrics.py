"""The metrics known by name, and those made of a function or of a metric of torchmetrics."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nets.metric import ACCURACY, Metric
from nets.tasks.losses import CrossEntropy, NextToken, fit, samples


def _sums(*values: Tensor | float, like: Tensor) -> Tensor:
    found = [torch.as_tensor(v, device=like.device).to(torch.float64).reshape(-1) for v in values]
    return torch.cat(found)


@dataclass(frozen=True, kw_only=True)
class Accuracy(Metric):
    """Share of the targets whose class has the largest logit.

    Parameters
    ----------
    loss : CrossEntropy
        It says how logits and targets go together, and which targets do not count.
    """

    name: str = ACCURACY.name
    unit: str = ACCURACY.unit
    tolerance: float = ACCURACY.tolerance
    loss: CrossEntropy = field(default_factory=CrossEntropy)

    def sums(self, output: Any, target: Tensor) -> Tensor:
        """Return how many are right and how many there are."""
        logits, target = self.loss.aligned(output, target)
        valid = target != self.loss.ignore_index
        right = (logits.argmax(1) == target) & valid
        return _sums(right.sum(), valid.sum(), like=target)

    def value(self, sums: Tensor) -> float:
        """Return the share."""
        right, count = sums.tolist()
        return right / count if count else math.nan


@dataclass(frozen=True, kw_only=True)
class RootMeanSquaredError(Metric):
    """Root of the mean squared error over all entries; in the unit of the targets."""

    name: str = "rmse"
    higher_is_better: bool = False
    tolerance: float = 0.01
    relative: bool = True

    def sums(self, output: Any, target: Tensor) -> Tensor:
        """Return the sum of the squared errors and the number of entries."""
        fitted, target = fit(output, target)
        return _sums((fitted.double() - target.double()).square().sum(), target.numel(), like=target)

    def value(self, sums: Tensor) -> float:
        """Return the root of the mean."""
        total, count = sums.tolist()
        return math.sqrt(total / count) if count else math.nan


@dataclass(frozen=True, kw_only=True)
class MeanAbsoluteError(RootMeanSquaredError):
    """Mean absolute error over all entries; in the unit of the targets."""

    name: str = "mae"

    def sums(self, output: Any, target: Tensor) -> Tensor:
        """Return the sum of the absolute errors and the number of entries."""
        fitted, target = fit(output, target)
        return _sums((fitted.double() - target.double()).abs().sum(), target.numel(), like=target)

    def value(self, sums: Tensor) -> float:
        """Return the mean."""
        total, count = sums.tolist()
        return total / count if count else math.nan


@dataclass(frozen=True, kw_only=True)
class R2(Metric):
    """Coefficient of determination 1 - sum (y - f)^2 / sum (y - mean y)^2, mean over the outputs."""

    name: str = "r2"
    tolerance: float = 0.005

    def sums(self, output: Any, target: Tensor) -> Tensor:
        """Return the count, then by output the sums of squared errors, of y and of y^2."""
        fitted, target = fit(output, target)
        y, f = (t.double().reshape(len(target), -1) for t in (target, fitted))
        return _sums(len(y), (y - f).square().sum(0), y.sum(0), y.square().sum(0), like=target)

    def value(self, sums: Tensor) -> float:
        """Return the mean over the outputs; NaN where a target is constant."""
        count, (errors, total, squares) = sums[0], sums[1:].reshape(3, -1)
        spread = squares - total.square() / count
        return float((1 - errors / torch.where(spread > 0, spread, math.nan)).mean())


@dataclass(frozen=True, kw_only=True)
class F1(Metric):
    """Micro-averaged F1 of logits above 0 against targets 0 or 1, shape (n, k) both."""

    name: str = "f1"
    unit: str = "%"
    tolerance: float = 0.005

    def sums(self, output: Any, target: Tensor) -> Tensor:
        """Return twice the true positives, and all positives, predicted and true."""
        logits, target = fit(output, target)
        found, true = logits > 0, target > 0.5
        return _sums(2 * (found & true).sum(), found.sum() + true.sum(), like=target)

    def value(self, sums: Tensor) -> float:
        """Return 2 TP / (predicted + true), 1 where there is nothing to find and nothing was found."""
        both, positives = sums.tolist()
        return both / positives if positives else 1.0


@dataclass(frozen=True, kw_only=True)
class MeanIoU(Metric):
    """Mean over the classes of intersection over union.

    Parameters
    ----------
    loss : CrossEntropy
        See `Accuracy`.
    """

    name: str = "mean-iou"
    unit: str = "%"
    tolerance: float = 0.005
    loss: CrossEntropy = field(default_factory=CrossEntropy)

    def sums(self, output: Any, target: Tensor) -> Tensor:
        """Return intersections and unions by class, behind one another."""
        logits, target = self.loss.aligned(output, target)
        k = logits.shape[1]
        valid = target != self.loss.ignore_index
        true, found = target[valid], logits.argmax(1)[valid]
        table = torch.bincount(true * k + found, minlength=k * k).reshape(k, k).double()
        both = table.diagonal()
        return _sums(both, table.sum(0) + table.sum(1) - both, like=target)

    def value(self, sums: Tensor) -> float:
        """Return the mean over the classes that occur."""
        both, either = sums.reshape(2, -1)
        there = either > 0
        return float((both[there] / either[there]).mean()) if bool(there.any()) else math.nan


@dataclass(frozen=True, kw_only=True)
class Perplexity(Metric):
    """Exponential of the mean cross-entropy of the next token."""

    name: str = "perplexity"
    higher_is_better: bool = False
    tolerance: float = 0.01
    relative: bool = True
    loss: NextToken = field(default_factory=NextToken)

    def sums(self, output: Any, target: Tensor) -> Tensor:
        """Return the sum of the cross-entropy and the number of tokens."""
        logits, tokens = self.loss.aligned(output, target)
        total = functional.cross_entropy(
            logits.float(), tokens, ignore_index=self.loss.ignore_index, reduction="sum"
        )
        return _sums(total, self.loss.count(target), like=target)

    def value(self, sums: Tensor) -> float:
        """Return the perplexity."""
        total, count = sums.tolist()
        return math.exp(min(total / count, 700.0)) if count else math.nan


@dataclass(frozen=True, kw_only=True)
class Mean(Metric):
    """The mean over samples of any function of a batch.

    Parameters
    ----------
    function : callable
        Takes (output, target) and returns the mean over the batch, or one number a sample.
    """

    function: Callable[[Any, Any], Any]

    def sums(self, output: Any, target: Any) -> Tensor:
        """Return the sum over the samples of the batch and their number."""
        found = torch.as_tensor(self.function(output, target)).detach()
        n = samples(target)
        if found.dim() and found.shape != (n,):
            raise ValueError(
                f"the metric {self.name} must return one number, or one a sample, got {tuple(found.shape)}"
            )
        return _sums(found.double().sum() if found.dim() else found.double() * n, n, like=found)

    def value(self, sums: Tensor) -> float:
        """Return the mean."""
        total, count = sums.tolist()
        return total / count if count else math.nan


@dataclass(frozen=True, kw_only=True)
class Accumulating(Metric):
    """A metric that adds up by itself, also over processes: one of torchmetrics, or alike.

    Parameters
    ----------
    source : object
        With `update(output, target)`, `compute()` and `reset()`.
    """

    source: Any

    def sums(self, output: Any, target: Any) -> Tensor:
        """Let the object see the batch."""
        if isinstance(self.source, nn.Module) and isinstance(target, Tensor):
            self.source.to(target.device)
        self.source.update(output, target)
        return torch.zeros(0, dtype=torch.float64)

    def value(self, sums: Tensor) -> float:
        """Return what the object computes from all batches, and let it forget them."""
        found = float(self.source.compute())
        self.source.reset()
        return found

    def reset(self) -> None:
        """Let the object forget."""
        self.source.reset()


METRICS: dict[str, Callable[[], Metric]] = {
    "accuracy": Accuracy,
    "rmse": RootMeanSquaredError,
    "mae": MeanAbsoluteError,
    "r2": R2,
    "f1": F1,
    "mean-iou": MeanIoU,
    "perplexity": Perplexity,
}


def named_metric(metric: Any) -> Metric:
    """Return the metric that a name or an object of `update`, `compute` and `reset` stands for.

    Raises
    ------
    ValueError
        If the name is unknown, or the object does not say whether higher is better.
    TypeError
        If it is none of these.
    """
    if isinstance(metric, Metric):
        return metric
    if isinstance(metric, str):
        if metric not in METRICS:
            raise ValueError(f"unknown metric {metric!r}; the metrics are {', '.join(METRICS)}")
        return METRICS[metric]()
    if all(callable(getattr(metric, name, None)) for name in ("update", "compute", "reset")):
        higher = getattr(metric, "higher_is_better", None)
        if higher is None:
            raise ValueError(
                f"{type(metric).__name__} does not say whether higher is better: set its higher_is_better"
            )
        name = "".join(c if c.isalnum() else "-" for c in type(metric).__name__).strip("-").lower()
        return Accumulating(source=metric, name=name, higher_is_better=bool(higher))
    raise TypeError(
        "metric must be a nets.Metric, its name, or an object with update, compute and reset; a function of "
        f"(output, target) goes into nets.tasks.Mean, which also asks for its direction; got {metric!r}"
    )
