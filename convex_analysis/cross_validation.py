"""Cross-validation of lam: held-out loss along a path, without a copy of X; the one engine of it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from convex_analysis.information_criteria import effective_samples
from convex_analysis.losses.loss import Vector
from convex_analysis.regularisation_path import Path, read_grid, solve_grid, warn_of_early_ends
from convex_analysis.solution import ConvergenceWarning, Status
from convex_analysis.solver.stop import Progress, Stop
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
    go_on: Callable[[list[tuple[Vector, Found]]], bool] | None = None,
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
    go_on
        Asked after each fold, with the results so far, whether the others are wanted.
    """
    from sklearn.utils.parallel import Parallel, delayed

    def one(train: NDArray[np.intp], test: NDArray[np.intp]) -> tuple[Vector, Found]:
        found = fit(np.bincount(train, minlength=n_samples).astype(np.float64))
        return judge(found, test), found

    if n_jobs in (None, 1):
        # One after the other as joblib would, but what the caller raises or interrupts comes at once.
        made: Iterable[tuple[Vector, Found]] = (one(train, test) for train, test in folds)
    else:
        made = Parallel(n_jobs=n_jobs, return_as="generator")(delayed(one)(*fold) for fold in folds)
    results: list[tuple[Vector, Found]] = []
    for result in made:
        results.append(result)
        if progress is not None:
            progress(len(results), len(folds))
        if go_on is not None and not go_on(results):
            break
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
        Weighted mean loss on each held-out fold, shape (folds, k); of the finished folds alone where the
        run was stopped.
    path
        Solutions on all data.
    status
        CONVERGED where every fold was finished, TIME_LIMIT or STOPPED where that ended the run.
    """

    lams: Vector
    losses: Vector
    path: Path
    status: Status = Status.CONVERGED

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
        """The solution on all data at the lam of least mean loss (the largest lam of equals).

        Raises
        ------
        ValueError
            If the run was stopped before a fold was finished.
        """
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
        if not self.losses.shape[0]:
            raise ValueError(f"no fold was finished: {self.status.value} Give more time, or fewer lams.")
        falling = np.argsort(-self.lams, kind="stable")
        return self.path.solutions[int(falling[chosen_index(self.losses.T[falling], selection)])]

    def __repr__(self) -> str:
        if not self.losses.shape[0]:
            return f"CrossValidation({self.status.name}, no fold finished, {self.lams.size} values of lam)"
        best, sparser = self.best, self.best_within_one_error
        return (
            f"CrossValidation({'' if self.status is Status.CONVERGED else f'{self.status.name}, '}"
            f"{self.losses.shape[0]} folds, {self.lams.size} values of lam, best lam "
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
    callback: Callable[[Progress], bool | None] | None = None,
    time_limit: float | None = None,
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
    callback
        Called after each step of each solution, as in `majorize_minimize`; the run ends where it returns
        True. Folds in other processes cannot be watched: for ``n_jobs`` of one alone.
    time_limit
        Seconds for all, after which the unfinished folds are left out; none by default.

    Raises
    ------
    TypeError, ValueError
        One sentence on what is wrong with an argument.

    Warns
    -----
    ConvergenceWarning
        If solutions stop before the tolerance, or the run ends early.
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
        callback=callback,
        time_limit=time_limit,
    )
    if callback is not None and n_jobs not in (None, 1):
        raise ValueError(
            f"callback cannot watch folds in other processes: leave n_jobs at None, got {n_jobs!r}, or use "
            "progress."
        )
    if folds > effective_samples(problem):
        raise ValueError(
            f"folds must be at most the number of samples with weight ({effective_samples(problem)}), "
            f"got {folds!r}."
        )
    grid = read_grid(problem, lams, n_lams, smallest)
    deadline = None if time_limit is None else time.time() + time_limit  # a clock that processes share

    def stop() -> Stop:
        left = None if deadline is None else max(deadline - time.time(), 0.0)
        return Stop(tol, max_iter, True, callback, left)

    whole = solve_grid(problem, grid, "zero", stop())
    grid = whole.lams
    status = whole.status if _is_cut(whole.status) else Status.CONVERGED
    if progress is not None:
        progress(1, folds + 1)
    fold = deal_folds(problem, folds, np.random.default_rng(seed))

    def fit(times: NDArray[np.float64]) -> Path:
        part = problem.with_sample_weight(times * problem.sample_weight)
        return solve_grid(part, grid, "zero", stop())

    def judge(found: Path, test: NDArray[np.intp]) -> Vector:
        weights = problem.sample_weight[test]
        # By the problem that was solved: what the intercepts of several responses are added to is its own.
        losses = [weights @ found.problem.sample_losses(one.x, one.intercept)[test] for one in found]
        return np.array(losses) / float(weights.sum())  # never zero: a fold holds samples with weight

    def go_on(results: list[tuple[Vector, Path]]) -> bool:
        return not any(_is_cut(found.status) for _, found in results)

    parts = [(np.flatnonzero((fold != k) & (fold >= 0)), np.flatnonzero(fold == k)) for k in range(folds)]
    told = None if progress is None else (lambda done, count: progress(done + 1, count + 1))
    results: list[tuple[Vector, Path]] = []
    if status is Status.CONVERGED:
        results = held_out(parts, fit, judge, problem.sample_weight.size, n_jobs, told, go_on)
    finished = [(losses, found) for losses, found in results if not _is_cut(found.status)]
    for one in [whole, *(found for _, found in finished)]:
        if not _is_cut(one.status):
            warn_of_early_ends(one, 2)
    if results and len(finished) < folds:
        status = next(found.status for _, found in results if _is_cut(found.status))
    if _is_cut(status):
        message = f"The cross-validation ended after {len(finished)} of {folds} folds: {status.value}"
        warnings.warn(message, ConvergenceWarning, stacklevel=2)
    losses = np.array([one for one, _ in finished]).reshape(len(finished), grid.size)
    found = CrossValidation(grid, losses, whole, status)
    if finished:
        falling = np.argsort(-grid, kind="stable")
        remedy = "give a smaller `smallest`" if lams is None else "give smaller lams"
        warn_at_edge(losses.T[falling], grid[falling], "lam", remedy, 2)
    return found


def _is_cut(status: Status) -> bool:
    """Whether the callback or the time ended a run."""
    return status in (Status.STOPPED, Status.TIME_LIMIT)


def deal_folds(problem: Problem, folds: int, rng: np.random.Generator) -> Any:
    """Return each row's fold: dealt out in turn after a shuffle, class by class where there are two.

    Rows without weight are in no fold (-1): they change nothing.
    """
    counted = np.flatnonzero(problem.sample_weight)
    order = counted[rng.permutation(counted.size)]
    kinds = problem.strata()
    if kinds is not None:
        order = order[np.argsort(kinds[order], kind="stable")]
    fold = np.full(problem.sample_weight.size, -1, dtype=np.intp)
    fold[order] = np.arange(counted.size) % folds
    return fold
