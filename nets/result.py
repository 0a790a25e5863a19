"""The result of one play: one flat row. This module imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from nets.configuration import Play, Scalar
from nets.metric import ACCURACY, Metric, accuracy_of

#: What there are scores of.
SCORED = ("test", "validation", "dense_test", "dense_validation")


@dataclass(frozen=True)
class Result:
    """What one play gave; scores are those of the task's metric, shares in [0, 1] where it is one.

    Parameters
    ----------
    play : Play
        What was run.
    density : float
        Density of the ticket: kept / total.
    kept, total : int
        Weights kept, and maskable weights.
    test_score, validation_score : float
        Of the retrained ticket.
    dense_test_score, dense_validation_score : float
        Of the dense network with the same seed and training.
    search_epochs, search_seconds : float
        What the search for this ticket alone costs.
    retrain_epochs, retrain_seconds : float
        What retraining it cost.
    search_flops : float
        Floating point operations of the search: every pass forward and backward counted as dense, as it is
        computed, at three inferences a sample.
    inference_flops, dense_inference_flops : float
        Operations of one inference with the pruned weights left out, and of the dense network; a
        multiplication and an addition count as two (`nets.models.flops`). NaN in runs stored without them.
    report : mapping
        What the search reported, e.g. relaxed_accuracy, cut_accuracy, lam.
    layer_densities : mapping of str to float
        Share kept of each masked tensor.
    metrics : tuple of mapping
        Per epoch of the retraining.
    metric : Metric
        What the scores are: name, unit, direction.
    """

    play: Play
    density: float
    kept: int
    total: int
    test_score: float
    validation_score: float
    dense_test_score: float
    dense_validation_score: float
    search_epochs: float
    search_seconds: float
    retrain_epochs: float
    retrain_seconds: float
    search_flops: float = math.nan
    inference_flops: float = math.nan
    dense_inference_flops: float = math.nan
    report: Mapping[str, Scalar] = field(default_factory=dict)
    layer_densities: Mapping[str, float] = field(default_factory=dict)
    metrics: tuple[Mapping[str, float], ...] = ()
    metric: Metric = ACCURACY

    @property
    def test_accuracy(self) -> float:
        """`test_score`, of a task that is judged by the accuracy."""
        return accuracy_of(self.test_score, self.metric)

    @property
    def validation_accuracy(self) -> float:
        """`validation_score`, of a task that is judged by the accuracy."""
        return accuracy_of(self.validation_score, self.metric)

    @property
    def dense_test_accuracy(self) -> float:
        """`dense_test_score`, of a task that is judged by the accuracy."""
        return accuracy_of(self.dense_test_score, self.metric)

    @property
    def dense_validation_accuracy(self) -> float:
        """`dense_validation_score`, of a task that is judged by the accuracy."""
        return accuracy_of(self.dense_validation_score, self.metric)

    @property
    def gain(self) -> float:
        """By how much the ticket is better than the dense network on the test part."""
        return self.metric.gain(self.test_score, self.dense_test_score)

    @property
    def asked_density(self) -> float:
        """The density asked for, or that reached where it follows from the options (a given lam)."""
        return self.density if self.report.get("density_follows") else self.play.density

    def row(self) -> dict[str, Any]:
        """Return one flat row: the play's fields, the numbers, the search's report under "search_...".

        The density asked for is "asked_density" (see the property); scores are named by the metric, e.g.
        "test_accuracy", which is described by columns "metric..." unless it is the accuracy. Where data lie
        and per-epoch metrics are left out.
        """
        row = asdict(self.play)
        if not row["task"]:
            del row["task"]
        del row["data_dir"], row["verify"]
        row["asked_density"] = self.asked_density
        row["options"] = dict(self.play.options)
        for name in (
            "density",
            "kept",
            "total",
            "retrain_epochs",
            "retrain_seconds",
            "search_flops",
            "inference_flops",
            "dense_inference_flops",
        ):
            row[name] = getattr(self, name)
        row |= {self.metric.column(part): getattr(self, f"{part}_score") for part in SCORED}
        row |= self.metric.columns()
        row["search_epochs_spent"] = self.search_epochs
        row["search_seconds"] = self.search_seconds
        row |= {f"search_{name}": value for name, value in self.report.items()}
        row["layer_densities"] = dict(self.layer_densities)
        return row
