"""Cross-validated paths: our estimator at its defaults, beside those of the peers at equal accuracy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import convex_data as data
import numpy as np
from convex_accuracy import Accuracy, accuracy
from convex_report import verdicts
from convex_timing import Solver, compare

from convex_analysis import RegressionProblem

#: Duality gap asked for, over the loss of the intercept alone.
TARGET = 1e-6
#: The default tolerance of scikit-learn and of celer.
LOOSEST = 1e-4


def path_of_100(quick: bool, seed: int) -> tuple[str, Any, Any, float, dict[str, Any]]:
    """Ten folds, in two processes where the solver has them."""
    X, y = data.regression_data(100 if quick else 500, 100 if quick else 1000, n_nonzero=30, seed=seed)
    return "path of 100 lam, 10 folds, n_jobs=2", X, y, 0.4, {"cv": 10, "n_jobs": 2}


def small(quick: bool, seed: int) -> tuple[str, Any, Any, float, dict[str, Any]]:
    """As few data as a first try has."""
    X, y = data.regression_data(10, 5, n_nonzero=2, seed=seed)
    return "cross-validation of 100 lam, 5 folds", X, y, 1.0, {"cv": 5}


def long(quick: bool, seed: int) -> tuple[str, Any, Any, float, dict[str, Any]]:
    """One column: work that grows with the number of samples is all there is."""
    X, y = data.regression_data(1001 if quick else 125_001, 1, n_nonzero=1, seed=seed)
    return "cross-validation of 100 lam, 5 folds", X, y, 1.0, {"cv": 5}


CASES: dict[str, Callable[[bool, int], tuple[str, Any, Any, float, dict[str, Any]]]] = {
    "cv-path": path_of_100,
    "cv-small": small,
    "cv-long": long,
}


def _solvers(X: Any, y: Any, options: dict[str, Any], goal: float) -> list[Solver]:
    """Return the competitors; what one of them runs is a fit at a tolerance, which returns the estimator."""

    def ours() -> Callable[[float], Any]:
        from convex_analysis import ConcaveRegressorCV

        # At the default tolerance, whatever is asked.
        return lambda _: ConcaveRegressorCV(
            penalty="l1", n_alphas=100, alpha_min_ratio=1e-3, **options
        ).fit(X, y)  # fmt: skip

    # Tolerances looser than the libraries' own are not tried: they choose models without features, which are
    # exact, and the wrong ones.
    def sklearn_at(finest: float) -> Callable[[float], Any]:
        from sklearn.linear_model import LassoCV

        return lambda tol: LassoCV(
            alphas=100, max_iter=100_000, tol=min(max(tol, finest), LOOSEST), **options
        ).fit(X, y)  # fmt: skip

    def celer() -> Callable[[float], Any]:
        from celer import LassoCV

        return lambda tol: LassoCV(n_alphas=100, max_iter=1000, tol=min(tol, LOOSEST), **options).fit(X, y)

    return [
        Solver("convex_analysis", ours, ours=True, goal=goal),
        Solver("scikit-learn", lambda: sklearn_at(0.0)),
        Solver("scikit-learn, default tolerance", lambda: sklearn_at(LOOSEST), finest=LOOSEST),
        Solver("celer", celer),
    ]


def cross_validation(
    name: str, quick: bool, seed: int, repeats: int, wanted: Callable[[Solver], bool]
) -> dict[str, Any]:
    """Time the fits in turn, at equal accuracy of the model chosen; the peers' defaults are looser.

    The accuracy is the duality gap of the model at the lam chosen, on all data, over the data fit of the
    intercept alone.
    """
    title, X, y, goal, options = CASES[name](quick, seed)
    nothing = float(np.var(y)) / 2

    def measure(model: Any) -> Accuracy:
        problem = RegressionProblem(X, y, lam=float(model.alpha_), fit_intercept=True)
        return accuracy(problem, model.coef_, float(model.intercept_))

    rows = [
        row.to_dict()
        for row in compare(
            [solver for solver in _solvers(X, y, options, goal) if wanted(solver)],
            measure, lambda found: found.gap, TARGET * nothing, repeats,
        )
    ]  # fmt: skip
    return {
        "title": f"{title}, {X.shape[0]} x {X.shape[1]}, l1; gap at most {TARGET:g} of the null loss",
        "seed": seed,
        "rows": rows,
        "verdicts": verdicts(rows, concave=False),
    }
