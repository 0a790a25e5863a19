"""Paths by continuation: grids, starts, better minima than one lam alone, criteria."""

import numpy as np
import pytest

from concave_sparsity import MCP, Log, Lq
from convex_analysis import ConvergenceWarning, RegressionProblem, lam_grid, majorize_minimize, path

RNG = np.random.default_rng(0)
FACTOR = RNG.standard_normal((50, 1))
X = RNG.standard_normal((50, 80)) + 0.7 * FACTOR
Y = X[:, :5].sum(1) + 0.3 * RNG.standard_normal(50)


def test_the_grid_falls_from_lam_max():
    problem = RegressionProblem(X, Y, penalty=Log(0.1))
    grid = lam_grid(problem, 7, 0.1)
    assert grid[0] == problem.lam_max()
    assert grid[-1] == pytest.approx(0.1 * problem.lam_max())
    np.testing.assert_allclose(np.diff(np.log(grid)), np.log(0.1) / 6)
    assert lam_grid(problem, 3)[-1] == pytest.approx(1e-2 * problem.lam_max())
    assert lam_grid(RegressionProblem(X[:, :9], Y), 3)[-1] / lam_grid(RegressionProblem(X[:, :9], Y), 3)[
        0
    ] == pytest.approx(1e-3)


@pytest.mark.parametrize("penalty", [Log(0.1), MCP(3.0), Lq(0.5, smoothing=0.1)], ids=repr)
def test_every_solution_is_stationary_at_its_lam(penalty):
    problem = RegressionProblem(X, Y, penalty=penalty)
    found = path(problem, n_lams=12)
    assert len(found) == 12
    assert not found[0].x.any() or found[0].objective < problem.with_lam(found.lams[0]).data_fit(np.zeros(80))
    for lam, solution in zip(found.lams, found):
        assert solution.converged
        assert solution.lam == lam
        at = problem.with_lam(lam)
        assert at.stationarity(solution.x) <= solution.tolerance * (1 + 1e-6)
        assert solution.objective == pytest.approx(at.objective(solution.x), rel=1e-12)
    assert found.coefficients.shape == (80, 12)


def test_continuation_reaches_no_worse_minima_than_single_starts():
    """Over random problems: at the last lam the path is on average better, and never far behind."""
    gains = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        A = rng.standard_normal((50, 80)) + 0.7 * rng.standard_normal((50, 1))
        problem = RegressionProblem(A, A[:, :6].sum(1) + 0.3 * rng.standard_normal(50), penalty=Log(0.05))
        lam = 0.05 * problem.lam_max()
        last = path(problem, np.geomspace(problem.lam_max(), lam, 15))[-1]
        single = majorize_minimize(problem.with_lam(lam), "l1")
        gains.append(single.objective / last.objective - 1)
    assert np.mean(gains) >= -1e-3
    assert np.min(gains) >= -0.05


@pytest.mark.parametrize("start", [None, "l1", "zero", "dense", "multi", np.zeros(80)], ids=str)
def test_every_start(start):
    assert path(RegressionProblem(X, Y, penalty=Log(0.1)), [0.3, 0.1], start=start)[-1].converged


def test_a_rising_grid_is_followed_as_given():
    grid = [0.05, 0.2, 0.8]
    found = path(RegressionProblem(X, Y, penalty=Log(0.1)), grid, start="dense")
    np.testing.assert_array_equal(found.lams, grid)
    sizes = [solution.support.size for solution in found]
    assert sizes == sorted(sizes, reverse=True)


def test_criteria_find_the_true_support():
    found = path(RegressionProblem(X, Y, penalty=MCP(3.0)), n_lams=30)
    for criterion in ("bic", "ebic"):
        best = found.best(criterion)
        assert best.objective in [solution.objective for solution in found]
        assert found.criterion(criterion).min() == found.criterion(criterion)[found.solutions.index(best)]
    np.testing.assert_array_equal(found.best("ebic").support, np.arange(5))
    with pytest.raises(ValueError, match="Unknown criterion 'aic': choose one of bic, ebic"):
        found.best("aic")


def test_bic_by_hand():
    problem = RegressionProblem(X, Y, penalty=Log(0.1), fit_intercept=True)
    found = path(problem, [0.1])
    solution = found[0]
    residual = Y - X @ solution.x - solution.intercept
    k = solution.support.size
    expected = 50 * np.log(residual @ residual / 50) + np.log(50) * (k + 1)
    assert found.bic[0] == pytest.approx(expected)


def test_one_warning_for_all_that_stop_early():
    with pytest.warns(
        ConvergenceWarning, match=r"[12] of 2 solutions stopped early; .* Stationarity .* tolerance"
    ) as told:
        path(RegressionProblem(X, Y, penalty=Log(0.001)), [0.1, 0.05], tol=1e-12, max_iter=1, start="dense")
    assert len(told) == 1
