"""A progress bar for a download, on a terminal; silent elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from nets.data.download import Progress


@contextmanager
def terminal_progress(name: str) -> Iterator[Progress | None]:
    """Show how much of the file `name` has arrived, on standard error if that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich import progress as bars
    from rich.console import Console

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.DownloadColumn(),
        bars.TransferSpeedColumn(),
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(name, total=None)

        def step(done: int, total: int) -> None:
            shown.update(task, completed=done, total=total or None)

        yield step
