"""SQL over the stored runs: DuckDB over the data frame that `nets.results` makes; no index to corrupt."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from nets.runs import rows
from nets.runs.folder import METRICS, run_folders
from nets.runs.results import BadRunWarning, sound_rows, table

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

#: The types of the columns that are known; those that hold objects stay JSON, as keys differ from run to run.
TYPES = {
    **dict.fromkeys((*rows.TEXTS, *rows.OTHER_TEXTS), "VARCHAR"),
    **dict.fromkeys((*rows.NUMBERS, *rows.OTHER_NUMBERS, *rows.SCORES), "DOUBLE"),
    **dict.fromkeys(("seed", "kept", "total"), "BIGINT"),
    **dict.fromkeys(rows.OBJECTS, "JSON"),
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
        said = "1 run" if len(bad) == 1 else f"{len(bad)} runs"
        warnings.warn(
            f"left out {said} whose result.json is damaged, was changed or is of another version: "
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
    for name in set(rows.OBJECTS) & set(frame):
        frame[name] = [json.dumps(value) if isinstance(value, dict) else None for value in frame[name]]
    # Of a column that holds nothing but None no type is known: text stands in.
    empty = [str(name) for name, nothing in frame.isna().all().items() if nothing]
    types: dict[str, str] = {**dict.fromkeys(empty, "VARCHAR"), **TYPES}
    quoted = {name: '"' + name.replace('"', '""') + '"' for name in map(str, frame.columns)}
    columns = [f"cast({q} as {types[n]}) as {q}" if n in types else q for n, q in quoted.items()]
    # Types are found by looking at every row: one of a thousand may be the only one that has a value.
    connection.execute(f"set pandas_analyze_sample = {len(frame) + 1}")
    connection.register("told", frame)
    connection.execute(f"create table results as select {', '.join(columns)} from told")
    connection.unregister("told")


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
