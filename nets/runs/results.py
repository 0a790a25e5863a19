"""The stored runs as rows and as a data frame; the files are the truth, nothing is indexed."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nets.metric import Metric
from nets.result import SCORED, Result
from nets.runs.folder import BadRun, RunFolder, run_folders
from nets.storage import records

if TYPE_CHECKING:
    import pandas as pd

#: Columns that come first in a table.
FIRST = (
    "run",
    "data",
    "model",
    "method",
    "penalty",
    "density",
    "seed",
    "test_accuracy",
    "dense_test_accuracy",
    "validation_accuracy",
    "search_epochs_spent",
    "search_seconds",
    "retrain_seconds",
)


class BadRunWarning(UserWarning):
    """A run was left out because its files are damaged or tampered with."""


def rows(root: str | os.PathLike[str] = "runs") -> list[dict[str, Any]]:
    """Return the row of every finished run under a folder; damaged ones are left out with a warning.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    """
    found, bad = sound_rows(Path(root))
    for error in bad:
        warnings.warn(f"left out: {error}", BadRunWarning, stacklevel=2)
    return found


def sound_rows(root: Path) -> tuple[list[dict[str, Any]], list[BadRun]]:
    """Return the rows of the finished runs under a folder, and what is wrong with the others."""
    found, bad = [], []
    for folder in run_folders(root):
        if folder.finished:
            try:
                found.append(folder.result())
            except BadRun as error:
                bad.append(error)
    return found, bad


def results(root: str | os.PathLike[str] = "runs") -> pd.DataFrame:
    """Return one row for every finished run under a folder.

    Parameters
    ----------
    root : path
        Folder that holds the runs.

    Returns
    -------
    DataFrame
        The fields of the play (the density asked for as "asked_density"), what was measured, what the search
        reported (columns "search_..."), "run" and "dense" (addresses of the run and of its dense network).

    Raises
    ------
    FileNotFoundError
        If there is no such folder.

    Warns
    -----
    BadRunWarning
        For every run that is left out because its files are damaged or tampered with.
    """
    return table(rows(root))


def table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return rows as a data frame."""
    import pandas as pd

    frame = pd.DataFrame.from_records(rows)
    if frame.empty:
        return pd.DataFrame(columns=list(FIRST))
    order = [name for name in FIRST if name in frame] + sorted(set(frame.columns) - set(FIRST))
    return frame[order].sort_values(
        ["data", "model", "method", "penalty", "density", "seed"], ignore_index=True
    )


def result_of(folder: RunFolder) -> Result:
    """Return the `Result` of a finished run.

    Raises
    ------
    nets.runs.folder.BadRun
        If the run is not finished, or its files are damaged or tampered with.
    """
    row = folder.result()
    metric = Metric.of_row(row)
    try:
        return Result(
            play=folder.play(),
            metric=metric,
            **{f"{part}_score": row[metric.column(part)] for part in SCORED},
            **{name: row[name] for name in _MEASURED},
            search_flops=_number(row, "search_flops"),
            inference_flops=_number(row, "inference_flops"),
            dense_inference_flops=_number(row, "dense_inference_flops"),
            search_epochs=row["search_epochs_spent"],
            report={
                name.removeprefix("search_"): value
                for name, value in row.items()
                if name.startswith("search_") and name not in _NOT_REPORTED
            },
            layer_densities=row["layer_densities"],
            metrics=tuple(_retraining(folder.path)),
        )
    except KeyError as error:
        raise BadRun(f"{folder.path / 'result.json'} lacks {error}") from None


_NOT_REPORTED = ("search_epochs", "search_epochs_spent", "search_seconds", "search_flops")

_MEASURED = (
    "density",
    "kept",
    "total",
    "search_seconds",
    "retrain_epochs",
    "retrain_seconds",
)


def _number(row: dict[str, Any], name: str) -> float:
    """Return a number that runs stored earlier lack, as NaN then."""
    value = row.get(name)
    return math.nan if value is None else float(value)


def _retraining(path: Path) -> Iterator[dict[str, float]]:
    for line in records.read(path / "metrics.jsonl"):
        if line.get("training") in ("retrain", "dense"):
            yield {name: value for name, value in line.items() if name != "training"}
