"""What a network is trained and judged by: a loss, and a metric that knows its unit and its direction."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor
from torch.nn import functional

from concave_sparsity.registry import is_import_path, parse_call
from nets.metric import Metric
from nets.registry import tasks
from nets.tasks.losses import IGNORED, CrossEntropy, MultiLabel, NextToken, Regression, prediction, samples
from nets.tasks.metrics import METRICS, Accuracy, MeanIoU, Perplexity, named_metric

#: What the targets of a task are.
TARGETS = ("classes", "integers", "floats", "any")

#: Metrics of logits and classes.
CLASS_METRICS = ("accuracy", "mean-iou", "perplexity")


@dataclass(frozen=True)
class Task:
    """What a network is for: the loss it is trained by and the metric it is judged by.

    Parameters
    ----------
    loss : callable
        Takes (output of the network, target) and returns the mean loss of the batch, a tensor of shape ().
    metric : Metric or object
        A `nets.Metric`, or an object with `update(output, target)`, `compute()`, `reset()` and
        `higher_is_better`, such as a metric of torchmetrics.
    name : str
        What it is called in results.
    targets : str
        What the targets in memory are: "classes" (labels of any kind, numbered 0 .. k - 1), "integers"
        (int64, as they are), "floats" (float32), or "any": integers or floats by what they are.
    logits : bool
        Whether outputs are logits, which a temperature may divide (GraSP, distillation).
    target : str
        The entry of a batch that is the target, where batches are dicts; "": the first of "labels", "label",
        "target", "targets", "y" that is there.
    tolerance : float, optional
        Loss of the metric that a matching ticket may show; default: the metric's own.

    Notes
    -----
    A loss may have methods besides: `total(output, target)`, its sum instead of the mean; `count(target)`,
    what the mean divides by (default: the number of samples); `divergence(output, reference)`, how far the
    output is from that of another network (default: half the mean squared difference).
    """

    loss: Callable[[Any, Any], Tensor]
    metric: Metric
    name: str = ""
    targets: str = "any"
    logits: bool = False
    target: str = ""
    tolerance: float | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not callable(self.loss):
            raise TypeError(f"loss must be a callable of (output, target), got {type(self.loss).__name__}")
        if self.targets not in TARGETS:
            raise ValueError(f"targets must be one of {', '.join(TARGETS)}, got {self.targets!r}")
        metric = named_metric(self.metric)
        if self.tolerance is not None:
            metric = replace(metric, tolerance=self.tolerance, relative=False)
        object.__setattr__(self, "metric", metric)
        if not self.name:
            name = getattr(self.loss, "__name__", type(self.loss).__name__)
            object.__setattr__(self, "name", name)

    def count(self, target: Any) -> Any:
        """Return what the mean of a batch divides by: a number or a tensor of shape ()."""
        own = getattr(self.loss, "count", None)
        return own(target) if own is not None else samples(target)

    def total(self, output: Any, target: Any) -> Tensor:
        """Return the sum of the loss over a batch, shape ()."""
        own = getattr(self.loss, "total", None)
        if own is None:
            whole: Tensor = self.loss(output, target) * self.count(target)
            return whole
        total: Tensor = own(output, target)
        return total

    def divergence(self, output: Any, reference: Any) -> Tensor:
        """Return how far the output is from that of another network, its mean over a batch, shape ().

        The reverse Kullback-Leibler divergence where outputs are logits of classes.
        """
        own = getattr(self.loss, "divergence", None)
        if own is not None:
            return own(output, reference)  # type: ignore[no-any-return]
        return functional.mse_loss(prediction(output), prediction(reference)) / 2

    def taught(self) -> Task:
        """Return the task of coming close to another network's outputs, which are then the targets."""
        return replace(self, loss=self.divergence, name=f"{self.name}, taught")

    def cooled(self, output: Any, temperature: float) -> Any:
        """Return logits divided by a temperature; other outputs as they are."""
        return prediction(output) / temperature if self.logits else output

    def smoothed(self, label_smoothing: float) -> Task:
        """Return the task with smoothed labels.

        Raises
        ------
        ValueError
            If its loss has none.
        """
        if not label_smoothing or getattr(self.loss, "label_smoothing", None) == label_smoothing:
            return self
        if not isinstance(self.loss, CrossEntropy) or self.loss.label_smoothing:
            raise ValueError(
                f"label_smoothing={label_smoothing:g} does not go with the task {self.name}: leave it out, "
                "or "
                "put it into the loss"
            )
        return replace(self, loss=replace(self.loss, label_smoothing=label_smoothing))

    def fitted(self, targets: Tensor) -> Task:
        """Return the task with what it takes from the training part's targets: balanced class weights."""
        if isinstance(self.loss, CrossEntropy) and self.loss.weights == "balanced":
            return replace(self, loss=self.loss.balanced(targets))
        return self


