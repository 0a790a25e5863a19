"""Ask the stored runs in SQL, e.g. "select method, avg(test_accuracy) from results group by all"."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def query(
    sql: str,
    /,
    *,
    runs: Path = Path("runs"),
    format: Literal["table", "csv", "json"] = "table",
) -> None:
    """Ask the stored runs in SQL (DuckDB's dialect).

    Tables: "results", one row a finished run; "metrics", one row an epoch of every training. "describe
    results" lists the columns. The files are read in place, and nothing else can be reached.

    Parameters
    ----------
    sql
        E.g. "select method, density, avg(test_accuracy) from results group by all order by all".
    runs
        Folder of the runs.
    format
        How to print the answer.
    """
    import sys

    from nets.querying import query as ask

    frame = ask(sql, runs)
    if format == "csv":
        frame.to_csv(sys.stdout, index=False)
    elif format == "json":
        print(frame.to_json(orient="records", indent=1))
    else:
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

        table = Table(*(escape(str(name)) for name in frame.columns))
        for row in frame.itertuples(index=False):
            table.add_row(*(escape(_text(value)) for value in row))
        Console().print(table)


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
