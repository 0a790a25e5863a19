"""Criteria near interpolation, and rows without weight: noise is not taken for columns."""

import numpy as np
import pytest

from concave_sparsity import L1, MCP, Log
from convex_analysis import RegressionProblem, cross_validate, majorize_minimize, path
from convex_analysis.information_criteria import deviance

PENALTIES = [L1(), Log(0.1), MCP(3.0)]


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_pure_noise_gives_about_no_column(penalty):
    chosen = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        X, y = rng.standard_normal((30, 100)), rng.standard_normal(30)
        found = path(RegressionProblem(X, y, penalty=penalty, fit_intercept=True), tol=1e-6)
        chosen.append(found.best("ebic").support.size)
    assert np.mean(chosen) <= 0.5, chosen


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_three_true_columns_of_thirty_are_three(penalty):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((40, 30))
        y = X[:, :3] @ [3.0, -2.0, 2.0] + rng.standard_normal(40)
        support = path(RegressionProblem(X, y, penalty=penalty, fit_intercept=True)).best("ebic").support
        assert set(support) >= {0, 1, 2}
        assert support.size <= (9 if penalty == L1() else 4)


def test_interpolating_fits_are_not_judged():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 40)), rng.standard_normal(20)
    found = path(RegressionProblem(X, y, penalty=Log(0.1)), tol=1e-6)
    sizes = np.array([solution.support.size for solution in found])
    assert sizes.max() > 10
    assert np.isinf(found.bic[sizes > 10]).all()
    assert np.isfinite(found.bic[sizes <= 10]).all()
    dense = path(RegressionProblem(X, y, penalty=Log(0.1)), [1e-6], start="dense", tol=1e-6)
    with pytest.raises(ValueError, match=r"more than n/2 = 10 parameters.*give larger lams"):
        dense.best("ebic")


def test_rows_without_weight_change_nothing():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((30, 8))
    y = X[:, 0] + 0.5 * rng.standard_normal(30)
    more, rest = (
        np.vstack([X, 9.0 * rng.standard_normal((25, 8))]),
        np.append(y, 9.0 * rng.standard_normal(25)),
    )
    weight = np.append(np.ones(30), np.zeros(25))
    plain = RegressionProblem(X, y, penalty=Log(0.1), fit_intercept=True)
    padded = RegressionProblem(more, rest, penalty=Log(0.1), fit_intercept=True, sample_weight=weight)
    lams = path(plain, n_lams=6).lams
    np.testing.assert_allclose(path(padded, n_lams=6).lams, lams, rtol=1e-12)
    np.testing.assert_allclose(path(padded, lams).bic, path(plain, lams).bic, rtol=1e-9)
    np.testing.assert_allclose(path(padded, lams).ebic, path(plain, lams).ebic, rtol=1e-9)
    one, other = cross_validate(plain, lams, seed=3), cross_validate(padded, lams, seed=3)
    np.testing.assert_allclose(other.losses, one.losses, rtol=1e-9)


def test_a_ridge_is_no_misfit():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 5))
    y = 2.0 * X[:, 0] + 0.3 * rng.standard_normal(60)
    problem = RegressionProblem(X, y, lam=0.1, ridge=5.0)
    found = majorize_minimize(problem)
    residuals = y - X @ found.x
    assert deviance(problem, found) == pytest.approx(60 * np.log(residuals @ residuals / 60))
