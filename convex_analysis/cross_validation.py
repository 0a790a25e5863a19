"""Cross-validation of lam: held-out loss along a path, without a copy of X; the one engine of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from convex_analysis.information_criteria import effective_samples
from convex_analysis.losses.loss import Vector
from convex_analysis.path import Path, path, read_grid
from convex_analysis.solver_parameters import check_solver_parameters

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from convex_analysis.problems.problem import Problem
    from convex_analysis.solution import Solution

Fold = tuple[NDArray[np.intp], NDArray[np.intp]]
Found = TypeVar("Found")

SELECTIONS = ("best", "one-standard-error")


class GridEdgeWarning(UserWarning):
    """The strength chosen is the last of its grid: a better one may lie beyond."""


def held_out(
    folds: Sequence[Fold],
    fit: Callable[[NDArray[np.float64]], Found],
    judge: Callable[[Found, NDArray[np.intp]], Vector],
    n_samples: int,
    n_jobs: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[tuple[Vector, Found]]:
    """Return for each fold the held-out losses and what was fitted on its training part.

    Parameters
    ----------
    folds
        Indices of training and of held-out samples.
    fit
        Fits with the samples' multiplicities given (0 for those held out, so that X is never copied).
    judge
        Losses of what was fitted on the samples given.
    n_samples
        Number of samples.
    n_jobs
        Folds fitted at the same time, as in scikit-learn.
    progress
        Called after each fold with the number of folds done and of all.
    """
    from sklearn.utils.parallel import Parallel, delayed

    def one(train: NDArray[np.intp], test: NDArray[np.intp]) -> tuple[Vector, Found]:
        found = fit(np.bincount(train, minlength=n_samples).astype(np.float64))
        return judge(found, test), found

    if n_jobs in (None, 1):
        # One after the other as joblib would, but what the caller raises or interrupts comes at once.
        results = []
        for train, test in folds:
            results.append(one(train, test))
            if progress is not None:
                progress(len(results), len(folds))
        return results
    parallel = Parallel(n_jobs=n_jobs, return_as="generator")
    results = []
    for result in parallel(delayed(one)(train, test) for train, test in folds):
        results.append(result)
        if progress is not None:
            progress(len(results), len(folds))
    return results


def chosen_index(losses: Vector, selection: str) -> int:
    """Return the row of the strength chosen.

    Parameters
    ----------
    losses
        Held-out losses, shape (n_strengths, n_folds), strengths falling; a fold without held-out
        weight is NaN.
    selection
        "best": least mean loss (the first of equals); "one-standard-error": the first whose mean loss
        is within one standard error of the least.

    Raises
    ------
    ValueError
        If no fold has held-out samples with weight.
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


def warn_at_edge(losses: Vector, values: Vector, name: str, remedy: str, stacklevel: int) -> None:
    """Warn where the least mean loss is at the smallest strength of a grid, and still falling there.

    Parameters
    ----------
    losses, values
        Held-out losses, shape (n_strengths, n_folds), and the strengths, falling.
    name, remedy
        What the strength is called, and what the caller may do.
    stacklevel
        As in `warnings.warn`, from the caller.
    """
    if values.size < 3 or chosen_index(losses, "best") < values.size - 1:
        return
    counted = losses[:, ~np.isnan(losses).any(axis=0)]
    fall = counted[-2] - counted[-1]
    error = float(fall.std(ddof=1)) / np.sqrt(fall.size) if fall.size > 1 else 0.0
    if fall.mean() > max(error, 1e-3 * abs(float(counted[-1].mean()))):
        warnings.warn(
            f"the best {name} is the smallest of its grid, {values[-1]:.4g}, where the held-out loss still "
            f"falls: {remedy}.",
            GridEdgeWarning,
            stacklevel=stacklevel + 1,
        )


@dataclass(frozen=True, eq=False, repr=False)
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
        return self._chosen("best")

    @property
    def best_within_one_error(self) -> Solution:
        """The solution at the largest lam whose mean loss is within one standard error of the least."""
        return self._chosen("one-standard-error")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the held-out loss against lam with its standard error, and the size of the model.

        Parameters
        ----------
        ax
            Where to draw; new axes by default.
        """
        from convex_analysis.pictures import draw_cross_validation

        return draw_cross_validation(self, ax)

    def _chosen(self, selection: str) -> Solution:
        falling = np.argsort(-self.lams, kind="stable")
        return self.path.solutions[int(falling[chosen_index(self.losses.T[falling], selection)])]

    def __repr__(self) -> str:
        best, sparser = self.best, self.best_within_one_error
        return (
            f"CrossValidation({self.losses.shape[0]} folds, {self.lams.size} values of lam, best lam "
            f"{best.lam:.4g} with {best.support.size} features, within one standard error "
            f"{sparser.lam:.4g} with {sparser.support.size})"
        )


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
    n_jobs: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CrossValidation:
    """Choose lam by cross-validation.

    A fold is held out by giving its rows the weight zero, so X is never copied. For labels in two classes
    each fold has its share of both. Rows without weight are in no fold.

    Parameters
    ----------
    problem
        Its own lam plays no part.
    lams, n_lams, smallest
        The grid, as in `path`.
    folds
        Number of folds, from 2 to the number of samples with weight.
    seed
        Fixes the folds.
    tol, max_iter
        As in `majorize_minimize`.
    n_jobs
        Folds solved at the same time, as in scikit-learn.
    progress
        Called as ``progress(done, all)`` after the path on all data and after each fold: for a progress bar.

    Warns
    -----
    GridEdgeWarning
        If the least held-out loss is at the smallest lam of the grid.
    """
    check_solver_parameters(
        "cross_validate",
        problem,
        lams=lams,
        folds=folds,
        seed=seed,
        tol=tol,
        max_iter=max_iter,
        n_jobs=n_jobs,
        progress=progress,
    )
    if folds > effective_samples(problem):
        raise ValueError(
            f"folds must be at most the number of samples with weight ({effective_samples(problem)}), "
            f"got {folds!r}."
        )
    grid = read_grid(problem, lams, n_lams, smallest)
    whole = path(problem, grid, tol=tol, max_iter=max_iter)
    if progress is not None:
        progress(1, folds + 1)
    fold = _folds(problem, folds, np.random.default_rng(seed))

    def fit(times: NDArray[np.float64]) -> Path:
        return path(problem.with_sample_weight(times * problem.row_weights), grid, tol=tol, max_iter=max_iter)

    def judge(found: Path, test: NDArray[np.intp]) -> Vector:
        weights = problem.row_weights[test]
        losses = [
            weights @ problem.loss.value(problem.predictor(one.x, one.intercept)[test], problem.y[test])
            for one in found
        ]
        return np.array(losses) / float(weights.sum())  # never zero: a fold holds samples with weight

    parts = [(np.flatnonzero((fold != k) & (fold >= 0)), np.flatnonzero(fold == k)) for k in range(folds)]
    told = None if progress is None else (lambda done, count: progress(done + 1, count + 1))
    results = held_out(parts, fit, judge, problem.n_samples, n_jobs, told)
    found = CrossValidation(grid, np.array([losses for losses, _ in results]), whole)
    falling = np.argsort(-grid, kind="stable")
    remedy = "give a smaller `smallest`" if lams is None else "give smaller lams"
    warn_at_edge(found.losses.T[falling], grid[falling], "lam", remedy, 2)
    return found


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
