"""Majorize-minimize: monotone, inside the box, stationary, for every penalty and both problems."""

import warnings

import numpy as np
import pytest

from concave_sparsity import L1, MCP, SCAD, Arctan, CappedL1, Exponential, Fraction, Log, Lq
from convex_analysis import (
    ConvergenceWarning,
    ConvexStep,
    MaskProblem,
    RegressionProblem,
    Status,
    majorize_minimize,
    reference,
)

PENALTIES = [
    L1(),
    Log(0.1),
    Lq(0.5),
    MCP(3.0),
    SCAD(),
    CappedL1(0.5),
    Exponential(0.2),
    Arctan(0.3),
    Fraction(0.1),
]


def design(seed=0, n=40, d=25):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    return X, X[:, :4].sum(1) + 0.2 * rng.standard_normal(n)


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
@pytest.mark.parametrize("loss", ["linear", "logistic", "huber"])
@pytest.mark.parametrize("kind", [MaskProblem, RegressionProblem])
def test_reaches_a_stationary_point_monotonically(penalty, loss, kind):
    X, y = design()
    problem = kind(X, np.sign(y) if loss == "logistic" else y, loss=loss, penalty=penalty, lam=0.05)
    solution = majorize_minimize(problem)
    drops = np.diff(solution.objectives)
    assert (drops <= 1e-12 * np.abs(solution.objectives[:-1])).all()
    assert solution.status is Status.CONVERGED
    assert solution.stationarity == pytest.approx(
        problem.stationarity(solution.x, solution.intercept), abs=1e-12
    )
    assert solution.stationarity <= solution.tolerance
    assert (solution.x >= problem.lower).all()
    assert (solution.x <= problem.upper).all()
    assert solution.objective == pytest.approx(problem.objective(solution.x, solution.intercept), rel=1e-12)
    assert solution.suboptimality_bound >= 0


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_steps_agree_with_cvxpy(penalty):
    X, y = design(1)
    problem = MaskProblem(X, y, penalty=penalty, lam=0.05)
    x = ConvexStep(problem).compute(np.full(problem.n_features, 0.05)).x
    for _ in range(3):
        weights = problem.weights(x)
        found, expected = ConvexStep(problem).compute(weights), reference.convex_step(problem, weights)
        assert found.value == pytest.approx(expected.value, abs=1e-8)
        x = found.x


def test_stopping_early_warns_with_both_figures():
    X, y = design()
    problem = RegressionProblem(X, y, penalty=Log(0.01), lam=0.05)
    with pytest.warns(ConvergenceWarning, match=r"Stationarity .* tolerance"):
        solution = majorize_minimize(problem, "dense", tol=1e-15, max_iter=1)
    assert solution.status is Status.ITERATION_LIMIT


@pytest.mark.parametrize("start", ["l1", "zero", "dense", "multi", np.full(25, 0.5)], ids=str)
def test_every_start(start):
    X, y = design()
    problem = MaskProblem(X, y, penalty=Log(0.3), lam=0.02)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        solution = majorize_minimize(problem, start)
    assert solution.converged


def test_unknown_start_is_refused():
    X, y = design()
    with pytest.raises(ValueError, match="Unknown start 'warm'"):
        majorize_minimize(RegressionProblem(X, y), "warm")


def test_reweighted_log_sum_does_not_diverge():
    X, y = design(3, 60, 100)
    problem = RegressionProblem(X, y, penalty=Log(1e-3), lam=0.1)
    solution = majorize_minimize(problem)
    assert np.abs(solution.x).max() < 2.0
    assert (np.diff(solution.objectives) <= 0).all()


@pytest.mark.parametrize("start", ["l1", "dense", "zero"])
def test_a_corner_that_excludes_zero_and_is_stationary_ends_the_run(start):
    """No coordinate is free and none violates anything: the working set stays empty."""
    X, y = np.eye(2), np.array([-1.0, -1.0])
    problem = RegressionProblem(X, y, penalty=L1(), lam=0.1, lower=0.2, upper=1.0)
    solution = majorize_minimize(problem, start)
    assert solution.converged
    np.testing.assert_array_equal(solution.x, [0.2, 0.2])


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
@pytest.mark.parametrize("kind", [MaskProblem, RegressionProblem])
def test_large_lam_gives_zero_and_ends(penalty, kind):
    X, y = design()
    found = majorize_minimize(kind(X, y, penalty=penalty, lam=1e4))
    assert found.status is Status.CONVERGED
    assert not found.x.any()
    assert found.n_iter == 1
