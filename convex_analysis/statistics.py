"""What statisticians ask of a sparse model: stability, honest losses, standard errors, degrees of freedom."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import t as student

from convex_analysis.cross_validation import SELECTIONS, cross_validate, deal_folds, held_out
from convex_analysis.design import Indices
from convex_analysis.information_criteria import effective_samples
from convex_analysis.losses import Gamma, Logistic, Poisson
from convex_analysis.losses.loss import Vector
from convex_analysis.parameters import Number, Word, check_parameters
from convex_analysis.regularisation_path import read_grid
from convex_analysis.regulariser import Grouped
from convex_analysis.solver.run import Solver, majorize_minimize
from convex_analysis.solver.stop import Stop
from convex_analysis.solver_parameters import check_solver_parameters

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem
    from convex_analysis.solution import Solution

_ASSUMPTIONS = ("none", "unimodal")
_AT_LEAST_ONE = Number(low=1, integer=True)


@dataclass(frozen=True, eq=False)
class StabilitySelection:
    """How often each feature (or group) is selected on random halves of the samples.

    Attributes
    ----------
    frequencies
        Share of the halves that select each feature (group), shape (n_features,) or (n_groups,).
    selected
        Indices of those with a frequency of at least the threshold.
    threshold
        The share asked for.
    most
        Features (groups) that one half selects at most.
    error_bound
        Expected number of wrong selections at most (see `stability_selection`); inf where nothing is known.
    """

    frequencies: Vector
    selected: Indices
    threshold: float
    most: int
    error_bound: float

    def __repr__(self) -> str:
        shown = ", ".join(f"{i} ({self.frequencies[i]:.2f})" for i in self.selected[:20])
        more = ", ..." if len(self.selected) > 20 else ""
        return (
            f"StabilitySelection: {len(self.selected)} of {len(self.frequencies)} selected by at least "
            f"{self.threshold:g} of the halves, of which {self.error_bound:.3g} wrong at most are expected\n"
            f"  index (share of the halves): {shown or 'none'}{more}"
        )


def stability_selection(
    problem: Problem,
    most: int,
    *,
    threshold: float = 0.75,
    pairs: int = 50,
    assumption: str = "unimodal",
    n_lams: int = 50,
    smallest: float | None = None,
    seed: int = 0,
    tol: float = 1e-6,
    max_iter: int = 1000,
    n_jobs: int | None = None,
) -> StabilitySelection:
    """Select the features that most of many random half-samples select.

    Each pair splits the samples into two halves; on each half the path is followed from the model without
    features to the last lam at which no more than ``most`` features have been in a support. With the share
    ``theta = most / d``, the expected number of selected features whose chance to be selected by a half is at
    most theta (noise, if the features without effect are exchangeable and selected no more often than at
    random) is at most ``most^2 / ((2 threshold - 1) d)`` (Meinshausen and Buehlmann 2010, theorem 1; Shah and
    Samworth 2013, theorem 1, for complementary pairs without exchangeability). Where the distribution of a
    feature's frequency over the pairs is unimodal, it is at most ``C theta most`` with the smaller C of Shah
    and Samworth 2013, theorem 2.

    Parameters
    ----------
    problem
        A problem of one response; its own lam plays no part.
    most
        Features (groups) that one half may select, from 1 to their number.
    threshold
        Frequency from which a feature counts as stable, in (0.5, 1].
    pairs
        Number of complementary pairs B.
    assumption
        "none", or "unimodal" for the sharper bound.
    n_lams, smallest
        The grid of lam, as in `path`, of all samples.
    seed
        Fixes the halves.
    tol, max_iter
        As in `majorize_minimize`.
    n_jobs
        Halves solved at the same time, as in scikit-learn.

    Raises
    ------
    ValueError, TypeError
        One sentence on what is wrong with an argument.
    """
    check_solver_parameters(
        "stability_selection", problem, n_lams=n_lams, smallest=smallest, seed=seed, tol=tol,
        max_iter=max_iter, n_jobs=n_jobs,
    )  # fmt: skip
    _require_one_response(problem, "stability_selection")
    label = np.arange(problem.n_features) if problem.group is None else problem.group
    size = int(label.max()) + 1
    check_parameters(
        "stability_selection",
        {"most": most, "threshold": threshold, "pairs": pairs, "assumption": assumption},
        {
            "most": (Number(low=1, high=size, integer=True),),
            "threshold": (Number(low=0.5, high=1.0, above=True),),
            "pairs": (_AT_LEAST_ONE,),
            "assumption": (Word(_ASSUMPTIONS),),
        },
    )
    counted = np.flatnonzero(problem.row_weights)
    half = counted.size // 2
    if half < 2:
        raise ValueError(
            f"Stability selection needs at least four samples with weight; there are {counted.size}."
        )
    rng = np.random.default_rng(seed)
    orders = [counted[rng.permutation(counted.size)] for _ in range(pairs)]
    halves = [part for order in orders for part in (order[:half], order[half : 2 * half])]
    grid = read_grid(problem, None, n_lams, smallest)

    def select(times: NDArray[np.float64]) -> NDArray[np.bool_]:
        part = problem.with_sample_weight(times * problem.row_weights)
        solver, stop = Solver(part, np.float64), Stop(tol, max_iter)
        chosen = np.zeros(size, dtype=bool)
        start: Any = "zero"
        for lam in grid:
            found = solver.run(part.with_lam(float(lam)), start, stop)
            start = found.x
            wider = chosen.copy()
            wider[label[found.support]] = True
            if np.count_nonzero(wider) > most:
                break
            chosen = wider
        return chosen

    def share(chosen: NDArray[np.bool_], _: NDArray[np.intp]) -> Vector:
        return chosen.astype(np.float64)

    folds = [(part, part[:0]) for part in halves]
    runs = held_out(folds, select, share, problem.n_samples, n_jobs)
    frequencies: Vector = np.mean([counted for counted, _ in runs], axis=0)
    stable = np.flatnonzero(frequencies >= threshold - 1e-12)
    bound = error_bound(most, size, threshold, pairs, assumption)
    return StabilitySelection(frequencies, stable, threshold, most, bound)


def error_bound(most: int, size: int, threshold: float, pairs: int, assumption: str = "none") -> float:
    """Return the bound of `stability_selection` on the expected number of wrong selections.

    "none": ``most^2 / ((2 threshold - 1) size)``. "unimodal": with ``theta = most / size`` the smaller one of
    that and ``C theta most``, ``C = 1 / (2 (2 threshold - 1 - 1/(2B)))`` up to 3/4 and
    ``4 (1 - threshold + 1/(2B)) / (1 + 1/B)`` beyond, where theta is at most ``1/sqrt(3)`` and the threshold
    above ``min(1/2 + theta^2, 1/2 + 1/(2B) + 3 theta^2 / 4)``.
    """
    theta = most / size
    plain = theta * most / (2.0 * threshold - 1.0)
    least = min(0.5 + theta**2, 0.5 + 0.5 / pairs + 0.75 * theta**2)
    if assumption == "none" or theta > 1.0 / sqrt(3.0) or threshold <= least:
        return plain
    if threshold <= 0.75:
        room = 2.0 * threshold - 1.0 - 0.5 / pairs
        factor = 0.5 / room if room > 0.0 else np.inf
    else:
        factor = 4.0 * (1.0 - threshold + 0.5 / pairs) / (1.0 + 1.0 / pairs)
    return min(plain, factor * theta * most)


@dataclass(frozen=True, eq=False)
class NestedCrossValidation:
    """Held-out losses of models whose lam was chosen without the samples held out.

    Attributes
    ----------
    losses
        Weighted mean loss on each outer fold, shape (outer,).
    lams
        The lam chosen for each, shape (outer,).
    solutions
        The solutions judged. Of several responses each is a point of `Problem.with_sample_weight` without the
        samples held out, to which its intercepts belong.
    """

    losses: Vector
    lams: Vector
    solutions: tuple[Solution, ...]

    @property
    def mean(self) -> float:
        """Mean held-out loss: an estimate for the whole procedure, choice of lam included."""
        return float(self.losses.mean())

    @property
    def standard_error(self) -> float:
        """Standard error of the mean over the outer folds, which are not independent: a rough figure."""
        return float(self.losses.std(ddof=1)) / sqrt(self.losses.size)

    def __repr__(self) -> str:
        lams = ", ".join(f"{lam:.3g}" for lam in self.lams)
        return (
            f"NestedCrossValidation: mean held-out loss {self.mean:.6g} +- {self.standard_error:.2g} "
            f"over {self.losses.size} folds\n  lam chosen in each: {lams}"
        )


def nested_cross_validate(
    problem: Problem,
    *,
    outer: int = 5,
    folds: int = 5,
    selection: str = "best",
    n_lams: int = 50,
    smallest: float | None = None,
    seed: int = 0,
    tol: float = 1e-6,
    max_iter: int = 1000,
    n_jobs: int | None = None,
) -> NestedCrossValidation:
    """Estimate the loss of "choose lam by cross-validation, then fit" on samples that had no part in it.

    For each outer fold, `cross_validate` chooses lam on the other samples alone (their own grid, too), and
    the solution at that lam is judged on the fold. The loss of `cross_validate` at its best lam is too low:
    that lam was chosen by it.

    Parameters
    ----------
    problem
        Its own lam plays no part.
    outer, folds
        Number of outer and of inner folds, each from 2.
    selection
        "best" or "one-standard-error", as in `ConcaveRegressorCV`.
    n_lams, smallest, tol, max_iter
        As in `cross_validate`.
    seed
        Fixes all folds.
    n_jobs
        Outer folds at the same time, as in scikit-learn.
    """
    check_solver_parameters(
        "nested_cross_validate", problem, folds=folds, n_lams=n_lams, smallest=smallest, seed=seed, tol=tol,
        max_iter=max_iter, n_jobs=n_jobs,
    )  # fmt: skip
    samples = effective_samples(problem)
    check_parameters(
        "nested_cross_validate",
        {"outer": outer, "selection": selection},
        {"outer": (Number(low=2, high=samples, integer=True),), "selection": (Word(SELECTIONS),)},
    )
    weight = problem.sample_weight
    fold = deal_folds(problem, outer, np.random.default_rng([seed, 1]))

    def fit(times: NDArray[np.float64]) -> Solution:
        part = problem.with_sample_weight(times * weight)
        found = cross_validate(
            part, n_lams=n_lams, folds=folds, seed=seed, smallest=smallest, tol=tol, max_iter=max_iter
        )
        return found.best if selection == "best" else found.best_within_one_error

    def judge(found: Solution, test: NDArray[np.intp]) -> Vector:
        # By the problem that was solved: what the intercepts of several responses are added to is its own.
        trained = weight.copy()
        trained[test] = 0.0
        losses = problem.with_sample_weight(trained).sample_losses(found.x, found.intercept)[test]
        return np.array([weight[test] @ losses / weight[test].sum()])

    parts = [(np.flatnonzero((fold != k) & (fold >= 0)), np.flatnonzero(fold == k)) for k in range(outer)]
    results = held_out(parts, fit, judge, weight.size, n_jobs)
    solutions = tuple(found for _, found in results)
    losses = np.array([float(one[0]) for one, _ in results])
    return NestedCrossValidation(losses, np.array([one.lam for one in solutions]), solutions)


@dataclass(frozen=True, eq=False)
class Refit:
    """A fit without penalty on a support, with standard errors that are conditional on the support.

    The support is taken as given. Where the same data chose it, the intervals are too narrow and too far from
    zero: judge coefficients on fresh samples, or choose the support on one half and refit on the other.

    Attributes
    ----------
    support
        Indices of the features, shape (p,).
    coefficients, standard_errors
        Estimates and standard errors, shape (p,).
    intercept, intercept_error
        The intercept with its standard error, 0.0 without one.
    intervals
        Confidence intervals at the level asked for, shape (p, 2).
    dispersion
        Estimate of the noise: its variance for least squares, 1 where the model fixes it.
    """

    support: Indices
    coefficients: Vector
    standard_errors: Vector
    intercept: float
    intercept_error: float
    intervals: NDArray[np.float64]
    dispersion: float

    def __repr__(self) -> str:
        rows = zip(self.support[:20], self.coefficients, self.intervals)
        lines = [f"\n  {j}: {value:.4g} ({low:.4g} to {high:.4g})" for j, value, (low, high) in rows]
        more = "\n  ..." if len(self.support) > 20 else ""
        return (
            f"Refit: {len(self.support)} features without penalty, intercept {self.intercept:.4g}, "
            f"dispersion {self.dispersion:.4g}\n  index: coefficient (interval){''.join(lines)}{more}"
        )


def refit(problem: Problem, support: Any, *, level: float = 0.95, tol: float = 1e-10) -> Refit:
    """Fit the features of a support without penalty, ridge and bounds: no shrinkage, with standard errors.

    The covariance is the inverse Fisher information times the dispersion: for least squares the residual
    variance with n - p degrees of freedom and Student's t; for gamma losses Pearson's statistic; 1 for
    logistic and Poisson losses. Other losses have the sandwich ``H^-1 V H^-1`` (Huber 1967). Sample weights
    are inverse variances up to a factor.

    Parameters
    ----------
    problem
        A problem of one response, with a support of fewer features than samples.
    support
        A `Solution`, or indices of features.
    level
        Of the confidence intervals, in (0, 1).
    tol
        Stationarity, as in `majorize_minimize`.

    Raises
    ------
    ValueError
        If the features of the support depend on each other, if there are too few samples, or if the fit has
        no minimum (classes that are separated).
    """
    _require_one_response(problem, "refit")
    check_parameters("refit", {"level": level}, {"level": (Number(low=0, high=1, above=True),)})
    given = np.asarray(getattr(support, "support", support))
    if given.size and (given.dtype.kind not in "iu" or given.ndim != 1):
        raise TypeError(
            f"support must be a Solution or indices of features, got {given.dtype} of shape {given.shape}: "
            "of a mask take np.flatnonzero."
        )
    columns = np.unique(given.astype(np.intp))
    n, p = effective_samples(problem), columns.size + int(problem.fit_intercept)
    outside = columns[(columns < 0) | (columns >= problem.n_features)]
    if outside.size:
        raise ValueError(f"support names feature {outside[0]} of {problem.n_features}, counted from 0.")
    if p >= n:
        raise ValueError(f"refit needs more samples than parameters: {n} samples, {p} parameters.")
    bound = np.where(np.isin(np.arange(problem.n_features), columns), np.inf, 0.0)
    free = problem.with_parts(
        fit=problem.fit.with_ridge(None), lam=0.0, lower=-bound, upper=bound, group=None,
        penalty_factor=np.ones(problem.n_features),
    )  # fmt: skip
    found = majorize_minimize(free, "zero", tol)
    if not found.converged:
        raise ValueError(f"the fit on the support has no minimum that could be reached: {found.message}")
    z = free.predictor(found.x, found.intercept)
    A = free.design.columns(columns)
    A = np.column_stack([A, np.ones(len(A))]) if free.fit_intercept else A
    s, y, loss = free.row_weights, free.y, free.loss
    inverse = _inverse(A.T @ ((s * loss.second_derivative(z, y))[:, None] * A))
    dispersion = 1.0
    if loss.quadratic:
        dispersion = float(s @ (y - z) ** 2) * n / (n - p)
        covariance = dispersion * inverse / n
    elif isinstance(loss, Gamma):
        dispersion = float(s @ (y / loss.mean(z) - 1.0) ** 2) * n / (n - p)
        covariance = dispersion * _inverse(A.T @ (s[:, None] * A)) / n  # the expected information
    elif isinstance(loss, Logistic | Poisson):
        covariance = inverse / n
    else:
        scores = A * (s * loss.derivative(z, y))[:, None]
        covariance = inverse @ (scores.T @ scores) @ inverse * n / (n - p)
    errors = np.sqrt(covariance.diagonal())
    quantile = float(student.ppf(0.5 + 0.5 * level, n - p) if loss.quadratic else ndtri(0.5 + 0.5 * level))
    x, own = found.x[columns], errors[: columns.size]
    intervals = np.column_stack([x - quantile * own, x + quantile * own])
    of_intercept = float(errors[-1]) if free.fit_intercept else 0.0
    return Refit(columns, x, own, found.intercept, of_intercept, intervals, dispersion)


def _inverse(H: Vector) -> Vector:
    """Return the inverse of a positive definite matrix, whatever the units of its rows."""
    size = np.sqrt(H.diagonal())
    safe = np.where(size > 0.0, size, 1.0)
    scaled = H / np.outer(safe, safe)
    if len(H) and ((size == 0.0).any() or np.linalg.cond(scaled) > 1e12):
        raise ValueError("the features of the support depend on each other: leave some of them out.")
    inverse: Vector = np.linalg.inv(scaled) / np.outer(safe, safe)
    return inverse


def effective_degrees_of_freedom(problem: Problem, solution: Solution) -> float:
    """Return how many parameters a fit is worth: the trace of the derivative of the fit in the targets.

    ``tr H (H + R + P)^-1`` on the entries that are neither zero nor at a bound, with the Hessians of the
    losses (centred by an intercept, which counts one), of the ridge and of the penalty. For l1 it is the
    number of entries (Zou, Hastie and Tibshirani 2007), for the group lasso less (Vaiter et al. 2012); a
    ridge lowers it, and a concave penalty, whose second derivative is negative, raises it above the number of
    entries. For least squares this is Stein's divergence along one stable support: with it
    ``RSS/n + 2 variance df / n`` estimates the risk, except for the jumps between supports, which a concave
    penalty has and which it leaves out. The lam is that of the solution.

    Raises
    ------
    ValueError
        If the solution is no strict local minimum on its support, where the derivative does not exist.
    """
    _require_one_response(problem, "effective_degrees_of_freedom")
    problem, x = problem.with_lam(solution.lam), solution.x
    inside = np.flatnonzero((x != 0.0) & (problem.lower < x) & (x < problem.upper))
    constant = float(problem.fit_intercept)
    if not inside.size:
        return constant
    z = problem.predictor(x, solution.intercept)
    h = problem.fit.metric(z)
    A = problem.design.columns(inside)
    if problem.fit_intercept and h.sum() > 0.0:
        A = A - (h @ A) / h.sum()
    H = A.T @ (h[:, None] * A)
    regulariser = problem.regulariser
    at = regulariser.entries(x)
    bend, weights = regulariser.bend(at)[inside], regulariser.weights(at)[inside]
    P = np.diag(bend)
    if isinstance(regulariser, Grouped):
        sizes = regulariser.sizes(x)[inside]
        direction = x[inside] / sizes
        same = problem.group[inside][:, None] == problem.group[inside]  # type: ignore[index]
        outer = np.where(same, np.outer(direction, direction), 0.0)
        P = (weights / sizes)[:, None] * (np.eye(inside.size) - outer) + bend[:, None] * outer
    R = 0.0 if problem.ridge is None else np.diag(problem.ridge[inside])
    total = H + R + P
    size = np.sqrt(np.diagonal(H + R) + np.maximum(np.diagonal(P), 0.0))
    # The units of the features play no part.
    if not (size > 0.0).all() or float(np.linalg.eigvalsh(total / np.outer(size, size))[0]) <= 1e-12:
        raise ValueError(
            "the solution is no strict local minimum on its support, so that it has no degrees of freedom: "
            "solve to a smaller tol, or add a ridge."
        )
    return constant + float(np.trace(np.linalg.solve(total, H)))


def _require_one_response(problem: Problem, what: str) -> None:
    if problem.sample_weight.size < problem.n_samples:
        raise ValueError(f"{what} knows one response: state one problem for each.")
