"""Time against the number of features, sparse designs from a thousand to a million columns."""

from __future__ import annotations

from functools import partial
from typing import Any

import convex_data as data
import convex_peers as peers
import convex_skglm as skglm
import numpy as np
from convex_cases import first_stationary, ours
from convex_timing import Row, Solver, compare

from concave_sparsity import MCP, Log
from convex_analysis import RegressionProblem

N_SAMPLES = 2000
SHARE = 0.1
EPS = 0.1


def scale(quick: bool, repeats: int, leave_out: list[str], say: Any) -> list[dict[str, Any]]:
    """Time lasso (gap 1e-6), MCP and log-sum (stationarity 1e-6 lam) at 0.1 lam_max for each size."""
    rows = []
    for d in [1000, 10_000] if quick else [1000, 3162, 10_000, 31_623, 100_000, 316_228, 1_000_000]:
        X, y = data.sparse_regression_data(N_SAMPLES, d)
        lam = SHARE * float(np.abs(X.T @ y).max()) / y.size
        state = partial(RegressionProblem, X, y, lam=lam)
        say(f"scale: {d} features")
        lasso = [
            ours(state, 0.5)[0],
            Solver("skglm", lambda X=X, y=y, lam=lam: skglm.lasso(X, y, lam)),
            Solver("celer", lambda X=X, y=y, lam=lam: peers.celer_lasso(X, y, lam)),
            Solver("scikit-learn", lambda X=X, y=y, lam=lam: peers.sklearn_lasso(X, y, lam)),
        ]
        lasso = [one for one in lasso if one.ours or not any(word in one.name for word in leave_out)]
        found = compare(lasso, state(), lambda a: a.gap, 1e-6, repeats, say)
        rows += [_row("lasso", d, row) for row in found]
        slope = Log(EPS).slope_at_zero
        concave = {
            "MCP": (MCP.classical(lam, 3.0), 1.0, lambda X=X, y=y, lam=lam: skglm.mcp(X, y, lam, 3.0)),
            "log-sum": (
                Log(EPS), lam / slope, lambda X=X, y=y, lam=lam: skglm.log_sum(X, y, lam * EPS, EPS),
            ),
        }  # fmt: skip
        for name, (penalty, strength, peer) in concave.items():
            state = partial(RegressionProblem, X, y, penalty=penalty, lam=strength)
            solvers = [ours(state, 5.0)[0], first_stationary(state, 1.0), Solver("skglm", peer)]
            solvers = [one for one in solvers if one.ours or not any(word in one.name for word in leave_out)]
            found = compare(solvers, state(), lambda a: a.stationarity, 1e-6 * lam, repeats, say)
            rows += [_row(name, d, row) for row in found]
    return rows


def _row(problem: str, d: int, row: Row) -> dict[str, Any]:
    return {"penalty": problem, "n_features": d, "n_samples": N_SAMPLES, **row.to_dict()}
