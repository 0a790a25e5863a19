"""`global_minimum`: a certified global optimum of a concave-penalised problem."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from convex_analysis import steering
from convex_analysis.branch_and_bound.best_first import BestFirst
from convex_analysis.branch_and_bound.box_search import Search
from convex_analysis.branch_and_bound.group_search import GroupSearch
from convex_analysis.branch_and_bound.incumbent import Incumbent
from convex_analysis.branch_and_bound.loss_relaxation import LossRelaxation
from convex_analysis.branch_and_bound.progress import Progress
from convex_analysis.branch_and_bound.quadratic_relaxation import QuadraticRelaxation
from convex_analysis.branch_and_bound.relaxation import Relaxation
from convex_analysis.branch_and_bound.solution import GlobalSolution, GlobalStatus
from convex_analysis.certificate import least_value
from convex_analysis.losses.loss import Vector

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem


def global_minimum(
    problem: Problem,
    gap: float = 1e-6,
    max_nodes: int = 200_000,
    time_limit: float | None = None,
    progress: bool = False,
) -> GlobalSolution:
    """Minimise a concave-penalised problem globally, with a lower bound that proves it.

    Branch and bound: on a box the penalty is replaced by its chord (theory.md, T1: its convex
    envelope), which leaves a convex problem with weighted l1 for the library's kernel; its dual value
    bounds the box from below. The best box is split where the chord is furthest from the penalty. For
    linear models the bounds are sharpened by the data fit's own curvature, lent to the chord
    as in theory.md, T2: ``r(t) - t >= c t (1 - t)``; a ridge term adds to it, so that the penalty is
    relaxed together with its share of the ridge, as in perspective relaxations. Boxes shrink by reduced costs
    and by first-order conditions within a gap-safe sphere. The best point comes from majorize-minimize,
    started at solutions of the relaxations. Groups of signed coefficients have a search over their norms,
    which needs no bounds.

    Parameters
    ----------
    problem
        A `MaskProblem` or `RegressionProblem` whose bounds are finite, or one with groups; an intercept, if
        fitted, has none.
    gap
        Absolute gap between objective and lower bound at which the point counts as optimal.
    max_nodes
        Largest number of relaxations solved.
    time_limit
        Seconds after which the search stops; None for no limit.
    progress
        Whether to show a live line with the gap on standard error.

    Returns
    -------
    GlobalSolution
        With status "optimal", or "limit" where a limit (or rounding) stopped the search before the gap;
        objective and lower_bound are valid in both cases.

    Raises
    ------
    ValueError
        If a bound is infinite, or an argument is out of range.

    Notes
    -----
    The same call gives the same result to the bit, unless a time limit ends it.
    """
    begun = time.perf_counter()
    _check(problem, gap, max_nodes, time_limit)
    deadline = np.inf if time_limit is None else begun + time_limit
    with Progress(progress) as display:
        incumbent = Incumbent(problem, precision=0.01 * gap)
        incumbent.begin(deadline)
        search: BestFirst[Any]
        if problem.group is None:
            search = _start(problem, incumbent, gap, max_nodes, deadline)
        else:
            search = GroupSearch(problem, incumbent, gap)
        search.run(max_nodes, deadline, display.update)
        display.update(search, last=True)
    return _result(problem, search, gap, begun)


def _start(problem: Problem, incumbent: Incumbent, gap: float, max_nodes: int, deadline: float) -> Search:
    """Bound the root, and again on what is left of it as long as that gets much smaller."""
    lower, upper = problem.lower.copy(), problem.upper.copy()
    bound, floor, n_nodes = least_value(problem), np.inf, 0
    free = np.flatnonzero(lower < upper)
    free = free if free.size else np.arange(1)
    while True:
        relaxation = _relaxation(problem, free, lower)
        search = Search(problem, relaxation, free, lower.copy(), incumbent, gap, floor, n_nodes)
        search.start(lower[free], upper[free], bound)
        if not search.heap or search.n_nodes >= max_nodes or time.perf_counter() >= deadline:
            return search
        root = search.heap[0]
        left = free[root.lower < root.upper]
        if not 0 < left.size <= steering.WORTH_REDUCING * free.size:
            return search
        lower[free], upper[free] = root.lower, root.upper
        free, bound, floor, n_nodes = left, root.bound, search.floor, search.n_nodes


def _relaxation(problem: Problem, free: np.ndarray, fixed: Vector) -> Relaxation:
    if problem.loss.quadratic and free.size <= steering.LARGEST_GRAM:
        return QuadraticRelaxation(problem, free, fixed)
    return LossRelaxation(problem, free, fixed)


def _check(problem: Problem, gap: float, max_nodes: int, time_limit: float | None) -> None:
    grouped = problem.group is not None
    problem.require_plain("global_minimum", ridge=True, offset=True)
    if (
        problem.ridge is not None
        and not grouped
        and not (problem.loss.quadratic and problem.n_features <= steering.LARGEST_GRAM)
    ):
        raise ValueError(
            f"global_minimum knows a ridge term with the linear loss and at most "
            f"{steering.LARGEST_GRAM} features: leave it out."
        )
    if not (np.isfinite(gap) and gap > 0):
        raise ValueError(f"gap must be a positive finite number, got {gap!r}.")
    if max_nodes < 1:
        raise ValueError(f"max_nodes must be at least 1, got {max_nodes!r}.")
    if time_limit is not None and not time_limit > 0:
        raise ValueError(f"time_limit must be a positive number of seconds or None, got {time_limit!r}.")
    unbounded = np.flatnonzero(~(np.isfinite(problem.lower) & np.isfinite(problem.upper)))
    if unbounded.size and not grouped:
        j = unbounded[0]
        raise ValueError(
            f"global_minimum splits a finite box, but feature {j} lies in "
            f"[{problem.lower[j]:g}, {problem.upper[j]:g}]: give the problem finite lower and upper bounds."
        )


def _result(problem: Problem, search: BestFirst[Any], gap: float, begun: float) -> GlobalSolution:
    incumbent = search.incumbent
    bound = search.lower_bound
    reached = max(incumbent.objective - bound, 0.0)
    status = GlobalStatus.OPTIMAL if reached <= gap else GlobalStatus.LIMIT
    seconds = time.perf_counter() - begun
    message = (
        f"{status.sentence} Gap {reached:.3g}, asked {gap:.3g}; {search.n_nodes} nodes in {seconds:.3g} s, "
        f"{len(search.heap)} left open."
    )
    return GlobalSolution(
        x=incumbent.x,
        intercept=incumbent.intercept,
        objective=incumbent.objective,
        lower_bound=bound,
        gap=reached,
        tolerance=gap,
        status=status,
        message=message,
        n_nodes=search.n_nodes,
        seconds=seconds,
        lam=problem.lam,
    )
