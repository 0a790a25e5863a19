"""Questions to the stored runs, and a page about them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter


def query(
    sql: str = "",
    /,
    *,
    runs: Path = Path("runs"),
    format: Literal["table", "csv", "json"] = "table",
) -> None:
    """Ask the stored runs in SQL (DuckDB's dialect); without a question, say what the columns hold.

    Tables: "results", one row a finished run; "metrics", one row an epoch of every training. The files are
    read in place, and nothing else can be reached.

    Parameters
    ----------
    sql
        E.g. "select method, density, avg(test_accuracy) from results group by all order by all".
    runs
        Folder of the runs.
    format
        How to print the answer; a table that is wider than the terminal is printed row by row.
    """
    import sys

    from nets.runs.results import query as ask

    if not sql:
        _print_columns()
        return
    frame = ask(sql, runs)
    if format == "csv":
        frame.to_csv(sys.stdout, index=False)
    elif format == "json":
        print(frame.to_json(orient="records", indent=1))
    else:
        from rich import box
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

        console = Console()
        names = [str(name) for name in frame.columns]
        rows = [[_text_of(value) for value in row] for row in frame.itertuples(index=False)]
        widths = [max(map(len, column)) for column in zip(names, *rows)]
        if sum(widths) + 2 * len(widths) > console.width:
            longest = max(map(len, names))
            for number, row in enumerate(rows, 1):
                console.rule(f"row {number} of {len(rows)}", align="left", characters="-", style="dim")
                for name, text in zip(names, row):
                    console.print(f"{name:{longest}}  {text}", highlight=False, markup=False, soft_wrap=True)
            return
        table = Table(*map(escape, names), box=box.SIMPLE_HEAD, pad_edge=False)
        for row in rows:
            table.add_row(*map(escape, row))
        console.print(table)


def _print_columns() -> None:
    """Print what the columns of the two tables hold."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from nets.runs.rows import METRICS, RESULTS

    console = Console()
    for name, columns in (("results", RESULTS), ("metrics", METRICS)):
        table = Table(title=f"table {name}", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("column", max_width=32)  # wraps between names; the text needs the rest
        table.add_column("what it holds", overflow="fold")
        for column, meaning in columns.items():
            table.add_row(column, meaning)
        console.print(table)


def _text_of(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def report(
    runs: Path = Path("runs"),
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])] = Path("report.html"),
    title: str = "",
) -> None:
    """Write one self-contained HTML page about the stored runs; it needs no network.

    Accuracy against density with intervals, matching tickets, search cost, layer-wise densities, masks and
    lam over time, sanity checks, and a table of all runs to sort and filter.

    Parameters
    ----------
    runs
        Folder of the runs.
    out
        The file to write.
    title
        Title of the page.
    """
    from nets.report import write_report

    print(write_report(runs, out, title=title))
