import numpy as np
import pytest

from concave_sparsity import L1, MCP, Log, Lq
from convex_analysis.estimators.alpha_problem import AlphaProblem
from convex_analysis.estimators.cross_validation import alpha_grid, chosen_index, solve_along


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 15))
    return X, X[:, :3] @ np.array([2.0, -1.5, 1.0]) + 0.1 * rng.standard_normal(40)


def problem_with(data, penalty):
    return AlphaProblem(*data, penalty, None, 1.0)


@pytest.mark.parametrize("penalty", [L1(), Log(0.1), "mcp", MCP.classical])
def test_grid_starts_where_zero_is_just_stationary(data, penalty) -> None:
    problem = problem_with(data, penalty)
    grid = alpha_grid([problem], 7, 0.01)
    assert grid.shape == (7,)
    np.testing.assert_allclose(grid[-1], 0.01 * grid[0])
    np.testing.assert_allclose(np.diff(np.log(grid)), np.log(0.01) / 6)
    zero = np.zeros(15)
    assert problem.with_lam(grid[0] * (1 + 1e-9)).stationarity(zero) <= 1e-12
    assert problem.with_lam(grid[0] * 0.99).stationarity(zero) > 1e-6


def test_grid_of_several_problems_starts_at_the_largest(data) -> None:
    X, y = data
    one = problem_with((X, y), L1())
    other = problem_with((X, 3.0 * y), L1())
    np.testing.assert_allclose(alpha_grid([one, other], 3, 0.1), alpha_grid([other], 3, 0.1))
    assert (alpha_grid([problem_with((X, 0.0 * y), L1())], 3, 0.1) < 1e-10).all()
    assert alpha_grid([one], 1, 0.1).shape == (1,)


@pytest.mark.parametrize("penalty", [L1(), Log(0.1), MCP.classical, Lq(0.5)])
def test_path_is_stationary_everywhere_and_grows(data, penalty) -> None:
    problem = problem_with(data, penalty)
    alphas = alpha_grid([problem], 8, 0.01)
    found = solve_along(problem, alphas, "l1", 1e-9, 1000)
    assert all(one.converged for one in found)
    assert found[-1].support.size >= 3
    for alpha, one in zip(alphas, found):
        assert problem.with_lam(alpha).stationarity(one.x) <= 1e-7


def test_alpha_in_the_shape_of_the_penalty(data) -> None:
    problem = problem_with(data, MCP.classical).with_lam(0.3)
    assert problem.penalty == MCP.classical(0.3)
    assert problem.lam == 1.0
    plain = problem_with(data, Log(0.2)).with_lam(0.3)
    assert plain.penalty == Log(0.2)
    assert plain.lam == 0.3
    assert problem_with(data, MCP.classical).with_lam(0.0).lam == 0.0


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
