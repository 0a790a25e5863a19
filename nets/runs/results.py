"""The stored runs as rows, as a data frame and in SQL; the files are the truth, nothing is indexed."""

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
import json
from typing import TYPE_CHECKING

from nets.runs.folder import METRICS

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
from nets import result as columns

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


#: The types of the columns that are known; those that hold objects stay JSON, as keys differ from run to run.
TYPES = {
    **dict.fromkeys((*columns.TEXTS, *columns.OTHER_TEXTS), "VARCHAR"),
    **dict.fromkeys((*columns.NUMBERS, *columns.OTHER_NUMBERS, *columns.SCORES), "DOUBLE"),
    **dict.fromkeys(("seed", "kept", "total"), "BIGINT"),
    **dict.fromkeys(columns.OBJECTS, "JSON"),
    **{"include": "VARCHAR[]", "exclude": "VARCHAR[]", "milestones": "DOUBLE[]"},
}

EXAMPLE = "select method, density, avg(test_accuracy) from results group by all"


def query(sql: str, root: str | os.PathLike[str] = "runs") -> pd.DataFrame:
    """Run a query over the stored runs.

    Parameters
    ----------
    sql : str
        A query in DuckDB's SQL over the tables "results" (one row a finished run, as `nets.results`) and
        "metrics" (one row an epoch of every training: run, training, epoch, train_loss, ...), e.g.
        ``select method, density, avg(test_accuracy) from results group by all``.
    root : path
        Folder that holds the runs.

    Returns
    -------
    DataFrame

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If the query is wrong; the message is DuckDB's.

    Notes
    -----
    When the query runs the engine has read the result files and can reach nothing else: no file, no network,
    no extension.
    """
    import duckdb

    connection = connect(root, metrics="metrics" in sql.lower())
    try:
        table = connection.sql(sql)
        if table is None:
            raise ValueError(f"the query returns no table; try: {EXAMPLE}")
        frame: pd.DataFrame = table.df()
        return frame
    except duckdb.Error as error:
        raise ValueError(f"the query is wrong: {error}") from None
    finally:
        connection.close()


def connect(root: str | os.PathLike[str] = "runs", *, metrics: bool = True) -> duckdb.DuckDBPyConnection:
    """Return a DuckDB connection with the tables "results" and, if asked for, "metrics".

    Results whose sha256 or folder does not fit are left out, with a warning. The connection can reach neither
    files nor the network.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    """
    import duckdb

    found, bad = sound_rows(Path(root))
    if bad:
        count = "1 run" if len(bad) == 1 else f"{len(bad)} runs"
        warnings.warn(
            f"left out {count} whose result.json is damaged, was changed or is of another version: "
            + "; ".join(map(str, bad[:5])),
            BadRunWarning,
            stacklevel=3,
        )
    connection = duckdb.connect(
        ":memory:",
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
            "temp_directory": "",
        },
    )
    _load_results(connection, table(found))
    if metrics:
        paths = (folder.path.resolve() / METRICS for folder in run_folders(Path(root)))
        _load_metrics(connection, [str(path) for path in paths if path.is_file() and not path.is_symlink()])
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")
    return connection


def _load_results(connection: duckdb.DuckDBPyConnection, frame: pd.DataFrame) -> None:
    for name in set(columns.OBJECTS) & set(frame):
        frame[name] = [json.dumps(value) if isinstance(value, dict) else None for value in frame[name]]
    # Of a column that holds nothing but None no type is known: text stands in.
    empty = [str(name) for name, nothing in frame.isna().all().items() if nothing]
    types: dict[str, str] = {**dict.fromkeys(empty, "VARCHAR"), **TYPES}
    quoted = {name: '"' + name.replace('"', '""') + '"' for name in map(str, frame.columns)}
    casts = [f"cast({q} as {types[n]}) as {q}" if n in types else q for n, q in quoted.items()]
    # Types are found by looking at every row: one of a thousand may be the only one that has a value.
    connection.execute(f"set pandas_analyze_sample = {len(frame) + 1}")
    connection.register("rows_of_runs", frame)
    connection.execute(f"create table results as select {', '.join(casts)} from rows_of_runs")
    connection.unregister("rows_of_runs")


def _load_metrics(connection: duckdb.DuckDBPyConnection, files: list[str]) -> None:
    if not files:
        connection.execute("create table metrics (run varchar, training varchar, epoch double)")
        return
    # The columns that there always are come first: a file that holds nothing else has none.
    connection.execute(
        """
        create table metrics as
        select * from (
            select null::varchar as run, null::varchar as training, null::double as epoch where false
            union all by name
            select regexp_extract(filename, '([0-9a-f]+)/[^/]*$', 1) as run, * exclude (filename)
            from read_json($files, format = 'newline_delimited', filename = true, union_by_name = true,
                ignore_errors = true, sample_size = -1)
        )
        where training is not null
        """,
        {"files": files},
    )
