"""What a metric says of itself: name, unit, direction, tolerance. This module imports no torch."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number that says how good a network is on a part of the data.

    A metric that can be computed has `sums` and `value` besides: subclass it, or see `nets.tasks.Mean`. One
    that only describes numbers computed elsewhere (those of a stored run) needs neither.

    Parameters
    ----------
    name : str
        Lower case, words joined by hyphens; with underscores it names columns, e.g. "test_accuracy".
    unit : str
        What values are shown in; "%" for shares, which are shown in percent, their differences in points.
    higher_is_better : bool
        Its direction.
    tolerance : float
        Loss of the metric that a matching ticket may show, in the metric's own unit (for shares: of 1).
    relative : bool
        Whether `tolerance` is a share of the dense network's value instead.
    """

    name: str = "metric"
    unit: str = ""
    higher_is_better: bool = True
    tolerance: float = 0.0
    relative: bool = False

    def __post_init__(self) -> None:
        if not self.name.replace("-", "_").isidentifier():
            raise ValueError(
                f"the name of a metric is made of letters, digits and hyphens, got {self.name!r}"
            )
        if not 0 <= self.tolerance < math.inf:
            raise ValueError(f"tolerance must be 0 or more, got {self.tolerance!r}")

    def sums(self, output: Any, target: Any) -> Tensor:
        """Return what a batch adds to the metric: float64, shape (k,), to be added over batches.

        Parameters
        ----------
        output : any
            What the network returned, usually a tensor of shape (n, ...).
        target : any
            What it is compared with.
        """
        raise NotImplementedError(f"the metric {self.name} is only described, it cannot be computed")

    def value(self, sums: Tensor) -> float:
        """Return the metric from the sums over all batches."""
        raise NotImplementedError(f"the metric {self.name} is only described, it cannot be computed")

    def reset(self) -> None:
        """Forget batches of an evaluation that was broken off; for metrics that add up by themselves."""

    def described(self) -> Metric:
        """Return the description alone."""
        return Metric(**{f.name: getattr(self, f.name) for f in dataclasses.fields(Metric)})

    @property
    def scale(self) -> float:
        """Factor from a value to what is shown."""
        return 100.0 if self.unit == "%" else 1.0

    @property
    def heading(self) -> str:
        """Name and unit, as over a column or along an axis: "accuracy (%)"."""
        words = self.name.replace("-", " ")
        return f"{words} ({self.unit})" if self.unit else words

    def number(self, value: float) -> str:
        """Return the value as a number of its unit, without it: "97.25"."""
        return f"{100 * value:.2f}" if self.unit == "%" else f"{value:.4g}"

    def text(self, value: float) -> str:
        """Return the value with its unit: "97.25%"."""
        return f"{self.number(value)}{self._after}"

    def gain(self, value: float, reference: float) -> float:
        """Return by how much `value` is better than `reference`, negative where it is worse."""
        return value - reference if self.higher_is_better else reference - value

    def gain_number(self, gain: float) -> str:
        """Return a gain as a signed number of the unit, without it: "+0.25"."""
        return f"{100 * gain:+.2f}" if self.unit == "%" else f"{gain:+.4g}"

    def gain_text(self, gain: float) -> str:
        """Return a gain with its unit: "+0.25 points"."""
        return f"{self.gain_number(gain)}{' points' if self.unit == '%' else self._after}"

    @property
    def _after(self) -> str:
        return self.unit if self.unit == "%" else f" {self.unit}" if self.unit else ""

    def tolerated(self, reference: float) -> float:
        """Return the loss of the metric that is tolerated against a dense network of value `reference`."""
        return self.tolerance * abs(reference) if self.relative else self.tolerance

    @property
    def tolerance_text(self) -> str:
        """The tolerance in words: "0.5 points", "1% of dense"."""
        if self.relative:
            return f"{100 * self.tolerance:g}% of the dense value"
        points = 100 * self.tolerance
        return (
            f"{points:g} point{'s' * (points > 1)}"
            if self.unit == "%"
            else f"{self.tolerance:g}{self._after}"
        )

    def column(self, part: str) -> str:
        """Return the name of the column that holds it for a part of the data: "test_accuracy"."""
        return f"{part}_{self.name.replace('-', '_')}"

    def columns(self) -> dict[str, Any]:
        """Return the columns by which a row describes it; none for accuracy, which is the default."""
        own = self.described()
        if own == ACCURACY:
            return {}
        settings = {f.name: getattr(own, f.name) for f in dataclasses.fields(Metric) if f.name != "name"}
        return {"metric": own.name} | {f"metric_{name}": value for name, value in settings.items()}

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Metric:
        """Return the metric that a row (`Result.row`, or a stored one) describes."""
        if "metric" not in row:
            return ACCURACY
        settings = {f.name: row.get(f"metric_{f.name}", f.default) for f in dataclasses.fields(cls)}
        if not isinstance(settings["higher_is_better"], bool):
            raise ValueError("higher_is_better must be true or false")
        return Metric(**{**settings, "name": row["metric"]})


#: Within half a point of the dense accuracy is "matching" in the literature (Ma et al. 2021, CIFAR-10).
ACCURACY = Metric(name="accuracy", unit="%", tolerance=0.005)


def accuracy_of(score: float, metric: Metric) -> float:
    """Return a score that is an accuracy.

    Raises
    ------
    AttributeError
        If it is that of another metric.
    """
    if metric.name != ACCURACY.name:
        raise AttributeError(f"this task is judged by its {metric.name}, not by the accuracy: read the score")
    return score


class Judged:
    """What has scores of a metric: the accuracies among them by name."""

    test_score: float
    validation_score: float
    metric: Metric

    @property
    def test_accuracy(self) -> float:
        """`test_score`, of a task that is judged by the accuracy."""
        return accuracy_of(self.test_score, self.metric)

    @property
    def validation_accuracy(self) -> float:
        """`validation_score`, of a task that is judged by the accuracy."""
        return accuracy_of(self.validation_score, self.metric)
