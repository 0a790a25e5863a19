"""Run a whole grid of plays from a TOML file; what is finished is not run again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def sweep(
    file: Path,
    /,
    *,
    runs: Path = Path("runs"),
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    workers: int | None = None,
    threads: int = 1,
    scheduler: str | None = None,
    interval: float = 30.0,
    retry_failed: bool = True,
    keep_search: bool = False,
    keep_network: bool = True,
    tensorboard: bool = False,
    tracker: str = "",
) -> None:
    """Run a whole grid of plays from a TOML file; what is finished is not run again.

    Every list in the file is an axis of the grid, e.g. density = [0.1, 0.05] and seed = "0..4". A sweep may
    be stopped at any moment and started again: finished runs are kept, the others resume.

    Parameters
    ----------
    file
        The sweep file.
    runs
        Folder of the runs.
    dry_run
        Show what would be done, and do nothing.
    workers
        Worker processes; default: one a core (divided by THREADS).
    threads
        Threads of each worker. Results on one thread and on several differ in rounding.
    scheduler
        Address of a Dask scheduler, e.g. tcp://host:8786: run on its workers, which must see the folder RUNS;
        start them with --nthreads 1, and on machines with a GPU with --resources "GPU=1".
    interval
        Seconds between two checkpoints of a training.
    retry_failed
        Try again what failed before.
    keep_search
        Keep the trainings of finished searches, so that smaller densities asked for later go on from there.
    keep_network
        Keep the retrained networks.
    tensorboard
        Write TensorBoard event files: tensorboard --logdir RUNS/tensorboard.
    tracker
        Tracker of your own, package.module:factory, called as factory(play), which returns a nets.Hook.
    """
    from rich.console import Console

    from concave_sparsity.stages import stage

    with stage("loading modules"):  # torch takes seconds the first time
        from nets.commands._progress import Display, plan_table, print_summary
        from nets.runs.jobs import Keeping
        from nets.runs.sweep import make_plan, read_sweep, run_plan

    console = Console()
    plan = make_plan(read_sweep(file), runs, retry_failed=retry_failed)
    console.print(plan_table(plan, runs))
    if dry_run or not plan.jobs:
        return
    keeping = Keeping(
        runs,
        interval=interval,
        keep_search=keep_search,
        keep_network=keep_network,
        tensorboard=tensorboard,
        tracker=tracker,
    )
    with Display(Console(stderr=True), plan) as display:
        try:
            summary = run_plan(
                plan,
                keeping,
                workers=workers,
                threads=threads,
                scheduler=scheduler,
                on_progress=display.report,
                on_end=display.ended,
            )
        except KeyboardInterrupt:
            display.stop()
            console.print(
                f"stopped; {display.finished} of {plan.to_do} runs are finished and kept in {runs}, "
                "the others resume when the same command is given again",
                highlight=False,
            )
            raise
    print_summary(console, summary, runs)
    if summary.failures:
        raise SystemExit(1)
