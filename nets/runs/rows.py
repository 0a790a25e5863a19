"""The columns of results and metrics: their meaning, and the check of a stored row."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from nets.metric import ACCURACY, Metric
from nets.result import SCORED

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


def documented(name: str) -> bool:
    """Tell whether a column of the results is described."""
    names = {one.strip() for key in RESULTS for one in key.split(",")}
    return name in names or name.startswith("search_")


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

#: Columns that hold an object of plain values, and a list of them.
OBJECTS = ("options", "layer_densities")
LISTS = ("include", "exclude", "milestones")

#: Whole numbers beyond this are none that a run counts.
MOST = 2**63


def check(row: Mapping[str, Any]) -> None:
    """Refuse what is no row.

    Raises
    ------
    ValueError
        If a column is missing or holds something else than it should.
    """
    for name, value in row.items():
        if name in OBJECTS:
            sound = isinstance(value, dict) and all(_is_plain(item) for item in value.values())
        elif name in LISTS:
            sound = isinstance(value, list) and all(_is_plain(item) for item in value)
        else:
            sound = _is_plain(value)
        if not sound:
            raise ValueError(f"{name!r} holds something that no run writes there")
    for name in TEXTS:
        if not isinstance(row.get(name), str):
            raise ValueError(f"there is no text {name!r}")
    try:
        metric = Metric.of_row(row)
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"its metric is none: {error}") from None
    for name in (*NUMBERS, metric.column("test")):
        if not is_number(row.get(name)):
            raise ValueError(f"there is no number {name!r}")
    for name in OTHER_TEXTS:
        if not isinstance(row.get(name, ""), str):
            raise ValueError(f"{name!r} is no text")
    for name in (*OTHER_NUMBERS, *(metric.column(part) for part in SCORED)):
        if row.get(name) is not None and not is_number(row[name]):
            raise ValueError(f"{name!r} is no number")
    if not all(map(is_number, row.get("layer_densities", {}).values())):
        raise ValueError("a layer's density is no number")


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (bool, str)) or is_number(value)


def is_number(value: Any) -> bool:
    """Tell whether a value is a finite number of a reasonable size."""
    if isinstance(value, bool):
        return False
    if isinstance(value, int):
        return abs(value) < MOST
    return isinstance(value, float) and math.isfinite(value)
