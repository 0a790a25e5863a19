"""Interleaved times at equal accuracy: each solver at the loosest tolerance that reaches what is asked."""

from __future__ import annotations

import gc
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from convex_accuracy import Accuracy

SLOW = 2.0  # seconds; slower solvers are tried at fewer tolerances and timed fewer times
TOO_SLOW = 15.0  # seconds; a solver that takes longer without the accuracy asked is given up


@dataclass(frozen=True)
class Solver:
    """One competitor.

    Attributes
    ----------
    name
        Library and method.
    make
        Builds ``tolerance -> x``; raises ImportError where the library is missing.
    first, finest
        The tolerance tried first, and the smallest one.
    ours
        Whether it is this project's.
    goal
        Of ours: the ratio to the best peer's time aimed at; None where the run only informs.
    finds_the_best
        Of ours, with a concave penalty: whether no peer's objective may be lower, paths included; else that
        of the peer whose time is compared.
    """

    name: str
    make: Callable[[], Callable[[float], Any]]
    first: float = 1e-4
    finest: float = 1e-14
    ours: bool = False
    goal: float | None = None
    finds_the_best: bool = True


@dataclass
class Row:
    """What one solver did in one case; ``problem`` says in words why there are no times."""

    solver: str
    ours: bool
    goal: float | None = None
    finds_the_best: bool = True
    tolerance: float = float("nan")
    seconds: list[float] = field(default_factory=list)
    accuracy: Accuracy | None = None
    reached: bool = False
    problem: str = ""

    @property
    def median(self) -> float:
        """Median seconds, NaN without any."""
        return statistics.median(self.seconds) if self.seconds else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Return the row with its median, for JSON."""
        return asdict(self) | {"median": self.median}


def run_quietly(run: Callable[[float], Any], tolerance: float) -> tuple[Any, float]:
    """Return the point and the seconds; garbage collection waits, warnings are silenced."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        gc.collect()
        gc.disable()
        try:
            begun = time.perf_counter()
            point = run(tolerance)
            return point, time.perf_counter() - begun
        finally:
            gc.enable()


def compare(
    solvers: list[Solver],
    measure: Callable[[Any], Accuracy],
    error: Callable[[Accuracy], float],
    target: float,
    repeats: int,
    say: Callable[[str], None] = lambda _: None,
) -> list[Row]:
    """Calibrate each solver to ``error(measure(found)) <= target``, then time all in turn, several times."""
    rows, runs = [], []
    for solver in solvers:
        row = Row(solver.name, solver.ours, solver.goal, solver.finds_the_best)
        rows.append(row)
        say(f"calibrating {solver.name}")
        try:
            run = solver.make()
            row.tolerance, row.accuracy, row.reached, seconds = _calibrate(
                run, solver, measure, error, target
            )
        except ImportError as reason:
            row.problem = f"not installed: {reason}"
            continue
        except Exception as reason:  # a peer that breaks is reported, whatever it raises
            row.problem = (
                f"broke: {type(reason).__name__}: {str(reason).splitlines()[0] if str(reason) else ''}"
            )
            continue
        if not row.reached:
            row.problem = f"does not reach {target:.1e}; best {error(row.accuracy):.1e}"
        count = repeats if seconds < SLOW else min(repeats, 3) if seconds < 10 * SLOW else 1
        runs.append((row, run, count))
    rng = np.random.default_rng(0)
    gc.collect()
    gc.freeze()  # or each collection walks through millions of a peer's objects and leaves cold caches
    try:
        for turn in range(repeats):
            say(f"timing, turn {turn + 1} of {repeats}")
            for i in rng.permutation(len(runs)):
                row, run, count = runs[i]
                if turn < count:
                    row.seconds.append(run_quietly(run, row.tolerance)[1])
    finally:
        gc.unfreeze()
    return rows


def _calibrate(
    run: Callable[[float], Any],
    solver: Solver,
    measure: Callable[[Any], Accuracy],
    error: Callable[[Accuracy], float],
    target: float,
) -> tuple[float, Accuracy, bool, float]:
    """Return the loosest tolerance on a grid of half decades that reaches the target, and what it gives."""
    seen: dict[int, tuple[Accuracy, float]] = {}

    def attempt(k: int) -> bool:
        """Whether tolerance 10^(-k/2) reaches the target; a point that leaves the box does not."""
        if k not in seen:
            point, seconds = run_quietly(run, 10.0 ** (-k / 2))
            seen[k] = measure(point), seconds
        found = seen[k][0]
        return error(found) <= target and found.outside <= 1e-9

    k = round(-2 * np.log10(solver.first))
    finest = round(-2 * np.log10(solver.finest))
    run_quietly(run, solver.first)  # compiles
    while not attempt(k) and k < finest and seen[k][1] < TOO_SLOW:
        k = min(k + 2, finest)
    reached = attempt(k)
    if not reached:
        k = min(seen, key=lambda i: error(seen[i][0]))
    elif seen[k][1] < SLOW:
        while k > 0 and attempt(k - 1):
            k -= 1
    found, seconds = seen[k]
    return 10.0 ** (-k / 2), found, reached, seconds
