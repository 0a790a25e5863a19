"""Paths over lam by continuation: each solution starts the next."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convex_analysis import steering
from convex_analysis.information_criteria import CRITERIA, effective_samples
from convex_analysis.losses.loss import Vector
from convex_analysis.problems.validation import check_lam
from convex_analysis.solution import ConvergenceWarning, Solution, Status
from convex_analysis.solver.run import Solver
from convex_analysis.solver.stop import Progress, Stop
from convex_analysis.solver_parameters import check_solver_parameters
from convex_analysis.threads import one_thread

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from convex_analysis.problems.problem import Problem


# Columns, and shares of the best move along each, on which the largest lam is looked for.
_SHARES = np.geomspace(1e-3, 1.0, 200)
# What the grid of shares may miss, so that zero is better than any jump.
_ABOVE = 1e-3


@dataclass(frozen=True, eq=False, repr=False)
class Path(Sequence[Solution]):
    """Solutions along a grid of lam, in the order of the grid.

    Attributes
    ----------
    problem
        The problem; its own lam plays no part.
    lams
        The grid, shape (k,).
    solutions
        One `Solution` for each lam.
    status
        CONVERGED where every solution is; TIME_LIMIT or STOPPED where that ended the path, whose grid is
        then cut; else as the worst solution.
    """

    problem: Problem
    lams: Vector
    solutions: tuple[Solution, ...]
    status: Status = Status.CONVERGED

    def __len__(self) -> int:
        return len(self.solutions)

    def __getitem__(self, index: Any) -> Any:
        return self.solutions[index]

    def __iter__(self) -> Iterator[Solution]:
        return iter(self.solutions)

    @property
    def coefficients(self) -> Vector:
        """The points side by side, shape (n_features, k)."""
        return np.column_stack([solution.x for solution in self.solutions])

    def criterion(self, name: str = "bic") -> Vector:
        """Return "bic" or "ebic" of each solution, shape (k,)."""
        if name not in CRITERIA:
            raise ValueError(f"Unknown criterion {name!r}: choose one of {', '.join(sorted(CRITERIA))}.")
        return np.array([CRITERIA[name](self.problem, solution) for solution in self.solutions])

    @property
    def bic(self) -> Vector:
        """Bayesian information criterion of each solution, shape (k,)."""
        return self.criterion("bic")

    @property
    def ebic(self) -> Vector:
        """Extended Bayesian information criterion of each solution, shape (k,)."""
        return self.criterion("ebic")

    def best(self, criterion: str = "bic") -> Solution:
        """Return the solution with the smallest "bic" or "ebic" (the first of equals).

        Raises
        ------
        ValueError
            If every solution has more parameters than half the number of samples.
        """
        values = self.criterion(criterion)
        if np.isinf(values).all():
            raise ValueError(
                f"every solution of the path has more than n/2 = {effective_samples(self.problem) / 2:g} "
                f"parameters, which {criterion} cannot judge: give larger lams, or use cross_validate."
            )
        return self.solutions[int(np.argmin(values))]

    def plot(
        self, ax: Axes | None = None, *, names: Sequence[str] | None = None, criterion: str = "ebic"
    ) -> Axes:
        """Draw the coefficients against lam, those of the solution that a criterion chooses in colour.

        Parameters
        ----------
        ax
            Where to draw; new axes by default.
        names
            Names of the features.
        criterion
            "ebic", "bic", or "" for none.
        """
        from convex_analysis.pictures import draw_path

        return draw_path(self, ax, None if names is None else list(names), criterion)

    def __repr__(self) -> str:
        sizes = [int(solution.support.size) for solution in self.solutions]
        if not sizes:
            return "Path(no solutions)"
        stopped = sum(not solution.converged for solution in self.solutions)
        ended = "" if self.status is Status.CONVERGED else f"{self.status.name}, "
        return (
            f"Path({ended}{len(self)} solutions, lam {self.lams[0]:.4g} to {self.lams[-1]:.4g}, support "
            f"{sizes[0]} to {sizes[-1]} of {self.problem.n_features}"
            + (f", {stopped} stopped early)" if stopped else ")")
        )


def lam_grid(problem: Problem, n_lams: int = 50, smallest: float | None = None) -> Vector:
    """Return ``n_lams`` values from the `lam_of_zero` down, evenly spaced in the logarithm.

    Parameters
    ----------
    problem
        Supplies the largest lam.
    n_lams
        Number of values, at least 1.
    smallest
        The last value over lam_max, in (0, 1]; 0.01 if there are fewer samples than features, else 0.001.
    """
    check_solver_parameters("lam_grid", problem, n_lams=n_lams, smallest=smallest)
    if smallest is None:
        smallest = 1e-2 if effective_samples(problem) < problem.n_features else 1e-3
    least = problem.lam_max() * smallest
    return np.geomspace(lam_of_zero(problem), least, n_lams) if least > 0.0 else np.zeros(n_lams)


def lam_of_zero(problem: Problem) -> float:
    """Return the smallest lam at which no single coordinate pays: above `lam_max` for a concave penalty.

    At lam_max the zero vector is stationary; where the penalty bends, a coordinate may pay all the same by a
    jump. By a quadratic model of the data fit at zero this is
    ``max_j max_t (|g_j| t - h_j t^2 / 2) / (factor_j r(t))``, for the linear loss to a thousandth. A path
    from here down begins with the model without features.

    Raises
    ------
    ValueError
        As `Problem.lam_max`.
    """
    largest = problem.lam_max()
    if problem.with_lam(1.0).is_convex or problem.group is not None:
        return largest
    zero, intercept = problem.start_at_zero()
    z = problem.predictor(zero, intercept)
    rows = problem.row_weights * problem.loss.second_derivative(z, problem.y)
    gradient = -problem.gradient_at_start()
    slopes, bends = problem.design.rmatvec_and_squared_norms(rows, rows)
    if problem.fit_intercept and rows.sum() > 0.0:
        bends = bends - slopes**2 / rows.sum()
    bends = bends if problem.ridge is None else bends + problem.ridge
    factor = problem.penalty_factor
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        farthest = np.minimum(
            np.abs(gradient) / bends, np.where(gradient > 0.0, problem.upper, -problem.lower)
        )
        gain = gradient**2 / (bends * factor)
    usable = np.flatnonzero(np.isfinite(gain) & (farthest > 0.0) & (factor > 0.0))
    leading = usable[np.argsort(-gain[usable], kind="stable")[: steering.LEADING]]
    if leading.size:
        sizes = farthest[leading, None] * _SHARES
        gains = (np.abs(gradient[leading, None]) - 0.5 * bends[leading, None] * sizes) * sizes
        with np.errstate(divide="ignore", invalid="ignore"):
            lams = gains / (factor[leading, None] * np.asarray(problem.penalty.value(sizes)))
        jump = (1.0 + _ABOVE) * float(np.max(lams[np.isfinite(lams)], initial=0.0))
        # With an infinite slope lam_max is a stand-in.
        largest = max(largest, jump) if np.isfinite(problem.slope_at_zero) else jump
    return largest


def read_grid(problem: Problem, lams: Any, n_lams: int, smallest: float | None) -> Vector:
    """Return the values of lam given, checked, or else `lam_grid`."""
    if lams is None:
        return lam_grid(problem, n_lams, smallest)
    grid = np.asarray(lams, dtype=np.float64)
    if not grid.size:
        raise ValueError("lams is empty: give at least one value, or None for a grid from lam_max down.")
    for lam in grid:
        check_lam(float(lam))
    return grid


def follow(problems: Sequence[Problem], start: str | Vector | None, stop: Stop) -> tuple[Solution, ...]:
    """Solve problems that share data and box one after the other, each from the solution before.

    The solutions are fewer than the problems where the time is over or the callback stops the run.

    Parameters
    ----------
    problems
        The same problem with other lams, other penalties, or both.
    start
        As in `path`.
    stop
        When to stop.
    """
    # In double precision: what a support becomes along a path should not hang on rounding.
    solver = Solver(problems[0], np.float64)
    solutions: list[Solution] = []
    with one_thread():
        for problem in problems:
            solutions.append(_continued(problem, solver, solutions[-1].x if solutions else start, stop))
            if stop.is_late or solutions[-1].status is Status.STOPPED:
                break
    return tuple(solutions)


def _continued(problem: Problem, solver: Solver, start: str | Vector | None, stop: Stop) -> Solution:
    """Solve from the solution before; where the slope at zero is infinite, from l1 as well.

    There an entry that is zero stays zero, so that a path could only lose entries: the better one counts.
    """
    if np.isfinite(problem.slope_at_zero) or not problem.lam > 0.0:
        return solver.run(problem, start, stop)
    given = not (isinstance(start, str) or start is None) and np.any(start)
    return solver.best(problem, ("l1", start) if given else ("l1",), stop)


def path(
    problem: Problem,
    lams: Any = None,
    n_lams: int = 50,
    *,
    smallest: float | None = None,
    start: str | Vector | None = "zero",
    tol: float = 1e-8,
    max_iter: int = 1000,
    refine: bool = True,
    callback: Callable[[Progress], bool | None] | None = None,
    time_limit: float | None = None,
) -> Path:
    """Solve a problem along a grid of lam, each from the solution before: continuation.

    From large to small lam (the default grid) the support grows from nothing, which often ends in a better
    minimum of a concave penalty than a start at the last lam alone. A grid in any other order is followed
    as it is given: from small to large, solutions start dense and are thinned out.

    Parameters
    ----------
    problem
        Its own lam plays no part.
    lams
        Grid, not negative; `lam_grid` by default, whose first solution has no features.
    n_lams, smallest
        Size and end of the default grid.
    start
        Start of the first solution, as in `majorize_minimize`.
    tol, max_iter, refine
        As in `majorize_minimize`, for each solution.
    callback
        Called after each step of each solution; the path ends where it returns True.
    time_limit
        Seconds for the whole path, which then ends early; none by default.

    Raises
    ------
    TypeError, ValueError
        One sentence on what is wrong with an argument.

    Warns
    -----
    ConvergenceWarning
        If solutions stop before the tolerance, the message gives the worst; if the path ends early.
    """
    check_solver_parameters(
        "path", problem, lams=lams, start=start, tol=tol, max_iter=max_iter, refine=refine, callback=callback,
        time_limit=time_limit,
    )  # fmt: skip
    grid = read_grid(problem, lams, n_lams, smallest)
    found = solve_grid(problem, grid, start, Stop(tol, max_iter, refine, callback, time_limit))
    if len(found) < grid.size:
        reason = "the callback stopped it" if found.status is Status.STOPPED else "the time limit"
        warnings.warn(
            f"The path ended after {len(found)} of {grid.size} values of lam: {reason}.",
            ConvergenceWarning,
            stacklevel=2,
        )
    warn_of_early_ends(found, 2)
    return found


def solve_grid(problem: Problem, grid: Vector, start: str | Vector | None, stop: Stop) -> Path:
    """Solve as `path` does, without its checks and warnings."""
    solutions = follow([problem.with_lam(float(lam)) for lam in grid], start, stop)
    early = [solution for solution in solutions if not solution.converged]
    status = Status.CONVERGED
    if solutions[-1].status is Status.STOPPED:
        status = Status.STOPPED
    elif len(solutions) < grid.size or any(one.status is Status.TIME_LIMIT for one in solutions):
        status = Status.TIME_LIMIT
    elif early:
        status = max(early, key=lambda solution: solution.stationarity).status
    return Path(problem, grid[: len(solutions)], solutions, status)


def warn_of_early_ends(found: Path, stacklevel: int) -> None:
    """Warn where solutions of a path stopped before the tolerance; ``stacklevel`` is the caller's."""
    early = [solution for solution in found if not solution.converged]
    if early:
        worst = max(early, key=lambda solution: solution.stationarity)
        message = f"{len(early)} of {len(found)} solutions stopped early; the worst: {worst.message}"
        warnings.warn(message, ConvergenceWarning, stacklevel=stacklevel + 1)
