"""Paths by continuation: grids, starts, better minima than one lam alone, criteria."""

import numpy as np
import pytest

from concave_sparsity import MCP, Log, Lq
from convex_analysis import ConvergenceWarning, RegressionProblem, lam_grid, majorize_minimize, path
from convex_analysis.regularisation_path import lam_of_zero

RNG = np.random.default_rng(0)
FACTOR = RNG.standard_normal((50, 1))
X = RNG.standard_normal((50, 80)) + 0.7 * FACTOR
Y = X[:, :5].sum(1) + 0.3 * RNG.standard_normal(50)


@pytest.mark.parametrize("penalty", [Log(0.01), MCP(0.3), Lq(0.5)], ids=repr)
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_from_the_largest_lam_on_no_single_column_pays_and_below_one_does(penalty, fit_intercept):
    problem = RegressionProblem(X + 0.5, Y, penalty=penalty, fit_intercept=fit_intercept)
    lam = lam_of_zero(problem)
    zero = problem.data_fit(*problem.start_at_zero())
    columns = X - X.mean(axis=0) if fit_intercept else X + 0.5
    y = Y - Y.mean() if fit_intercept else Y
    t = np.concatenate([-np.geomspace(1e-4, 9, 400), np.geomspace(1e-4, 9, 400)])
    fits = [((y[:, None] - columns[:, [j]] * t) ** 2).mean(axis=0) / 2 for j in range(80)]
    for share, pays in ((1.0, False), (0.98, True)):
        values = np.array(fits) + share * lam * penalty.value(np.abs(t))
        assert bool(values.min() < zero) is pays
    assert not path(problem, n_lams=3)[0].x.any()


@pytest.mark.parametrize("loss", ["linear", "logistic", "huber"])
def test_lq_is_no_zero_model_all_along_a_path(loss):
    """A start at zero is none where the slope at zero is infinite."""
    A = np.random.RandomState(0).randn(100, 2)
    y = np.where(A[:, 0] > 0, 1.0, -1.0)
    problem = RegressionProblem(A, y, loss=loss, penalty=Lq(0.5), fit_intercept=True)
    found = path(problem, n_lams=10)
    assert not found[0].x.any() or loss == "logistic"
    assert found[-1].x[0] > 0.0
    for solution in found:
        single = majorize_minimize(problem.with_lam(solution.lam), "l1")
        assert solution.objective <= single.objective * (1 + 1e-9)


def test_a_path_is_shown_in_a_line():
    shown = repr(path(RegressionProblem(X, Y, penalty=Log(0.1)), n_lams=5))
    assert shown.startswith("Path(5 solutions, lam ")
    assert len(shown) < 120


def test_the_grid_falls_from_lam_max():
    problem = RegressionProblem(X, Y, penalty=Log(0.1))
    grid = lam_grid(problem, 7, 0.1)
    assert grid[0] == lam_of_zero(problem) > problem.lam_max()
    assert grid[-1] == pytest.approx(0.1 * problem.lam_max())
    np.testing.assert_allclose(np.diff(np.log(grid)), np.log(grid[-1] / grid[0]) / 6)
    assert lam_grid(RegressionProblem(X, Y))[0] == RegressionProblem(X, Y).lam_max()  # l1
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
    expected = 50 * np.log(residual @ residual / 50) + np.log(50) * (k + 1) * 50 / (50 - k - 2)
    assert found.bic[0] == pytest.approx(expected)


def test_one_warning_for_all_that_stop_early():
    with pytest.warns(
        ConvergenceWarning, match=r"[12] of 2 solutions stopped early; .* Stationarity .* tolerance"
    ) as told:
        path(RegressionProblem(X, Y, penalty=Log(0.001)), [0.1, 0.05], tol=1e-12, max_iter=1, start="dense")
    assert len(told) == 1