def _refuse_metric(task: str, metric: Any, fit: tuple[str, ...]) -> None:
    """Refuse a metric known by name that measures something else: it would give numbers all the same."""
    if isinstance(metric, str) and metric in METRICS and metric not in fit:
        raise ValueError(
            f"the task {task} is judged by {', '.join(fit)} or a metric of yours, not by {metric}"
        )


def classification(
    weights: Any = (), label_smoothing: float = 0.0, ignore_index: int = IGNORED, metric: Any = "accuracy"
) -> Task:
    """Return the task of one class a sample: cross-entropy, judged by the accuracy.

    Parameters
    ----------
    weights : sequence of float or "balanced"
        See `CrossEntropy`.
    label_smoothing : float
        See `CrossEntropy`.
    ignore_index : int
        Targets that do not count.
    metric : Metric or str
        What it is judged by.
    """
    _refuse_metric("classification", metric, CLASS_METRICS)
    loss = CrossEntropy(weights, label_smoothing, ignore_index)
    own = Accuracy(loss=CrossEntropy(ignore_index=ignore_index)) if metric == "accuracy" else metric
    return Task(loss, own, "classification", "classes", logits=True)


def regression(loss: str = "mse", delta: float = 1.0, metric: Any = "rmse") -> Task:
    """Return the task of numbers: squared error or Huber loss, judged by RMSE, R2 ("r2") or MAE ("mae")."""
    _refuse_metric("regression", metric, ("rmse", "r2", "mae"))
    return Task(Regression(loss, delta), metric, "regression", "floats")


def multi_label(weights: Any = (), metric: Any = "f1") -> Task:
    """Return the task of several labels a sample: binary cross-entropy, judged by the micro-averaged F1."""
    _refuse_metric("multi-label", metric, ("f1",))
    return Task(MultiLabel(tuple(map(float, weights))), metric, "multi-label", "floats", logits=True)


def per_pixel(
    ignore_index: int = IGNORED, weights: Any = (), label_smoothing: float = 0.0, metric: Any = "mean-iou"
) -> Task:
    """Return the task of one class a pixel (segmentation): cross-entropy, judged by the mean IoU."""
    _refuse_metric("per-pixel", metric, CLASS_METRICS)
    loss = CrossEntropy(weights, label_smoothing, ignore_index)
    named = {"mean-iou": MeanIoU, "accuracy": Accuracy}
    own = named[metric](loss=CrossEntropy(ignore_index=ignore_index)) if metric in named else metric
    return Task(loss, own, "per-pixel", "integers", logits=True)


def language_model(
    shift: bool = True, ignore_index: int = IGNORED, label_smoothing: float = 0.0, metric: Any = "perplexity"
) -> Task:
    """Return the task of the next token: cross-entropy, judged by the perplexity; see `NextToken`."""
    _refuse_metric("language-model", metric, CLASS_METRICS)
    loss = NextToken((), label_smoothing, ignore_index, shift)
    named = {"perplexity": Perplexity, "accuracy": Accuracy}
    own = named[metric](loss=replace(loss, label_smoothing=0.0)) if metric in named else metric
    return Task(loss, own, "language-model", "integers", logits=True)


TASKS: dict[str, Callable[..., Task]] = {
    "classification": classification,
    "regression": regression,
    "multi-label": multi_label,
    "per-pixel": per_pixel,
    "language-model": language_model,
}

CLASSIFICATION = classification()


def named_task(spec: str | Task) -> Task:
    """Return the task that a text names; a task is returned as it is.

    Parameters
    ----------
    spec : str or Task
        A name, settings in brackets if need be: "regression", "regression(huber, metric=r2)",
        "classification(weights=balanced)", "per-pixel(ignore_index=255)"; numbers are joined by colons.
        Or "package.module:object" of a task or of a function that returns one.

    Raises
    ------
    ValueError
        If the name is unknown or a setting is not right.
    """
    if isinstance(spec, Task):
        return spec
    if not isinstance(spec, str):
        raise TypeError(f"task must be a name or a nets.Task, got {type(spec).__name__}")
    values: list[str] = []
    named: dict[str, str] = {}
    name = spec
    if not is_import_path(spec):
        name, values, named = parse_call(spec, "a task", "regression or regression(huber)")
    made = tasks.find(name)
    if callable(made) and not isinstance(made, Task):
        try:
            made = made(*map(_setting, values), **{key: _setting(value) for key, value in named.items()})
        except TypeError as error:
            known = ", ".join(inspect.signature(made).parameters) or "nothing"
            raise ValueError(f"the task {name} takes {known}; got {spec!r} ({error})") from None
    if not isinstance(made, Task):
        raise ValueError(f"{spec!r} is a {type(made).__name__}, not a nets.Task")
    return made


def _setting(text: str) -> Any:
    """Return the number, truth value, list of numbers or word that a text is."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if ":" in text:
        return tuple(float(part) for part in text.split(":"))
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
