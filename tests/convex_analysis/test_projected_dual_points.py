"""Dual points that an intercept or free columns move: their correlations are not what they were."""

import numpy as np
import pytest
from scipy import sparse

from concave_sparsity import L1, MCP, Lq
from convex_analysis import RegressionProblem, global_minimum, majorize_minimize
from convex_analysis.duality import dual_value, feasible_dual_point


@pytest.mark.parametrize("kind", [np.asarray, sparse.csc_matrix])
@pytest.mark.parametrize("penalty", [L1(), MCP(3.0), Lq(0.5)], ids=repr)
@pytest.mark.parametrize("lam", [0.0, 0.02])
@pytest.mark.parametrize("loss", ["linear", "logistic"])
def test_a_zero_column_without_penalty_costs_no_certificate(kind, penalty, lam, loss):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 5))
    X[:, 2] = 0.0
    y = np.sign(X[:, 0] + rng.standard_normal(60))
    problem = RegressionProblem(
        kind(X), y, loss=loss, penalty=penalty, lam=lam, lower=-2.0, upper=2.0,
        penalty_factor=np.array([1.0, 1.0, 0.0, 1.0, 1.0]), fit_intercept=True,
    )  # fmt: skip
    assert majorize_minimize(problem).gap <= 1e-7


def test_branch_and_bound_ends_with_a_zero_column_without_penalty():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 5))
    X[:, 2] = 0.0
    y = np.sign(X[:, 0] + rng.standard_normal(60))
    problem = RegressionProblem(
        X, y, loss="logistic", penalty=MCP(3.0), lam=0.02, lower=-2.0, upper=2.0,
        penalty_factor=np.array([1.0, 1.0, 0.0, 1.0, 1.0]), fit_intercept=True,
    )  # fmt: skip
    assert global_minimum(problem, max_nodes=1000).status == "optimal"


@pytest.mark.parametrize("bound", [1.0, 1e4, 1e8])
def test_far_bounds_cost_no_certificate(bound):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((40, 8))
    y = X[:, 0] + 0.3 * rng.standard_normal(40)
    problem = RegressionProblem(
        X, y, loss="huber", penalty=L1(), lam=0.3, lower=-bound, upper=bound, fit_intercept=True
    )
    found = majorize_minimize(problem)
    z = problem.predictor(found.x, found.intercept + 1e-11)
    rows = problem.row_weights * problem.loss.derivative(z, problem.y)
    weights = np.full(8, 0.3)
    point = feasible_dual_point(problem, weights, -rows, z)
    exact = dual_value(problem, weights, point.nu)
    told = dual_value(problem, weights, point.nu, None, point.correlation, point.slack)
    assert told == pytest.approx(exact, rel=1e-12)


def test_a_shape_that_does_not_fit_is_one_sentence():
    problem = RegressionProblem(np.eye(3, 4), np.ones(3), lam=0.1)
    for weights, nu in ((np.ones(1), np.ones(3)), (np.ones(4), np.ones(5))):
        with pytest.raises(ValueError, match="must have shape"):
            dual_value(problem, weights, nu)
