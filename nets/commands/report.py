"""Write one self-contained HTML page about the stored runs; it needs no network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


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
