"""Cross-validation of lam: held-out loss along a path, without a copy of X."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convex_analysis.information_criteria import effective_samples
from convex_analysis.losses.loss import Vector
from convex_analysis.path import Path, path, read_grid
from convex_analysis.solver_parameters import check_solver_parameters

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem
    from convex_analysis.solution import Solution


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """Held-out losses along a grid of lam, and the path on all data.

    Attributes
    ----------
    lams
        The grid, shape (k,).
    losses
        Weighted mean loss on each held-out fold, shape (folds, k).
    path
        Solutions on all data.
    """

    lams: Vector
    losses: Vector
    path: Path

    @property
    def mean(self) -> Vector:
        """Mean held-out loss at each lam, shape (k,)."""
        mean: Vector = self.losses.mean(axis=0)
        return mean

    @property
    def standard_error(self) -> Vector:
        """Standard error of that mean over the folds, shape (k,)."""
        error: Vector = self.losses.std(axis=0, ddof=1) / np.sqrt(self.losses.shape[0])
        return error

    @property
    def best(self) -> Solution:
        """The solution on all data at the lam of least mean loss (the largest lam of equals)."""
        return self.path.solutions[self._least()]

    @property
    def best_within_one_error(self) -> Solution:
        """The solution at the largest lam whose mean loss is within one standard error of the least."""
        least = self._least()
        near = np.flatnonzero(self.mean <= self.mean[least] + self.standard_error[least])
        return self.path.solutions[int(near[np.argmax(self.lams[near])])]

    def _least(self) -> int:
        near = np.flatnonzero(self.mean == self.mean.min())
        return int(near[np.argmax(self.lams[near])])


def cross_validate(
    problem: Problem,
    lams: Any = None,
    n_lams: int = 50,
    *,
    folds: int = 5,
    seed: int = 0,
    smallest: float | None = None,
    tol: float = 1e-6,
    max_iter: int = 1000,
) -> CrossValidation:
    """Choose lam by cross-validation.

    A fold is held out by giving its rows the weight zero, so X is never copied. For labels in two classes
    each fold has its share of both.

    Parameters
    ----------
    problem
        Its own lam plays no part.
    lams, n_lams, smallest
        The grid, as in `path`.
    folds
        Number of folds, from 2 to n_samples.
    seed
        Fixes the folds.
    tol, max_iter
        As in `majorize_minimize`.
    """
    check_solver_parameters(
        "cross_validate", problem, lams=lams, folds=folds, seed=seed, tol=tol, max_iter=max_iter
    )
    if folds > effective_samples(problem):
        raise ValueError(
            f"folds must be at most the number of samples with weight ({effective_samples(problem)}), "
            f"got {folds!r}."
        )
    grid = read_grid(problem, lams, n_lams, smallest)
    whole = path(problem, grid, tol=tol, max_iter=max_iter)
    fold = _folds(problem, folds, np.random.default_rng(seed))
    losses = np.empty((folds, grid.size))
    for k in range(folds):
        held_out = fold == k
        kept = problem.with_sample_weight(np.where(held_out, 0.0, problem.row_weights))
        rows = np.flatnonzero(held_out)
        weights = problem.row_weights[rows]
        total = float(weights.sum())  # never zero: a fold holds samples with weight
        for i, solution in enumerate(path(kept, grid, tol=tol, max_iter=max_iter)):
            z = problem.predictor(solution.x, solution.intercept)[rows]
            loss = float(weights @ problem.loss.value(z, problem.y[rows]))
            losses[k, i] = loss / total
    return CrossValidation(grid, losses, whole)


def _folds(problem: Problem, folds: int, rng: np.random.Generator) -> Any:
    """Return each row's fold: dealt out in turn after a shuffle, class by class where there are two.

    Rows without weight are in no fold (-1): they change nothing.
    """
    counted = np.flatnonzero(problem.row_weights)
    order = counted[rng.permutation(counted.size)]
    if np.unique(problem.y[counted]).size == 2:
        order = order[np.argsort(problem.y[order], kind="stable")]
    fold = np.full(problem.n_samples, -1, dtype=np.intp)
    fold[order] = np.arange(counted.size) % folds
    return fold
