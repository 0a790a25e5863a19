"""The path on which a command chooses lam, and what it chose by."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from concave_sparsity.stages import Stage
    from convex_analysis.losses.loss import Vector
    from convex_analysis.problems import Problem
    from convex_analysis.regularisation_path import Path
    from convex_analysis.solution import Solution
    from convex_analysis.solver.stop import Progress

# Entries of X below which a path takes a moment and is not watched.
_LARGE = 1_000_000


@dataclass(frozen=True)
class Choice:
    """A path, and the solution chosen on it.

    Attributes
    ----------
    along
        The path on all data.
    best
        The solution chosen.
    by, quantity
        What it was chosen by in words, and what `values` are.
    values
        The criterion, or the mean held-out loss, of each solution.
    remedy
        What to do where the smallest lam was chosen.
    """

    along: Path
    best: Solution
    by: str
    quantity: str
    values: Vector
    remedy: str = "give --lam"

    def __str__(self) -> str:
        lams = self.along.lams
        told = f"by {self.by} among {len(self.along)} values from {lams[0]:.4g} to {lams[-1]:.4g}"
        if self.best.lam == lams[-1]:
            told += f"; it is the smallest of them: smaller ones may be better, {self.remedy}"
        return told


def choose(
    problem: Problem,
    choice: str,
    now: Stage,
    *,
    n_lams: int = 50,
    smallest: float | None = None,
    tol: float,
    max_iter: int = 1000,
) -> Choice:
    """Solve along a path and choose by "ebic", "bic", "cv" or "one-standard-error".

    Raises
    ------
    ValueError
        Where no solution can be judged; the message says what to do.
    """
    from convex_analysis.cross_validation import cross_validate
    from convex_analysis.regularisation_path import lam_grid, path
    from convex_analysis.solution import ConvergenceWarning

    grid = lam_grid(problem, n_lams, smallest)
    folds = 0 if choice in ("ebic", "bic") else 5
    watched = _Watch(now, grid.size, folds + 1)
    callback = watched if problem.n_samples * problem.n_features > _LARGE else None
    common: dict[str, Any] = {"tol": tol, "max_iter": max_iter, "callback": callback}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the report tells how the last run ended
        warnings.simplefilter("ignore", UserWarning)  # the edge of the grid is told by the report
        if not folds:
            along = path(problem, grid, **common)
            return Choice(along, along.best(choice), choice.upper(), choice.upper(), along.criterion(choice))
        found = cross_validate(problem, grid, folds=folds, progress=watched.part_done, **common)
    one = choice == "one-standard-error"
    by = "cross-validation" + (" within one standard error" if one else "")
    best = found.best_within_one_error if one else found.best
    return Choice(found.path, best, by, "held-out loss", found.mean)


class _Watch:
    """Counts the lams of paths that are followed one after the other."""

    def __init__(self, now: Stage, n_lams: int, parts: int) -> None:
        self._now, self._n_lams, self._of = now, n_lams, n_lams * parts
        self._parts = 0
        self._seen: set[float] = set()

    def __call__(self, progress: Progress) -> None:
        self._seen.add(progress.lam)
        self._now.tell(self._parts * self._n_lams + len(self._seen) - 1, self._of)

    def part_done(self, done: int, _: int) -> None:
        self._parts = done
        self._seen = set()
        self._now.tell(done * self._n_lams, self._of)


def chosen_place(choice: Choice) -> int:
    """Return which solution of the path was chosen."""
    return int(np.flatnonzero(choice.along.lams == choice.best.lam)[0])
