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
from convex_analysis.regulariser import Separable

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
    labels = np.where(np.arange(40) % 6 == 0, -1.0, 1.0) * np.sign(y)  # not to be separated
    problem = kind(X, labels if loss == "logistic" else y, loss=loss, penalty=penalty, lam=0.05)
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
    with pytest.raises(ValueError, match=r"start of majorize_minimize must be one of .*; got 'warm'"):
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


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
@pytest.mark.parametrize("loss", ["linear", "logistic", "huber"])
@pytest.mark.parametrize("start", ["l1", "dense", "zero"])
def test_no_iterate_leaves_the_box(penalty, loss, start, monkeypatch):
    """Not by a rounding either: every point at which the objective is taken is looked at."""
    X, y = design(5)
    low = np.where(np.arange(25) % 2 == 0, -0.3, 0.1)
    high = np.where(np.arange(25) % 3 == 0, 0.7, np.inf)
    y = np.sign(y) if loss == "logistic" else y
    problem = RegressionProblem(X, y, loss=loss, penalty=penalty, lam=0.01, lower=low, upper=high)
    seen = []
    original = Separable.entries

    def spy(self, x):
        if x.size == 25:  # not a working set's
            seen.append(np.array(x))
        return original(self, x)

    monkeypatch.setattr(Separable, "entries", spy)
    solution = majorize_minimize(problem, start)
    assert seen
    for x in [*seen, solution.x]:
        assert (x >= low).all()
        assert (x <= high).all()


def test_an_accelerated_step_that_raises_the_objective_is_refused(monkeypatch):
    """With a wrong second derivative the steps of second order are poor; the descent stays monotone."""
    X, y = design(6)
    problem = RegressionProblem(X, y, penalty=Log(0.05), lam=0.02)
    expected = majorize_minimize(problem)

    def bent(self, at):
        bend = np.zeros(self.scale.size)
        bend[at.support] = -50.0
        return bend

    monkeypatch.setattr(Separable, "bend", bent)
    found = majorize_minimize(problem)
    assert found.converged
    assert (np.diff(found.objectives) <= 1e-14 * found.objectives[0]).all()
    assert found.objective <= 1.05 * expected.objective


def test_a_status_is_a_sentence():
    for status in Status:
        assert str(status) == status.value
        assert status.value.endswith(".")
        assert " " in status.value


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-np.inf, np.inf), (0.0, np.inf)])
def test_every_solution_carries_its_certificates(penalty, bounds):
    X, y = design(7)
    problem = RegressionProblem(X, y, penalty=penalty, lam=0.05, lower=bounds[0], upper=bounds[1])
    found = majorize_minimize(problem)
    assert 0.0 <= found.gap <= 1e-6
    assert 0.0 <= found.suboptimality_bound <= found.objective * (1 + 1e-12)
    for other in ("dense", "zero", "l1"):
        assert (
            majorize_minimize(problem, other).objective >= found.objective - found.suboptimality_bound - 1e-12
        )


def test_multi_is_the_best_of_all():
    X, y = design(8, 30, 60)
    problem = RegressionProblem(X, y, penalty=Log(0.02), lam=0.05)
    singles = [majorize_minimize(problem, start).objective for start in (None, "l1", "dense", "zero")]
    assert majorize_minimize(problem, "multi").objective == pytest.approx(min(singles), rel=1e-12)


def test_multi_is_never_above_the_default():
    rng = np.random.default_rng(16)  # here the default finds a better minimum than each of the three
    X = rng.standard_normal((60, 200))
    X += 0.7 * np.roll(X, 1, axis=1)
    y = X[:, :12].sum(axis=1) + rng.standard_normal(60)
    problem = RegressionProblem(X, y, penalty=Log(0.1), lam=0.1)
    assert majorize_minimize(problem, "multi").objective <= majorize_minimize(problem).objective


def test_a_tolerance_below_rounding_is_met_by_rounding():
    X, y = design(9)
    solution = majorize_minimize(RegressionProblem(X, y, penalty=L1(), lam=0.05), tol=1e-18)
    assert solution.converged
    assert 0 < solution.tolerance < 1e-12


@pytest.mark.parametrize("loss", ["linear", "logistic", "huber", "poisson", "gamma", "squared-hinge"])
@pytest.mark.parametrize("penalty", [Log(0.1), MCP(3.0), Lq(0.5)], ids=repr)
def test_refining_never_ends_higher(loss, penalty):
    for seed in (11, 18, 22):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((50, 60))
        z = X[:, :5].sum(axis=1) + 0.5 * rng.standard_normal(50)
        counts, positive = np.floor(np.exp(np.clip(z / 2, -5, 3))), np.exp(z / 3)
        y = {"huber": z, "poisson": counts, "gamma": positive}.get(
            loss, z if loss == "linear" else np.sign(z)
        )
        problem = RegressionProblem(X, y, loss=loss, penalty=penalty, lam=0.05, fit_intercept=True)
        first = majorize_minimize(problem, refine=False).objective
        assert majorize_minimize(problem).objective <= first + 1e-13 * abs(first)
