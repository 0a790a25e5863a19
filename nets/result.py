"""The result of one play: a flat row, what its columns hold, the series it belongs to; no torch here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from nets.configuration import Play, Scalar
from nets.metric import ACCURACY, Judged, Metric, accuracy_of

#: What there are scores of.
SCORED = ("test", "validation", "dense_test", "dense_validation")


@dataclass(frozen=True)
class Result(Judged):
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


#: One row a finished run, as `nets.results` and the table "results" of `nets.query` have it.
RESULTS: dict[str, str] = {
    "run": "address of the run: the name of its folder",
    "dense": "address of the dense network that it is compared with",
    "data, model, method, penalty, task": "what was run, as in `nets.Play`",
    "seed, data_seed": "seed of weights, batches and search; seed of what is held out",
    "control": "sanity check that the ticket was put to, empty for the ticket itself",
    "asked_density": "share of the maskable weights that was asked for",
    "density": "share that the ticket keeps: kept / total",
    "kept, total": "maskable weights kept, and all of them",
    "test_accuracy": "of the retrained ticket, a share; test_NAME for a task with another metric",
    "validation_accuracy": "the same on the validation part",
    "dense_test_accuracy, dense_validation_accuracy": "of the dense network of the same seed",
    "metric, metric_unit, metric_higher_is_better, metric_tolerance, metric_relative": (
        "what the scores are, where they are no accuracy"
    ),
    "search_epochs_spent": "epochs of training that the search for this ticket alone takes",
    "search_seconds, retrain_seconds": "time of the search and of the retraining, in seconds",
    "retrain_epochs": "epochs of the retraining",
    "search_flops": "operations of the search, counted as dense",
    "inference_flops, dense_inference_flops": "operations of one inference, pruned weights left out",
    "search_cut_loss": "loss of the metric when the relaxed mask is cut (validation, a share)",
    "search_relaxed_density": "mean of the relaxed mask before the cut",
    "search_lam": "lam at the end of the search",
    "search_...": "what else the method reports of its search",
    "layer_densities": "share kept of each masked tensor, by its name (JSON)",
    "options": "options of the method that were set (JSON)",
    "granularity, rewind, include, exclude, search_epochs": "settings of the mask, as in `nets.Play`",
    "epochs, batch_size, optimiser, lr, momentum, nesterov, weight_decay, schedule, warm_up, milestones, "
    "lr_factor, label_smoothing, precision, accumulate": "settings of one training, as in `nets.Training`",
    "device, channels_last, compile, graphs": "where and how it was computed; no part of what the run is",
}

#: One row an epoch of every training.
METRICS: dict[str, str] = {
    "run": "address of the run",
    "training": "search-0, search-1, ... (trainings of the search), retrain, or dense",
    "epoch": "epochs done",
    "train_loss": "mean loss of the epoch's batches",
    "validation_loss, validation_accuracy": "on the validation part; the metric's name for other tasks",
}


#: Columns that every row has: text, and numbers.
TEXTS = ("data", "model", "method", "penalty", "run")
NUMBERS = ("seed", "asked_density", "density", "kept", "total", "search_epochs_spent")

#: Columns that hold text or a number where a row has them; a number that is not known is None.
OTHER_TEXTS = (
    *("control", "dense", "device", "granularity", "optimiser", "precision", "schedule", "task"),
    *("metric", "metric_unit"),
)
OTHER_NUMBERS = (
    "metric_tolerance",
    "search_seconds",
    "search_flops",
    "search_cut_loss",
    "retrain_epochs",
    "retrain_seconds",
    "inference_flops",
    "dense_inference_flops",
)

#: Columns of scores, where the metric is the accuracy.
SCORES = tuple(ACCURACY.column(part) for part in SCORED)

#: Columns that hold an object of plain values.
OBJECTS = ("options", "layer_densities")


def check_row(row: Mapping[str, Any]) -> None:
    """Refuse what lacks a text or a number that every row has.

    Raises
    ------
    ValueError
        Naming the first one.
    """
    for name in TEXTS:
        if not isinstance(row.get(name), str):
            raise ValueError(f"there is no text {name!r}")
    for name in (*NUMBERS, Metric.of_row(row).column("test")):
        if not is_number(row.get(name)):
            raise ValueError(f"there is no number {name!r}")


def is_number(value: Any) -> bool:
    """Tell whether a value is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True)
class Series:
    """What one line of a comparison stands for; its fields are those of `Play`, the penalty "" if unused."""

    method: str
    penalty: str
    options: tuple[tuple[str, Scalar], ...]
    granularity: str

    @classmethod
    def of(cls, play: Play) -> Series:
        """Return the series that a play belongs to."""
        from nets.methods import method

        penalty = play.penalty if "penalty" in method(play.method).needs else ""
        return cls(play.method, penalty, play.options, play.granularity)

    @property
    def label(self) -> str:
        """What it is called: method, penalty, granularity and options, without those that are usual."""
        granularity = "" if self.granularity == "weight" else self.granularity
        options = ", ".join(f"{name}={value}" for name, value in self.options)
        return " ".join(part for part in (self.method, self.penalty, granularity, options) if part)


def row_label(row: Mapping[str, Any]) -> str:
    """Return what a row of `Comparison.table` is called: the label of its series and its control."""
    options = tuple(row["options"].items())
    label = Series(row["method"], row["penalty"], options, row["granularity"]).label
    return f"{label} ({row['control']})" if row["control"] else label
