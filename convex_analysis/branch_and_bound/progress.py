"""A live line with the gap, on standard error."""

from __future__ import annotations

import math
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from convex_analysis.branch_and_bound.best_first import BestFirst


class Progress:
    """Shows incumbent, lower bound, gap and nodes while a search runs; a context manager.

    Parameters
    ----------
    enabled
        Without it nothing is shown and nothing imported.
    """

    def __init__(self, enabled: bool) -> None:
        self._enabled = enabled
        self._display: Any = None
        self._begun = time.perf_counter()
        self._shown = 0.0
        self._first_gap = math.nan

    def __enter__(self) -> Self:
        if self._enabled:
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Display

            self._display = Display(
                BarColumn(bar_width=8),  # the whole line fits into 80 columns
                TextColumn("{task.description}"),
                TimeElapsedColumn(),
                console=Console(stderr=True),
            )
            self._display.start()
            self._task = self._display.add_task("solving the root", total=1.0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._display is not None:
            self._display.stop()

    def update(self, search: BestFirst[Any], last: bool = False) -> None:
        """Show where the search stands, ten times a second at most."""
        if self._display is None:
            return
        now = time.perf_counter()
        if not last and now - self._shown < 0.1:
            return
        self._shown = now
        objective, bound = search.incumbent.objective, search.lower_bound
        gap = max(objective - bound, 0.0)
        if math.isnan(self._first_gap):
            self._first_gap = max(gap, search.gap)
        # Gaps shrink geometrically: the bar shows the share of the way on a logarithmic scale.
        whole = math.log(self._first_gap / search.gap)
        done = 1.0 if gap <= search.gap or whole <= 0 else math.log(self._first_gap / gap) / whole
        text = (
            f"gap {gap:.1e} / {search.gap:.0e}  F {bound:.6g} .. {objective:.6g}  "
            f"{search.n_nodes} nodes, {len(search.heap)} open"
        )
        self._display.update(self._task, completed=min(max(done, 0.0), 1.0), description=text)
