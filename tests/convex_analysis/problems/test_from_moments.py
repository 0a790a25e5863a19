"""Least squares from second moments is the problem of the data they are from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from concave_sparsity import L1, Log
from convex_analysis import RegressionProblem, global_minimum, majorize_minimize, reference


def data(seed: int, n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) * rng.uniform(0.1, 3.0, d)
    return X, X @ (rng.standard_normal(d) * (rng.random(d) < 0.4)) + 0.3 * rng.standard_normal(n)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 40), st.integers(1, 12))
def test_objective_and_gradient_are_those_of_the_data(seed: int, n: int, d: int) -> None:
    X, y = data(seed, n, d)
    whole = RegressionProblem(X, y, penalty=Log(0.1), lam=0.05)
    small = RegressionProblem.from_moments(
        X.T @ X / n, X.T @ y / n, mean_square=float(y @ y) / n, penalty=Log(0.1), lam=0.05
    )
    assert small.n_samples <= d + 1
    x = np.random.default_rng(seed + 1).standard_normal(d)
    assert small.objective(x) == pytest.approx(whole.objective(x), rel=1e-8)
    np.testing.assert_allclose(small.gradient(x), whole.gradient(x), rtol=1e-6, atol=1e-8)


def test_solutions_and_global_minima_are_those_of_the_data() -> None:
    X, y = data(0, 300, 20)
    whole = RegressionProblem(X, y, penalty=Log(0.1), lam=0.1, lower=-3.0, upper=3.0)
    small = RegressionProblem.from_moments(
        X.T @ X / 300, X.T @ y / 300, mean_square=float(y @ y) / 300, penalty=Log(0.1), lam=0.1,
        lower=-3.0, upper=3.0,
    )  # fmt: skip
    a, b = majorize_minimize(whole), majorize_minimize(small)
    np.testing.assert_allclose(a.x, b.x, atol=1e-6)
    assert b.suboptimality_bound == pytest.approx(a.suboptimality_bound, abs=1e-6)
    assert global_minimum(small).objective == pytest.approx(global_minimum(whole).objective, abs=1e-5)


def test_a_convex_step_agrees_with_cvxpy() -> None:
    X, y = data(1, 80, 15)
    small = RegressionProblem.from_moments(X.T @ X / 80, X.T @ y / 80, penalty=L1(), lam=0.1)
    step = reference.convex_step(small, np.full(15, 0.1))
    np.testing.assert_allclose(majorize_minimize(small).x, step.x, atol=1e-5)


@pytest.mark.parametrize(
    ("gram", "correlations", "message"),
    [
        (np.ones((2, 3)), np.ones(2), "square"),
        (np.array([[1.0, 0.5], [0.0, 1.0]]), np.ones(2), "not symmetric"),
        (np.diag([1.0, -1.0]), np.ones(2), "negative eigenvalue"),
        (np.diag([1.0, 0.0]), np.ones(2), "leave the range"),
        (np.diag([1.0, np.nan]), np.ones(2), "NaN"),
    ],
)
def test_what_is_no_moments_is_refused(gram: np.ndarray, correlations: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RegressionProblem.from_moments(gram, correlations)


def test_a_mean_square_below_what_is_explained_is_refused() -> None:
    with pytest.raises(ValueError, match="less than the features explain"):
        RegressionProblem.from_moments(np.eye(2), np.ones(2), mean_square=1.0)
