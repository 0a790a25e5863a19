"""Cross-validated paths as users run them: the estimators at their defaults, beside those of the peers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import convex_data as data
import numpy as np
from convex_report import verdicts
from convex_timing import run_quietly

OURS = "convex_analysis"


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


def _solvers(X: Any, y: Any, options: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    """Return functions that fit and return the estimator; a library that is missing has none."""
    from sklearn.linear_model import LassoCV as SklearnLassoCV

    from convex_analysis import ConcaveRegressorCV

    found: dict[str, Callable[[], Any]] = {
        OURS: lambda: ConcaveRegressorCV(
            penalty="l1", n_alphas=100, alpha_min_ratio=1e-3, **options
        ).fit(X, y),
        "scikit-learn": lambda: SklearnLassoCV(alphas=100, max_iter=100_000, **options).fit(X, y),
    }  # fmt: skip
    try:
        from celer import LassoCV as CelerLassoCV
    except ImportError:
        return found
    return found | {"celer": lambda: CelerLassoCV(n_alphas=100, max_iter=1000, **options).fit(X, y)}


def cross_validation(name: str, quick: bool, seed: int, repeats: int, ours_alone: bool) -> dict[str, Any]:
    """Time the fits in turn; every library at its default tolerance, the peers' being the looser one."""
    title, X, y, goal, options = CASES[name](quick, seed)
    solvers = _solvers(X, y, options)
    rows: list[dict[str, Any]] = []
    for solver, fit in solvers.items():
        ours = solver == OURS
        if ours_alone and not ours:
            continue
        row: dict[str, Any] = {
            "solver": solver, "ours": ours, "goal": goal if ours else None, "finds_the_best": False,
            "seconds": [], "reached": False, "accuracy": None, "problem": "",
        }  # fmt: skip
        rows.append(row)
        try:
            model = run_quietly(lambda _, fit=fit: fit(), 0.0)[0]  # compiles, starts the workers
        except Exception as reason:  # a peer that breaks is reported, whatever it raises
            row["problem"] = f"broke: {type(reason).__name__}: {reason}"
            continue
        residual = y - model.predict(X)
        row["reached"] = True
        row["accuracy"] = {
            "objective": float(residual @ residual) / (2 * y.size)
            + float(model.alpha_) * float(np.abs(model.coef_).sum()),
            "support": int(np.count_nonzero(model.coef_)),
        }
        row["alpha"] = float(model.alpha_)
    rng = np.random.default_rng(0)
    for _ in range(repeats):
        for i in rng.permutation(len(rows)):
            if rows[i]["reached"] and sum(rows[i]["seconds"]) < 10.0:
                fit = solvers[rows[i]["solver"]]
                rows[i]["seconds"].append(run_quietly(lambda _, fit=fit: fit(), 0.0)[1])
    for row in rows:
        row["median"] = float(np.median(row["seconds"])) if row["seconds"] else float("nan")
    return {
        "title": f"{title}, {X.shape[0]} x {X.shape[1]}, l1",
        "seed": seed,
        "rows": rows,
        "verdicts": verdicts(rows, concave=False),
    }
