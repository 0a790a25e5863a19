"""SQL over the stored runs, in place: DuckDB reads the result files; there is no index to corrupt."""

from __future__ import annotations

import json
import os
import re
import stat
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nets import registry
from nets.runs import rows
from nets.runs.canonical import VERSION
from nets.runs.folder import LARGEST, run_folders
from nets.runs.results import FIRST, BadRunWarning

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

#: Columns that stay JSON, since their keys differ from run to run; and the type of those that hold lists.
NESTED = {"layer_densities": "JSON", "options": "JSON", "include": ["VARCHAR"], "exclude": ["VARCHAR"]}

#: The types of the columns that are known.
KINDS = {
    **dict.fromkeys((*rows.TEXTS, *rows.OTHER_TEXTS), "VARCHAR"),
    **dict.fromkeys((*rows.NUMBERS, *rows.OTHER_NUMBERS, *rows.SCORES), "DOUBLE"),
    **dict.fromkeys(("seed", "kept", "total"), "BIGINT"),
}

#: Columns of an empty table that hold text; the others hold numbers.
TEXTS = ("run", "data", "model", "method", "penalty")

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

    folders = [folder.path.resolve() for folder in run_folders(Path(root))]
    connection = duckdb.connect(
        ":memory:",
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
            "temp_directory": "",
        },
    )
    _load_results(connection, _files(folders, "result.json"))
    if metrics:
        _load_metrics(connection, _files(folders, "metrics.jsonl"))
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")
    return connection


def _files(folders: list[Path], name: str) -> list[str]:
    """Return the plain files of that name; a link could lead anywhere, and no run writes a giant."""
    found = []
    for folder in folders:
        path = os.path.join(folder, name)
        try:
            status = os.lstat(path)
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST:
            found.append(path)
    return found


def _load_results(connection: duckdb.DuckDBPyConnection, files: list[str]) -> None:
    # A result's sha256 is that of its own text without the sha256: see RunFolder.write_result.
    connection.execute(
        """
        create temp table told as
        select regexp_extract(filename, '([0-9a-f]+)/[^/]*$', 1) as folder, trim(content, chr(10)) as text
        from read_text($files)
        """
        if files
        else "create temp table told as select ''::varchar as folder, ''::varchar as text where false",
        {"files": files} if files else {},
    )
    revisions = {name: number for name in registry.methods if (number := registry.revision(name))}
    # A table of its own: the engine may read keys of a text before a condition that says it is no JSON.
    connection.execute("create temp table valid as select * from told where json_valid(text)")
    connection.execute(
        """
        create temp table checked as
        select folder, text, coalesce(
            sha256(regexp_replace(text, ', "sha256": "[0-9a-f]{64}"', '')) = (text ->> '$.sha256')
            and (text ->> '$.run') = folder and (text ->> '$.version') = $version
            and case when contains(text ->> '$.method', ':') then true
                when list_contains($revised, text ->> '$.method')
                then list_contains($revisions, (text ->> '$.method') || ' ' || (text ->> '$.revision'))
                else (text ->> '$.revision') is null end, false) as sound
        from valid
        """,
        {
            "version": str(VERSION),
            "revised": list(revisions),
            "revisions": [f"{name} {number}" for name, number in revisions.items()],
        },
    )
    unsound = "select folder from told where not exists (from checked where sound and folder = told.folder)"
    bad = [row[0] for row in connection.execute(unsound).fetchall()]
    if bad:
        said, names = "1 run" if len(bad) == 1 else f"{len(bad)} runs", ", ".join(bad[:5])
        warnings.warn(
            f"left out {said} whose result.json is damaged, was changed or is of another version: {names}",
            BadRunWarning,
            stacklevel=4,
        )
    _unfold(
        connection, "results", "select text from checked where sound", drop=("sha256", "version", "revision")
    )
    connection.execute("drop table told; drop table valid; drop table checked")


def _load_metrics(connection: duckdb.DuckDBPyConnection, files: list[str]) -> None:
    if not files:
        connection.execute("create table metrics (run varchar, training varchar, epoch double)")
        return
    connection.execute(
        """
        create temp table told as
        select regexp_extract(filename, '([0-9a-f]+)/[^/]*$', 1) as run,
            unnest(string_split(content, chr(10))) as text
        from read_text($files)
        """,
        {"files": files},
    )
    connection.execute("delete from told where not json_valid(text)")
    merged = "select json_merge_patch(text, json_object('run', run)) as text from told"
    _unfold(connection, "metrics", merged)
    connection.execute("drop table told")


def _unfold(connection: duckdb.DuckDBPyConnection, name: str, texts: str, drop: tuple[str, ...] = ()) -> None:
    """Make a table with one column a key of the JSON texts."""
    found = connection.execute(f"select json_group_structure(text::json)::varchar from ({texts})").fetchone()
    structure: Any = json.loads(found[0]) if found and found[0] else {}
    if not isinstance(structure, dict) or not structure:
        columns = ", ".join(f"{column} {'varchar' if column in TEXTS else 'double'}" for column in FIRST)
        connection.execute(f"create table {name} ({columns})")
        return
    # What a column of results holds is known: one row that says otherwise must not change it for all.
    fixed = {**NESTED, **(KINDS if name == "results" else {})}
    wanted = {key: fixed.get(key, kind) for key, kind in structure.items() if key not in drop}
    wanted = {key: _known(kind) for key, kind in wanted.items()}
    connection.execute(
        f"create table {name} as select unnest(value) from "
        f"(select json_transform(text, '{_quoted(json.dumps(wanted))}') as value from ({texts}))"
    )


def _known(kind: Any) -> Any:
    """Return the type of a column: whole numbers get a sign, and text stands in where only null was seen."""
    return {"NULL": "VARCHAR", "UBIGINT": "BIGINT"}.get(kind, kind) if isinstance(kind, str) else kind


def _quoted(text: str) -> str:
    return re.sub("'", "''", text)
