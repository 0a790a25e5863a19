"""Paths over lam by continuation: each solution starts the next."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convex_analysis.convex_step import ConvexStep
from convex_analysis.information_criteria import CRITERIA
from convex_analysis.losses.loss import Vector
from convex_analysis.majorize_minimize import run
from convex_analysis.problems.validation import check_lam
from convex_analysis.solution import ConvergenceWarning, Solution
from convex_analysis.solver_parameters import check_solver_parameters

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem


@dataclass(frozen=True, eq=False)
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
    """

    problem: Problem
    lams: Vector
    solutions: tuple[Solution, ...]

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
        """Return the solution with the smallest "bic" or "ebic" (the first of equals)."""
        return self.solutions[int(np.argmin(self.criterion(criterion)))]


def lam_grid(problem: Problem, n_lams: int = 50, smallest: float | None = None) -> Vector:
    """Return ``n_lams`` values from lam_max down, evenly spaced in the logarithm.

    Parameters
    ----------
    problem
        Supplies lam_max (see `Problem.lam_max`).
    n_lams
        Number of values, at least 1.
    smallest
        The last value over lam_max, in (0, 1]; 0.01 if there are fewer samples than features, else 0.001.
    """
    check_solver_parameters("lam_grid", problem, n_lams=n_lams, smallest=smallest)
    if smallest is None:
        smallest = 1e-2 if problem.n_samples < problem.n_features else 1e-3
    largest = problem.lam_max()
    return largest * np.geomspace(1.0, smallest, n_lams) if largest > 0.0 else np.zeros(n_lams)


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


def path(
    problem: Problem,
    lams: Any = None,
    n_lams: int = 50,
    *,
    smallest: float | None = None,
    start: str | Vector | None = "zero",
    tol: float = 1e-8,
    max_iter: int = 1000,
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
        Grid, not negative; `lam_grid` by default.
    n_lams, smallest
        Size and end of the default grid.
    start
        Start of the first solution, as in `majorize_minimize`.
    tol, max_iter
        As in `majorize_minimize`, for each solution.

    Raises
    ------
    TypeError, ValueError
        One sentence on what is wrong with an argument.

    Warns
    -----
    ConvergenceWarning
        Once, if solutions stop before the tolerance; the message gives the worst.
    """
    check_solver_parameters("path", problem, lams=lams, start=start, tol=tol, max_iter=max_iter)
    grid = read_grid(problem, lams, n_lams, smallest)
    # In double precision: what a support becomes along a path should not hang on rounding.
    solver = ConvexStep(problem.normalised(), np.float64)
    solutions: list[Solution] = []
    for lam in grid:
        at_lam = problem.with_lam(float(lam))
        solutions.append(run(at_lam, solver, solutions[-1].x if solutions else start, tol, max_iter))
    early = [solution for solution in solutions if not solution.converged]
    if early:
        worst = max(early, key=lambda solution: solution.stationarity)
        message = f"{len(early)} of {len(solutions)} solutions stopped early; the worst: {worst.message}"
        warnings.warn(message, ConvergenceWarning, stacklevel=2)
    return Path(problem, grid, tuple(solutions))
