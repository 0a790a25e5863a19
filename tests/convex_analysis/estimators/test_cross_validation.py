import numpy as np
import pytest
from sklearn.base import clone

from concave_sparsity import L1, MCP, Log, Lq
from convex_analysis import ConcaveClassifierCV, ConcaveRegressorCV, RegressionProblem
from convex_analysis.cross_validation import chosen_index
from convex_analysis.estimators import alpha_choice
from convex_analysis.estimators.penalties import problem_at
from convex_analysis.regularisation_path import follow
from convex_analysis.solver.stop import Stop


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 15))
    return X, X[:, :3] @ np.array([2.0, -1.5, 1.0]) + 0.1 * rng.standard_normal(40)


def alpha_grid(problems, penalty, count, ratio):
    return ConcaveRegressorCV(penalty=penalty)._grid(problems, count, ratio)


@pytest.mark.parametrize("penalty", [L1(), Log(0.1), "mcp", MCP.classical])
def test_grid_starts_where_no_column_pays(data, penalty) -> None:
    problem = RegressionProblem(*data)
    grid = alpha_grid([problem], penalty, 7, 0.01)
    assert grid.shape == (7,)
    np.testing.assert_allclose(grid[-1], 0.01 * grid[0])
    np.testing.assert_allclose(np.diff(np.log(grid)), np.log(0.01) / 6)
    X, y = data
    t = np.linspace(-4, 4, 2001)
    fits = ((y[:, None, None] - X[:, :, None] * t) ** 2).mean(axis=0) / 2
    for share, pays in ((1.0, False), (0.97, True)):
        at = problem_at(problem, penalty, None, share * grid[0])
        assert bool((fits + at.lam * at.penalty.value(np.abs(t))).min() < (y**2).mean() / 2) is pays


def test_grid_of_several_problems_starts_at_the_largest(data) -> None:
    X, y = data
    one, other = RegressionProblem(X, y), RegressionProblem(X, 3.0 * y)
    np.testing.assert_allclose(alpha_grid([one, other], L1(), 3, 0.1), alpha_grid([other], L1(), 3, 0.1))
    assert (alpha_grid([RegressionProblem(X, 0.0 * y)], L1(), 3, 0.1) < 1e-10).all()
    assert alpha_grid([one], L1(), 1, 0.1).shape == (1,)


@pytest.mark.parametrize("penalty", [L1(), Log(0.1), MCP.classical, Lq(0.5)])
def test_path_is_stationary_everywhere_and_grows(data, penalty) -> None:
    problem = RegressionProblem(*data)
    problems = [problem_at(problem, penalty, None, a) for a in alpha_grid([problem], penalty, 8, 0.01)]
    found = follow(problems, "l1", Stop(1e-9, 1000))
    assert all(one.converged for one in found)
    assert found[-1].support.size >= 3
    for at, one in zip(problems, found):
        assert at.stationarity(one.x) <= 1e-7


def test_alpha_in_the_shape_of_the_penalty_and_no_state(data) -> None:
    problem = problem_at(RegressionProblem(*data), MCP.classical, None, 0.3)
    assert problem.penalty == MCP.classical(0.3)
    assert problem.lam == 1.0
    # What a start does: another penalty stays another penalty, at every lam.
    straight = problem.with_penalty(L1()).with_lam(0.2)
    assert straight.penalty == L1()
    assert straight.lam == 0.2
    plain = problem_at(problem, Log(0.2), None, 0.3)
    assert (plain.penalty, plain.lam) == (Log(0.2), 0.3)
    assert problem_at(problem, MCP.classical, None, 0.0).lam == 0.0


def test_choice() -> None:
    losses = np.array([[3.0, 3.0, 3.0], [1.2, 1.0, 1.4], [1.0, 0.9, 1.1], [0.8, 1.2, 1.1]])
    assert chosen_index(losses, "best") == 2
    assert chosen_index(losses, "one-standard-error") == 2
    noisy = losses + np.array([-0.8, 0.0, 0.8])
    assert chosen_index(noisy, "one-standard-error") == 1
    lost = np.column_stack((losses, np.full(4, np.nan)))
    assert chosen_index(lost, "best") == 2
    with pytest.raises(ValueError, match="no fold"):
        chosen_index(np.full((2, 2), np.nan), "best")


@pytest.mark.parametrize("weighted", [False, True])
def test_judging_a_few_samples_at_a_time_changes_nothing(weighted, monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((90, 4))
    y = X[:, 0] + rng.standard_normal(90)
    weights = rng.integers(0, 3, 90) * (np.arange(90) > 20) if weighted else None  # whole blocks have none
    labels = np.digitize(y, [-0.5, 0.5])
    for model, target in (
        (ConcaveRegressorCV(alphas=5, cv=3), y),
        (ConcaveClassifierCV(alphas=5, cv=3), labels),
    ):
        whole = clone(model).fit(X, target, weights).scores_
        with monkeypatch.context() as within:
            within.setattr(alpha_choice, "_BLOCK", 20)
            np.testing.assert_allclose(clone(model).fit(X, target, weights).scores_, whole, rtol=1e-12)
