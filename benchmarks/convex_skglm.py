"""skglm as a peer: its own penalties, and a box penalty written by hand as its users have to."""

from __future__ import annotations

from typing import Any

import numpy as np
from convex_peers import LONG, Run


def lasso(X: Any, y: Any, lam: float) -> Run:
    from skglm.datafits import Quadratic
    from skglm.penalties import L1
    from skglm.solvers import AndersonCD

    return lambda tol: _solver(AndersonCD, tol).solve(X, y, Quadratic(), L1(lam))[0]


def huber(X: Any, y: Any, lam: float) -> Run:
    from skglm.datafits import Huber
    from skglm.penalties import L1
    from skglm.solvers import AndersonCD

    return lambda tol: _solver(AndersonCD, tol).solve(X, y, Huber(1.0), L1(lam))[0]


def groups(X: Any, y: Any, lam: float, group: np.ndarray) -> Run:
    """Group lasso, weights the roots of the sizes; groups are of neighbouring columns."""
    from skglm.datafits import QuadraticGroup
    from skglm.penalties import WeightedGroupL2
    from skglm.solvers import GroupBCD

    sizes = np.bincount(group)
    pointers = np.append(0, np.cumsum(sizes)).astype(np.int32)
    members = np.arange(group.size, dtype=np.int32)
    penalty = WeightedGroupL2(lam, np.sqrt(sizes), pointers, members)
    return lambda tol: _solver(GroupBCD, tol).solve(X, y, QuadraticGroup(pointers, members), penalty)[0]


def logistic(X: Any, y: Any, lam: float) -> Run:
    from skglm.datafits import Logistic
    from skglm.penalties import L1
    from skglm.solvers import ProxNewton

    return lambda tol: ProxNewton(tol=tol, fit_intercept=False, max_iter=200, max_pn_iter=2000).solve(
        X, y, Logistic(), L1(lam)
    )[0]


def mcp(X: Any, y: Any, lam: float, gamma: float) -> Run:
    from skglm.penalties import MCPenalty

    return _coordinate_descent(X, y, MCPenalty(lam, gamma), "subdiff")


def mcp_path(X: Any, y: Any, lam: float, gamma: float) -> Run:
    from skglm.penalties import MCPenalty

    return _path(X, y, MCPenalty(lam, gamma), lam, "subdiff")


def log_sum(X: Any, y: Any, alpha: float, eps: float) -> Run:
    from skglm.penalties import LogSumPenalty

    return _coordinate_descent(X, y, LogSumPenalty(alpha, eps), "subdiff")


def log_sum_path(X: Any, y: Any, alpha: float, eps: float) -> Run:
    from skglm.penalties import LogSumPenalty

    return _path(X, y, LogSumPenalty(alpha, eps), alpha, "subdiff")


def half(X: Any, y: Any, lam: float) -> Run:
    from skglm.penalties import L0_5

    return _coordinate_descent(X, y, L0_5(lam), "fixpoint")


def half_path(X: Any, y: Any, lam: float) -> Run:
    from skglm.penalties import L0_5

    return _path(X, y, L0_5(lam), lam, "fixpoint")


def half_reweighted(X: Any, y: Any, lam: float) -> Run:
    from skglm.datafits import Quadratic
    from skglm.experimental import IterativeReweightedL1
    from skglm.penalties import L0_5
    from skglm.solvers import AndersonCD
    from skglm.utils.jit_compilation import compiled_clone

    def run(tol: float) -> Any:
        # Its loop calls the datafit's value itself, so it must be compiled before.
        datafit = compiled_clone(Quadratic())
        datafit.initialize(X, y)
        solver = _solver(AndersonCD, tol)
        return IterativeReweightedL1(datafit, L0_5(lam), solver, n_reweights=10).fit(X, y).coef_

    return run


