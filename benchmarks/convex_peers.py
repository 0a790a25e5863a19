"""The peers: each function states one problem to another library and returns a solver ``tolerance -> point``.

Libraries are imported when a solver is built, so that one that is missing costs its own row only.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

Point = Any
Run = Callable[[float], Point]

LONG = 100_000  # an iteration limit that no solver here meets before its tolerance


def celer_lasso(X: Any, y: Any, lam: float) -> Run:
    from celer import Lasso

    return lambda tol: Lasso(lam, fit_intercept=False, tol=tol, max_iter=1000).fit(X, y).coef_


def celer_logistic(X: Any, y: Any, lam: float) -> Run:
    from celer import LogisticRegression

    C = 1.0 / (lam * y.size)
    return lambda tol: LogisticRegression(C, tol=tol, fit_intercept=False, max_iter=1000).fit(X, y).coef_[0]


def sklearn_lasso(X: Any, y: Any, lam: float) -> Run:
    from sklearn.linear_model import Lasso

    return lambda tol: Lasso(lam, fit_intercept=False, tol=tol, max_iter=LONG).fit(X, y).coef_


def sklearn_lasso_gram(X: Any, y: Any, lam: float) -> Run:
    from sklearn.linear_model import Lasso

    return lambda tol: (
        Lasso(lam, fit_intercept=False, tol=tol, max_iter=LONG, precompute=True).fit(X, y).coef_
    )


def sklearn_liblinear(X: Any, y: Any, lam: float) -> Run:
    from sklearn.linear_model import LogisticRegression

    def run(tol: float) -> Point:
        model = LogisticRegression(
            l1_ratio=1.0,
            C=1.0 / (lam * y.size),
            solver="liblinear",
            tol=tol,
            fit_intercept=False,
            max_iter=LONG,
            random_state=0,
        )
        return model.fit(X, y).coef_[0]

    return run


def glum(X: Any, y: Any, lam: float, *, family: str, upper: float | None = None) -> Run:
    from glum import GeneralizedLinearRegressor

    bounds = (
        {} if upper is None else {"lower_bounds": [0.0] * X.shape[1], "upper_bounds": [upper] * X.shape[1]}
    )
    target = (y > 0).astype(np.float64) if family == "binomial" else y

    def run(tol: float) -> Point:
        model = GeneralizedLinearRegressor(
            family=family,
            alpha=lam,
            l1_ratio=1.0,
            fit_intercept=False,
            gradient_tol=tol,
            solver="irls-cd",
            max_iter=LONG,
            **bounds,
        )
        return model.fit(X, target).coef_

    return run


def lbfgsb_box(X: Any, y: Any, lam: float) -> Run:
    """Scipy's L-BFGS-B for linear least squares with a linear penalty on [0, 1]."""
    from scipy.optimize import minimize

    n, d = X.shape

    def value_and_gradient(m: Any) -> tuple[float, Any]:
        residual = X @ m - y
        return residual @ residual / (2 * n) + lam * m.sum(), X.T @ residual / n + lam

    def run(tol: float) -> Point:
        options = {"ftol": 0.0, "gtol": tol, "maxiter": LONG, "maxfun": LONG, "maxcor": 20}
        bounds = [(0.0, 1.0)] * d
        return minimize(
            value_and_gradient, np.zeros(d), jac=True, method="L-BFGS-B", bounds=bounds, options=options
        ).x

    return run


def cvxpy_linear(X: Any, y: Any, lam: float, *, solver: str, box: bool) -> Run:
    """Weighted l1 least squares in cvxpy, signed or on [0, 1], with the residual as a variable of its own."""
    import cvxpy

    if solver not in cvxpy.installed_solvers():
        raise ImportError(f"cvxpy has no solver {solver} here")
    n, d = X.shape

    def options(tol: float) -> dict[str, Any]:
        if solver == "CLARABEL":
            return {"tol_gap_abs": tol, "tol_gap_rel": tol, "tol_feas": tol}
        if solver == "OSQP":
            return {"eps_abs": tol, "eps_rel": tol, "max_iter": LONG}
        return {"eps_abs": tol, "eps_rel": tol, "max_iters": LONG}

    def run(tol: float) -> Point:
        x, residual = cvxpy.Variable(d), cvxpy.Variable(n)
        penalty = cvxpy.sum(x) if box else cvxpy.norm1(x)
        constraints = [residual == X @ x - y]
        if box:
            constraints += [x >= 0, x <= 1]
        problem = cvxpy.Problem(
            cvxpy.Minimize(cvxpy.sum_squares(residual) / (2 * n) + lam * penalty), constraints
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            problem.solve(solver=solver, **options(tol))
        if x.value is None:
            raise RuntimeError(f"{solver} ended with status {problem.status}")
        return x.value

    return run
