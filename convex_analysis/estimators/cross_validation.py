"""Cross-validation of alpha: a grid, a path on the training part of each fold, held-out losses."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.parallel import Parallel, delayed

from convex_analysis.estimators.alpha_problem import AlphaProblem
from convex_analysis.estimators.linear_model import quietly
from convex_analysis.losses.loss import Vector
from convex_analysis.path import path
from convex_analysis.solution import Solution

Fold = tuple[NDArray[np.intp], NDArray[np.intp]]
Solutions = tuple[Solution, ...]

SELECTIONS = ("best", "one-standard-error")


def alpha_grid(problems: Sequence[AlphaProblem], n_alphas: int, ratio: float) -> Vector:
    """Return alphas from the largest that is of use down to ``ratio`` times it, evenly in their logarithm.

    Parameters
    ----------
    problems
        One a target; the grid starts where all have zero as a solution.
    n_alphas
        How many.
    ratio
        Smallest over largest alpha, in (0, 1].

    Raises
    ------
    ValueError
        If the box excludes zero or nothing is penalised, so that no alpha makes zero a solution.
    """
    largest = max(_largest_alpha(problem) for problem in problems)
    if largest <= np.finfo(np.float64).resolution:  # constant targets: every alpha gives zero
        return np.full(n_alphas, np.finfo(np.float64).resolution)
    return np.geomspace(largest, ratio * largest, n_alphas) if n_alphas > 1 else np.array([largest])


def _largest_alpha(problem: AlphaProblem) -> float:
    """Return the alpha at which lam times the slope at zero equals the largest gradient at zero."""
    alpha = 1.0
    # With a penalty that is multiplied by alpha the first round is exact; a function of alpha may need more.
    for _ in range(50):
        there = problem.with_lam(alpha)
        share = there.lam_max() / there.lam
        alpha *= share
        if alpha <= 0.0 or abs(share - 1.0) <= 1e-12:
            break
    return alpha


def solve_along(problem: AlphaProblem, alphas: Vector, start: str, tol: float, max_iter: int) -> Solutions:
    """Solve for each alpha in turn from the solution before, which reaches better minima than one alpha."""
    with quietly():
        return path(problem, alphas, start=start, tol=tol, max_iter=max_iter).solutions


def held_out(
    folds: Sequence[Fold],
    paths: Callable[[NDArray[np.float64]], list[Solutions]],
    losses: Callable[[list[Solutions], NDArray[np.intp]], Vector],
    n_samples: int,
    n_jobs: int | None,
) -> list[tuple[Vector, list[Solution]]]:
    """Return for each fold the held-out losses and the solutions on its training part.

    Parameters
    ----------
    folds
        Indices of training and of held-out samples.
    paths
        Solves with the samples' multiplicities given (0 for those held out, so that X is never
        copied): the solutions along alpha, one tuple a target.
    losses
        Losses of such solutions on the samples given.
    n_samples
        Number of samples.
    n_jobs
        Folds solved at the same time, as in scikit-learn.
    """

    def one(train: NDArray[np.intp], test: NDArray[np.intp]) -> tuple[Vector, list[Solution]]:
        found = paths(np.bincount(train, minlength=n_samples).astype(np.float64))
        return losses(found, test), [solution for target in found for solution in target]

    results: list[tuple[Vector, list[Solution]]] = Parallel(n_jobs=n_jobs)(
        delayed(one)(train, test) for train, test in folds
    )
    return results


def chosen_index(losses: Vector, selection: str) -> int:
    """Return the row of the alpha chosen.

    Parameters
    ----------
    losses
        Held-out losses, shape (n_alphas, n_folds), alphas falling; a fold without held-out weight is NaN.
    selection
        "best": least mean loss; "one-standard-error": largest alpha whose mean loss is within one
        standard error of the least.
    """
    counted = losses[:, ~np.isnan(losses).any(axis=0)]
    if not counted.shape[1]:
        raise ValueError("no fold has held-out samples with weight: give other folds or weights.")
    mean = counted.mean(axis=1)
    best = int(np.argmin(mean))
    if selection == "best" or counted.shape[1] < 2:
        return best
    error = float(counted[best].std(ddof=1)) / np.sqrt(counted.shape[1])
    return int(np.flatnonzero(mean <= mean[best] + error)[0])


def warn_once(solutions: Sequence[Solution]) -> None:
    """Warn once of all runs that stopped before their tolerance, with the worst figures."""
    stopped = [one for one in solutions if not one.converged]
    if stopped:
        worst = max(stopped, key=lambda one: one.stationarity / one.tolerance if one.tolerance else np.inf)
        warnings.warn(
            f"{len(stopped)} of {len(solutions)} runs of the path and its folds stopped early; the worst: "
            f"{worst.message} Increase max_iter, tol or alpha_min_ratio, or standardise the features.",
            ConvergenceWarning,
            stacklevel=3,
        )
