"""How far plays are: bars over epochs, or lines where no terminal is; plan and failures of a sweep."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any

import rich.progress
from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from nets.runs.driver import Progress, Report
from nets.runs.execution import Outcome
from nets.runs.jobs import Job
from nets.runs.sweep import Plan, SweepSummary

#: Seconds between two lines where the output is no terminal: in the first minutes, and later.
OFTEN, SELDOM, FIRST_MINUTES = 2.0, 30.0, 300.0


def epochs_bar(console: Console | None = None, *, transient: bool = False) -> rich.progress.Progress:
    """Return a bar of epochs done, with the time gone and left."""
    return rich.progress.Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f} epochs"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=transient,
    )


class Bar:
    """Progress over epochs of training: a bar on a terminal, else lines; a context manager.

    Parameters
    ----------
    console : Console
        Where to show it; nothing is shown if it is quiet.
    text : str
        What is under way, until `show` says more.
    """

    def __init__(self, console: Console, text: str = "starting") -> None:
        self._console = console
        self._lines = not console.is_terminal and not console.quiet
        self._last = Progress()
        self._last.text = text
        self._start = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._print_lines, daemon=True)
        self._bar = epochs_bar(console, transient=True)
        self._task = self._bar.add_task(text, total=1.0)

    def __enter__(self) -> Bar:
        if self._lines:
            self._thread.start()
        else:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._lines:
            self._thread.join()
        else:
            self._bar.stop()

    def show(self, progress: Progress) -> None:
        """Show how far a comparison is."""
        self._last = progress
        self._bar.update(self._task, completed=progress.done, total=progress.total, description=progress.text)

    def _print_lines(self) -> None:
        """Print a line every other second, so that a reader of a log sees that something goes on."""
        while True:
            seconds = time.monotonic() - self._start
            last = self._last
            share = f"{last.done:.0f} of {last.total:.0f} epochs of training, " if last.total else ""
            self._console.print(
                f"{share}{seconds:.0f} s, {last.text}", highlight=False, markup=False, soft_wrap=True
            )
            if self._over.wait(OFTEN if seconds < FIRST_MINUTES else SELDOM):
                return


#: Jobs shown under way.
SHOWN = 16


def plan_table(plan: Plan, root: Path) -> Table:
    """Return the plan within 80 columns: runs, done, to do and epochs by model, data and method."""
    rows: dict[tuple[str, str, str], Counter[str]] = {}
    for run, state in zip(plan.runs, plan.states):
        row = rows.setdefault((run.model, run.data, run.method), Counter())
        row["runs"] += 1
        row["done" if state == "finished" else "to do"] += 1
        row["begun"] += state in ("interrupted", "running")
        row["failed"] += state == "failed"
    epochs: Counter[tuple[str, str, str]] = Counter()
    for job in plan.jobs:
        epochs[job.play.model, job.play.data, job.play.method] += job.epochs  # type: ignore[assignment]
    totals = sum(rows.values(), Counter())
    table = Table(
        title=f"{len(plan.runs)} runs in {root}",
        title_justify="left",
        show_footer=True,
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("method", "all", overflow="fold")
    numbers = ("runs", "done", "to do", "begun", "failed")
    for heading in numbers:
        table.add_column(heading, str(totals[heading]), justify="right", no_wrap=True)
    table.add_column("epochs", f"{plan.epochs:g}", justify="right", no_wrap=True)
    for model, data in dict.fromkeys(key[:2] for key in rows):
        table.add_row(escape(f"{model} on {data}"))
        for key, row in rows.items():
            if key[:2] == (model, data):
                cells = (f"{row[heading]}" for heading in numbers)
                table.add_row(f"  {escape(key[2])}", *cells, f"{epochs[key]:g}")
    return table


class Display:
    """Live progress: one bar over all epochs, one line a job under way; a context manager.

    Where the output is no terminal, one line is printed a finished job.

    Attributes
    ----------
    finished : int
        Runs finished so far.
    """

    def __init__(self, console: Console, plan: Plan) -> None:
        self.finished = 0
        self._failed = 0
        self._console = console
        self._plan = plan
        self._progress = Progress(plan.jobs)
        self._bar = epochs_bar()
        self._task = self._bar.add_task("", total=plan.epochs)
        self._live = Live(console=console, get_renderable=self._render, transient=True, refresh_per_second=4)

    def __enter__(self) -> Display:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Take the display away."""
        self._live.stop()

    def report(self, report: Report) -> None:
        """Take in what a job tells."""
        if report.note:
            self._console.print(escape(report.text), highlight=False)
        self._progress.report(report)
        self._advance()

    def ended(self, job: Job, outcomes: list[Outcome]) -> None:
        """Take in that a job has ended."""
        self._progress.ended(job)
        failures = [outcome for outcome in outcomes if outcome.failure]
        self.finished += len(outcomes) - len(failures)
        self._failed += len(failures)
        for outcome in failures:
            self._console.print(
                f"[red]failed[/red] {_title(job)}: {escape(outcome.failure)}", highlight=False
            )
        if not self._console.is_terminal and not failures:
            self._console.print(
                f"{self.finished}/{self._plan.to_do} {_title(job)}", highlight=False, soft_wrap=True
            )
        self._advance()

    def _advance(self) -> None:
        failed = f", {self._failed} failed" if self._failed else ""
        self._bar.update(
            self._task,
            completed=self._progress.done,
            description=f"{self.finished}/{self._plan.to_do} runs{failed}",
        )

    def _render(self) -> Any:
        table = Table.grid(padding=(0, 2))
        for report in list(self._progress.under_way.values())[:SHOWN]:
            table.add_row(
                f"[dim]{_title(report.job)}",
                f"[dim]{report.epochs:g}/{report.job.epochs:g}",
                f"[dim]{escape(report.text)}",
            )
        return Group(self._bar, table)


def print_summary(console: Console, summary: SweepSummary, root: Path) -> None:
    """Print how a sweep went."""
    console.print(
        f"{len(summary.finished)} runs finished in {summary.seconds:.0f} s, {len(summary.failures)} failed",
        highlight=False,
    )
    for text, outcomes in _by_failure(summary.failures).items():
        first = outcomes[0]
        console.print(
            f"  {len(outcomes)} x {escape(text)} (e.g. {root / first.address / 'failure.json'})",
            highlight=False,
            soft_wrap=True,
        )
    if summary.finished:
        console.print(f"look at them: lottery report {root} -o report.html", highlight=False, soft_wrap=True)


def _by_failure(failures: list[Outcome]) -> dict[str, list[Outcome]]:
    groups: dict[str, list[Outcome]] = {}
    for outcome in failures:
        groups.setdefault(outcome.failure, []).append(outcome)
    return groups


def _title(job: Job) -> str:
    densities = ", ".join(f"{density:g}" for density in job.densities)
    return escape(f"{job.play.method} on {job.play.data}, {densities}, seed {job.play.seed}")
