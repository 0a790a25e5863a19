"""Time against the number of features, sparse designs from a thousand to a million columns."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import convex_data as data
import convex_peers as peers
import convex_skglm as skglm
import numpy as np
from convex_accuracy import accuracy
from convex_cases import first_stationary, ours
from convex_report import verdicts
from convex_timing import Solver, compare

from concave_sparsity import MCP, Log
from convex_analysis import RegressionProblem

N_SAMPLES = 2000
SHARE = 0.1
EPS = 0.1


SIZES = (1000, 3162, 10_000, 31_623, 100_000, 316_228, 1_000_000)


def scale(
    quick: bool, size: int, repeats: int, wanted: Callable[[Solver], bool], say: Any
) -> list[dict[str, Any]]:
    """Compare lasso (gap 1e-6), MCP and log-sum (stationarity 1e-6 lam) at 0.1 lam_max, at one of the sizes.

    Returns one run a penalty: title, rows and verdicts.
    """
    d = (1000, 3162)[size % 2] if quick else SIZES[size]
    X, y = data.sparse_regression_data(N_SAMPLES, d)
    lam = SHARE * float(np.abs(X.T @ y).max()) / y.size
    slope = Log(EPS).slope_at_zero
    lasso = partial(RegressionProblem, X, y, lam=lam)
    mcp = partial(RegressionProblem, X, y, penalty=MCP.classical(lam, 3.0), lam=1.0)
    log_sum = partial(RegressionProblem, X, y, penalty=Log(EPS), lam=lam / slope)
    cases: list[tuple[str, Any, str, float, list[Solver]]] = [
        ("lasso", lasso, "gap", 1e-6, [
            ours(lasso, 1.0),
            Solver("skglm", lambda: skglm.lasso(X, y, lam)),
            Solver("celer", lambda: peers.celer_lasso(X, y, lam)),
            Solver("scikit-learn", lambda: peers.sklearn_lasso(X, y, lam)),
        ]),
        ("MCP", mcp, "stationarity", 1e-6 * lam, [
            ours(mcp, 5.0), first_stationary(mcp, 1.0), Solver("skglm", lambda: skglm.mcp(X, y, lam, 3.0)),
        ]),
        ("log-sum", log_sum, "stationarity", 1e-6 * lam, [
            ours(log_sum, 5.0), first_stationary(log_sum, 1.0),
            Solver("skglm", lambda: skglm.log_sum(X, y, lam * EPS, EPS)),
        ]),
    ]  # fmt: skip
    runs = []
    for penalty, state, measure, target, solvers in cases:
        found = compare(
            [one for one in solvers if wanted(one)], partial(accuracy, state()),
            lambda a, m=measure: getattr(a, m), target, repeats, say,
        )  # fmt: skip
        rows = [
            {"penalty": penalty, "n_features": d, "n_samples": N_SAMPLES, **row.to_dict()} for row in found
        ]
        runs.append(
            {
                "title": f"{penalty}, {N_SAMPLES} x {d} sparse",
                "seed": f"{penalty}, {d} features",
                "rows": rows,
                "verdicts": verdicts(rows, measure == "stationarity"),
            }
        )
    return runs
