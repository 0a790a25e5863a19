"""The cases: a problem, the accuracy asked, the competitors, and the ratio aimed at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import convex_data as data
import convex_peers as peers
import convex_skglm as skglm
import numpy as np
from convex_timing import Solver

from concave_sparsity import MCP, Log, Lq
from convex_analysis import MaskProblem, Problem, RegressionProblem, majorize_minimize

OURS = "convex_analysis"


@dataclass(frozen=True)
class Case:
    """One comparison.

    Attributes
    ----------
    title
        What is solved.
    problem
        The statement by which every solver's point is measured.
    measure, target
        "gap" or "stationarity", and the value to reach.
    solvers
        Ours and the peers.
    """

    title: str
    problem: Problem
    measure: str
    target: float
    solvers: list[Solver]


def ours(state: Callable[[], Problem], goal: float) -> Solver:
    """Our default run; the statement of the problem is part of the time."""

    def make() -> Callable[[float], Any]:
        return lambda tol: majorize_minimize(state(), tol=tol).x

    return Solver(OURS, make, first=1e-6, ours=True, goal=goal)


def ours_by_path(state: Callable[[], Problem], factor: float = 10.0, steps: int = 20) -> Solver:
    """Our path by continuation from ``factor`` times the last lam down to it."""

    def make() -> Callable[[float], Any]:
        from convex_analysis import path

        def run(tol: float) -> Any:
            problem = state()
            return path(problem, np.geomspace(factor, 1.0, steps) * problem.lam, tol=tol)[-1].x

        return run

    return Solver(f"{OURS} path of {steps}", make, first=1e-6, ours=True)


def lasso(quick: bool, seed: int = 0) -> Case:
    X, y = data.regression_data(200 if quick else 500, 1000 if quick else 5000, seed=seed)
    lam = 0.05 * float(np.abs(X.T @ y).max()) / y.size
    state = partial(RegressionProblem, X, y, lam=lam)
    return Case(
        f"lasso, {X.shape[0]} x {X.shape[1]}, rho 0.5, 0.05 lam_max",
        state(),
        "gap",
        1e-6,
        [
            ours(state, 0.5),
            Solver("skglm", lambda: skglm.lasso(X, y, lam)),
            Solver("celer", lambda: peers.celer_lasso(X, y, lam)),
            Solver("scikit-learn", lambda: peers.sklearn_lasso(X, y, lam)),
            Solver("glum", lambda: peers.glum(X, y, lam, family="normal")),
            *_cvxpy(X, y, lam, box=False),
        ],
    )


def lasso_tall(quick: bool, seed: int = 0) -> Case:
    X, y = data.regression_data(5000 if quick else 50_000, 100 if quick else 300, n_nonzero=50, seed=seed)
    lam = 0.01 * float(np.abs(X.T @ y).max()) / y.size
    state = partial(RegressionProblem, X, y, lam=lam)
    return Case(
        f"lasso with many samples, {X.shape[0]} x {X.shape[1]}, rho 0.5, 0.01 lam_max",
        state(),
        "gap",
        1e-6,
        [
            ours(state, 1.0),
            Solver("skglm", lambda: skglm.lasso(X, y, lam)),
            Solver("celer", lambda: peers.celer_lasso(X, y, lam)),
            Solver("scikit-learn", lambda: peers.sklearn_lasso(X, y, lam)),
            Solver("scikit-learn (Gram)", lambda: peers.sklearn_lasso_gram(X, y, lam)),
        ],
    )


def mcp(quick: bool, seed: int = 0) -> Case:
    X, y, lam = _concave_data(quick, seed)
    gamma = 3.0
    state = partial(RegressionProblem, X, y, penalty=MCP.classical(lam, gamma), lam=1.0)
    path_state = partial(RegressionProblem, X, y, penalty=MCP.classical(lam, gamma), lam=1.0)
    return Case(
        f"MCP gamma 3, {X.shape[0]} x {X.shape[1]}, 0.1 lam_max",
        state(),
        "stationarity",
        1e-6 * lam,
        [
            *_ours_concave(state, path_state),
            Solver("skglm", lambda: skglm.mcp(X, y, lam, gamma)),
            Solver("skglm path of 20", lambda: skglm.mcp_path(X, y, lam, gamma)),
        ],
    )


def log_sum(quick: bool, seed: int = 0) -> Case:
    X, y, slope = _concave_data(quick, seed)
    eps = 0.1
    alpha = slope * eps
    # alpha log(1 + t / eps) = lam r(t) with r normalised to r(1) = 1
    state = partial(RegressionProblem, X, y, penalty=Log(eps), lam=alpha * float(np.log1p(1.0 / eps)))
    return Case(
        f"log-sum eps 0.1, {X.shape[0]} x {X.shape[1]}, slope at zero 0.1 lam_max",
        state(),
        "stationarity",
        1e-6 * slope,
        [
            *_ours_concave(state, state),
            Solver("skglm", lambda: skglm.log_sum(X, y, alpha, eps)),
            Solver("skglm path of 20", lambda: skglm.log_sum_path(X, y, alpha, eps)),
            Solver("skglm reweighted by hand", lambda: skglm.log_sum_reweighted(X, y, alpha, eps)),
        ],
    )


def half(quick: bool, seed: int = 0) -> Case:
    X, y, lam = _concave_data(quick, seed)
    state = partial(RegressionProblem, X, y, penalty=Lq(0.5), lam=lam)
    return Case(
        f"l_1/2, {X.shape[0]} x {X.shape[1]}, lam 0.1 max |X'y| / n",
        state(),
        "stationarity",
        1e-6 * lam,
        [
            *_ours_concave(state, state),
            Solver("skglm", lambda: skglm.half(X, y, lam)),
            Solver("skglm path of 20", lambda: skglm.half_path(X, y, lam)),
            Solver("skglm reweighted", lambda: skglm.half_reweighted(X, y, lam), finest=1e-10),
        ],
    )


def huber(quick: bool, seed: int = 0) -> Case:
    """Small data, where what a solve costs at least decides."""
    n, d = ((100, 20), (200, 100), (500, 50))[seed % 3]
    X, y = data.regression_data(n, d, n_nonzero=10, seed=seed)
    y = y / float(np.std(y))
    y[::10] += 5.0
    lam = 0.1 * float(np.abs(X.T @ np.clip(y, -1.0, 1.0)).max()) / n
    state = partial(RegressionProblem, X, y, loss="huber", lam=lam)
    return Case(
        f"Huber with l1, {n} x {d}, 0.1 lam_max",
        state(),
        "gap",
        1e-6,
        [ours(state, 1.0), Solver("skglm", lambda: skglm.huber(X, y, lam))],
    )


def groups(quick: bool, seed: int = 0) -> Case:
    """Compare on the group lasso: skglm has no concave penalty of norms."""
    X, y = data.regression_data(200 if quick else 500, 1000 if quick else 5000, seed=seed)
    group = np.arange(X.shape[1]) // 5
    whole = RegressionProblem(X, y, groups=group)
    lam = 0.1 * whole.lam_max()
    state = partial(RegressionProblem, X, y, lam=lam, groups=group)
    return Case(
        f"group lasso, {X.shape[0]} x {X.shape[1]}, groups of 5, 0.1 lam_max",
        state(),
        "gap",
        1e-6,
        [ours(state, 1.0), Solver("skglm", lambda: skglm.groups(X, y, lam, group))],
    )


def logistic(quick: bool, seed: int = 0) -> Case:
    X, y = data.classification_data(
        n_samples=200 if quick else 500, n_features=1000 if quick else 5000, seed=seed
    )
    lam = 0.05 * float(np.abs(X.T @ y).max()) / (2 * y.size)
    return _logistic(
        f"sparse logistic, {X.shape[0]} x {X.shape[1]}, rho 0.5, 0.05 lam_max", X, y, lam, goal=0.5
    )


def news20(quick: bool, seed: int = 0) -> Case:
    X, y = data.newsgroups(target=seed)
    n = y.size
    lam_max = float(np.abs(X.T @ y).max()) / (2 * n)
    lam = (0.01 if quick else 0.001) * lam_max
    share = f"{lam / lam_max:g} lam_max"
    title = f"news20 logistic, class {seed} against the rest, {n} x {X.shape[1]} sparse, {share}"
    return _logistic(title, X, y, lam, goal=0.3)


def _logistic(title: str, X: Any, y: Any, lam: float, goal: float) -> Case:
    state = partial(RegressionProblem, X, y, loss="logistic", lam=lam)
    solvers = [
        ours(state, goal),
        Solver("skglm", lambda: skglm.logistic(X, y, lam)),
        Solver("celer", lambda: peers.celer_logistic(X, y, lam)),
        Solver("scikit-learn (liblinear)", lambda: peers.sklearn_liblinear(X, y, lam)),
        Solver("glum", lambda: peers.glum(X, y, lam, family="binomial")),
    ]
    return Case(title, state(), "gap", 1e-6, solvers)


def _box(share: float, name: str, goal: float, n_samples: int, quick: bool, seed: int) -> Case:
    shrink = 4 if quick else 1
    X, y = data.mask_data(n_samples // shrink, 2000 // shrink, n_nonzero=100 // shrink, seed=seed)
    lam = share * float((X.T @ y).max()) / y.size
    state = partial(MaskProblem, X, y, lam=lam)
    return Case(
        f"box [0, 1], {name}, {X.shape[0]} x {X.shape[1]}, {share:g} lam_max",
        state(),
        "gap",
        1e-6,
        [
            ours(state, goal),
            Solver("skglm, penalty by hand", lambda: skglm.box(X, y, lam)),
            Solver("glum", lambda: peers.glum(X, y, lam, family="normal", upper=1.0)),
            Solver("scipy L-BFGS-B", lambda: peers.lbfgsb_box(X, y, lam), first=1e-5),
            *_cvxpy(X, y, lam, box=True),
        ],
    )


def box_easy(quick: bool, seed: int = 0) -> Case:
    return _box(0.02, "easy", 0.4, 1000, quick, seed)


def box_hard(quick: bool, seed: int = 0) -> Case:
    return _box(0.001, "hard", 0.6, 1000, quick, seed)


def box_degenerate(quick: bool, seed: int = 0) -> Case:
    """As many features in the solution as there are samples: the Gram matrix of the support is singular."""
    return _box(0.001, "hard and degenerate", 0.6, 500, quick, seed)


def _concave_data(quick: bool, seed: int) -> tuple[Any, Any, float]:
    X, y = data.regression_data(200 if quick else 500, 1000 if quick else 5000, seed=seed)
    return X, y, 0.1 * float(np.abs(X.T @ y).max()) / y.size


def _ours_concave(state: Callable[[], Problem], path_state: Callable[[], Problem]) -> list[Solver]:
    return [ours(state, 1.0), first_stationary(state, 0.5), ours_by_path(path_state)]


def first_stationary(state: Callable[[], Problem], goal: float) -> Solver:
    """Our run to the first stationary point, without the search for a better one."""
    return Solver(
        f"{OURS}, refine=False",
        lambda: lambda tol: majorize_minimize(state(), tol=tol, refine=False).x,
        first=1e-6, ours=True, goal=goal, finds_the_best=False,
    )  # fmt: skip


def _cvxpy(X: Any, y: Any, lam: float, *, box: bool) -> list[Solver]:
    def solver(name: str, first: float) -> Solver:
        return Solver(
            f"cvxpy {name}",
            lambda: peers.cvxpy_linear(X, y, lam, solver=name.upper(), box=box),
            first=first,
            finest=1e-9,
        )

    return [solver("Clarabel", 1e-8), solver("OSQP", 1e-5), solver("SCS", 1e-5)]


CASES: dict[str, Callable[..., Case]] = {
    "lasso": lasso,
    "lasso-tall": lasso_tall,
    "mcp": mcp,
    "log-sum": log_sum,
    "half": half,
    "huber": huber,
    "groups": groups,
    "logistic": logistic,
    "box-easy": box_easy,
    "box-hard": box_hard,
    "box-degenerate": box_degenerate,
    "news20": news20,
}
