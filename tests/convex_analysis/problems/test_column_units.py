"""Columns of very different length are brought to one by powers of two, which rounds nothing."""

import numpy as np
import pytest
from scipy import sparse

from concave_sparsity import L1, MCP, Log, Lq
from convex_analysis import MaskProblem, RegressionProblem, majorize_minimize, path, reference

RNG = np.random.default_rng(0)
X = RNG.standard_normal((20, 6))
Y = X[:, :3].sum(1) + 0.1 * RNG.standard_normal(20)
LENGTHS = np.array([1e-8, 1e8, 1.0, 1.0, 1e4, 0.0])


def test_columns_alike_are_left_alone():
    problem = RegressionProblem(X * np.array([1, 10, 100, 1, 1, 1]), Y)
    assert problem.normalised() is problem


@pytest.mark.parametrize("form", [np.asarray, sparse.csc_matrix])
def test_the_statement_in_other_units_is_the_same_statement(form):
    problem = RegressionProblem(form(X * LENGTHS), Y, penalty=Log(0.1), lam=0.1, lower=-2.0, upper=3.0)
    scaled = problem.normalised()
    assert scaled.X is problem.X
    mantissas, _ = np.frexp(scaled.units)
    np.testing.assert_array_equal(mantissas, 0.5)
    norms = np.sqrt(scaled.squared_norms)
    assert ((norms == 0) | ((norms >= 0.5) & (norms <= 1.0))).all()
    x = RNG.uniform(-1, 1, 6)
    assert scaled.objective(x / scaled.units) == pytest.approx(problem.objective(x), rel=1e-14)
    np.testing.assert_allclose(scaled.weights(x / scaled.units), scaled.units * problem.weights(x))
    np.testing.assert_array_equal(scaled.lower * scaled.units, problem.lower)
    assert scaled.normalised() is scaled


@pytest.mark.parametrize("loss", ["linear", "logistic", "huber"])
@pytest.mark.parametrize("intercept", [False, True])
def test_no_column_hides_another(loss, intercept):
    y = np.where(Y > 0, 1.0, -1.0) if loss == "logistic" else Y
    problem = RegressionProblem(X * LENGTHS, y, loss=loss, penalty=L1(), lam=0.05, fit_intercept=intercept)
    found = majorize_minimize(problem)
    unit = RegressionProblem(X, y, loss=loss, fit_intercept=intercept)
    weights = np.array([np.inf, 5e-10, 0.05, 0.05, 5e-6, np.inf])  # the shortest columns cannot pay
    expected = reference.convex_step(unit, weights)
    assert found.converged
    assert found.objective <= expected.value * (1 + 1e-8)


@pytest.mark.parametrize("penalty", [Log(0.1), MCP(3.0), Lq(0.5)], ids=repr)
@pytest.mark.parametrize("kind", [MaskProblem, RegressionProblem])
def test_concave_penalties(penalty, kind):
    problem = kind(X * LENGTHS, Y, penalty=penalty, lam=0.05)
    found = majorize_minimize(problem, "l1")
    assert found.converged
    assert (found.x >= problem.lower).all()
    assert (found.x <= problem.upper).all()
    assert found.objective == pytest.approx(problem.objective(found.x), rel=1e-12)
    assert found.stationarity == pytest.approx(problem.stationarity(found.x), rel=1e-3, abs=1e-6)
    relative = problem.violations(found.x, problem.gradient(found.x), problem.weights(found.x))
    assert (relative[:5] <= 1e-7 * LENGTHS[:5]).all()


@pytest.mark.parametrize("exponent", [-300, -150, 150, 300])
@pytest.mark.parametrize("form", [np.asarray, sparse.csc_matrix])
@pytest.mark.filterwarnings("error")
def test_lengths_whose_squares_overflow_or_vanish(exponent, form):
    """With lam = 0 the fit does not depend on the unit of X."""
    plain = majorize_minimize(RegressionProblem(form(X), Y, penalty=Log(0.1), lam=0.0))
    scaled = majorize_minimize(RegressionProblem(form(X * 10.0**exponent), Y, penalty=Log(0.1), lam=0.0))
    assert scaled.converged
    assert scaled.objective == pytest.approx(plain.objective, rel=1e-12)
    np.testing.assert_allclose(scaled.x * 10.0**exponent, plain.x, rtol=1e-6)


@pytest.mark.parametrize("form", [np.ascontiguousarray, np.asfortranarray])
def test_columns_whose_length_is_in_few_rows(form):
    long = np.tile(X, (50, 1))
    long[:900, 3] *= 1e6
    long[:200, 4] = long[-200:, 4] = 0.0
    problem = RegressionProblem(form(long * LENGTHS), np.tile(Y, 50), penalty=Log(0.1), lam=0.05)
    assert majorize_minimize(problem).converged
    assert problem.normalised().units[4] == pytest.approx(1e-4, rel=0.9)


def test_a_path_in_units():
    found = path(RegressionProblem(X * LENGTHS, Y, penalty=Log(0.1)), n_lams=5)
    assert all(solution.converged for solution in found)