def log_sum_reweighted(X: Any, y: Any, alpha: float, eps: float, rounds: int = 50) -> Run:
    """Reweight skglm's weighted lasso by hand, warm: its own loop diverges (signed derivative)."""
    from skglm.datafits import Quadratic
    from skglm.penalties import WeightedL1
    from skglm.solvers import AndersonCD

    def run(tol: float) -> Any:
        solver = _solver(AndersonCD, tol)
        x = None
        weights = np.full(X.shape[1], 1.0 / eps)
        for _ in range(rounds):
            product = None if x is None else X @ x
            new = solver.solve(X, y, Quadratic(), WeightedL1(alpha, weights), x, product)[0]
            weights = 1.0 / (eps + np.abs(new))
            gradient = X.T @ (X @ new - y) / y.size
            violation = np.where(
                new == 0,
                np.maximum(np.abs(gradient) - alpha / eps, 0.0),
                np.abs(gradient + alpha * np.sign(new) * weights),
            )
            x = new.copy()
            if violation.max() <= tol:
                break
        return x

    return run


def box(X: Any, y: Any, lam: float) -> Run:
    """Least squares with ``lam sum(m)`` on [0, 1]: a penalty class written by hand."""
    from skglm.datafits import Quadratic
    from skglm.solvers import AndersonCD

    penalty = _box_penalty()(lam)
    return lambda tol: _solver(AndersonCD, tol).solve(X, y, Quadratic(), penalty)[0]


_BOX_PENALTY: list[Any] = []


def _box_penalty() -> Any:
    """Return the class, made once: skglm compiles each class that it meets."""
    if _BOX_PENALTY:
        return _BOX_PENALTY[0]
    from numba import float64
    from skglm.penalties.base import BasePenalty

    class BoxedL1(BasePenalty):  # type: ignore[misc]
        def __init__(self, alpha):  # type: ignore[no-untyped-def]
            self.alpha = alpha

        def get_spec(self):  # type: ignore[no-untyped-def]
            return (("alpha", float64),)

        def params_to_dict(self):  # type: ignore[no-untyped-def]
            return {"alpha": self.alpha}

        def value(self, w):  # type: ignore[no-untyped-def]
            # Infinite outside the box, so that an extrapolated step that leaves it is refused.
            if np.max(w) > 1.0 or np.min(w) < 0.0:
                return np.inf
            return self.alpha * np.sum(w)

        def prox_1d(self, value, stepsize, j):  # type: ignore[no-untyped-def]
            return min(max(value - self.alpha * stepsize, 0.0), 1.0)

        def subdiff_distance(self, w, grad, ws):  # type: ignore[no-untyped-def]
            distance = np.zeros_like(grad)
            for index, j in enumerate(ws):
                slope = grad[index] + self.alpha
                if w[j] == 0.0:
                    distance[index] = max(0.0, -slope)
                elif w[j] == 1.0:
                    distance[index] = max(0.0, slope)
                else:
                    distance[index] = abs(slope)
            return distance

        def is_penalized(self, n_features):  # type: ignore[no-untyped-def]
            return np.ones(n_features, np.bool_)

        def generalized_support(self, w):  # type: ignore[no-untyped-def]
            return w != 0.0

    _BOX_PENALTY.append(BoxedL1)
    return BoxedL1


def _solver(kind: Any, tol: float, strategy: str = "subdiff") -> Any:
    return kind(tol=tol, fit_intercept=False, max_iter=1000, max_epochs=LONG, ws_strategy=strategy)


def _coordinate_descent(X: Any, y: Any, penalty: Any, strategy: str) -> Run:
    from skglm.datafits import Quadratic
    from skglm.solvers import AndersonCD

    return lambda tol: _solver(AndersonCD, tol, strategy).solve(X, y, Quadratic(), penalty)[0]


def _path(X: Any, y: Any, penalty: Any, last: float, strategy: str, steps: int = 20) -> Run:
    """Continuation from ten times the last strength down to it, warm-started, as its users do."""
    from skglm.datafits import Quadratic
    from skglm.solvers import AndersonCD

    strengths = np.geomspace(10.0, 1.0, steps) * last

    def run(tol: float) -> Any:
        solver = _solver(AndersonCD, tol, strategy)
        x, product = np.zeros(X.shape[1]), np.zeros(X.shape[0])
        for strength in strengths:
            penalty.alpha = float(strength)
            x = solver.solve(X, y, Quadratic(), penalty, x, product)[0]
        return x

    return run
