"""What the row of a finished run holds; what a file holds instead is refused with one sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from nets.metric import ACCURACY, Metric
from nets.result import SCORED

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
