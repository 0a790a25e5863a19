"""Branch and bound within a time limit: how far the global minimum is from a solution."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from convex_analysis.branch_and_bound.solution import GlobalSolution
    from convex_analysis.problems import Problem

RELATIVE_GAP = 1e-6  # of the objective at zero


def check_seconds(seconds: float) -> None:
    """Raise a ValueError unless the time limit is a number that is not negative."""
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(f"--global-seconds must be a number of seconds, 0 for none; got {seconds!r}.")


def global_bound(problem: Problem, seconds: float) -> GlobalSolution | None:
    """Search for the global minimum; None without time or where it does not apply."""
    finite = np.isfinite(problem.lower).all() and np.isfinite(problem.upper).all()
    known = problem.ridge is None or problem.loss.quadratic
    if seconds == 0 or not (finite and known):
        return None
    from convex_analysis.branch_and_bound import global_minimum

    gap = RELATIVE_GAP * problem.objective(*problem.start_at_zero())
    gap = max(gap, 1e-12) if math.isfinite(gap) else 1e-6
    _compile(problem)
    return global_minimum(problem, gap=gap, time_limit=seconds, progress=sys.stderr.isatty())


def _compile(problem: Problem) -> None:
    """Search a box with three free coordinates, so that kernels are compiled before the clock starts."""
    from convex_analysis.branch_and_bound import global_minimum

    upper = problem.lower.copy()
    upper[:3] = problem.upper[:3]
    global_minimum(problem.with_bounds(problem.lower, upper), gap=1e-300, max_nodes=5)
