"""Groups: norms of groups in regression, one mask entry a group."""

import warnings

import numpy as np
import pytest
from scipy import sparse

from concave_sparsity import L1, MCP, SCAD, Log, Lq
from convex_analysis import (
    ConvexStep,
    MaskProblem,
    RegressionProblem,
    global_minimum,
    majorize_minimize,
    path,
    reference,
)

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 20))
GROUPS = np.repeat(np.arange(5), [6, 1, 4, 4, 5])
RNG.shuffle(GROUPS)
Y = X[:, GROUPS == 0].sum(axis=1) + 0.3 * RNG.standard_normal(60)


@pytest.mark.parametrize("loss", ["linear", "logistic", "poisson"])
@pytest.mark.parametrize("intercept", [False, True])
def test_the_group_lasso_agrees_with_cvxpy(loss, intercept):
    y = {"linear": Y, "logistic": np.sign(Y), "poisson": np.round(np.exp(0.3 * Y))}[loss]
    problem = RegressionProblem(X, y, loss=loss, lam=0.05, groups=GROUPS, fit_intercept=intercept)
    weights = problem.lam * problem.penalty_factor
    np.testing.assert_allclose(problem.penalty_factor, np.sqrt(np.bincount(GROUPS))[GROUPS])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        expected = reference.convex_step(problem, weights)
    found = ConvexStep(problem).compute(weights)
    assert found.value == pytest.approx(expected.value, abs=1e-9)
    assert found.gap <= 1e-9
    solved = majorize_minimize(problem)
    assert solved.converged
    assert solved.objective == pytest.approx(expected.value, abs=1e-7)
    assert solved.suboptimality_bound <= 1e-6


@pytest.mark.parametrize("penalty", [L1(), Log(0.1), MCP(3.0), SCAD(), Lq(0.5)], ids=repr)
@pytest.mark.parametrize("loss", ["linear", "huber", "logistic"])
def test_concave_groups_end_stationary_and_whole(penalty, loss):
    y = np.sign(Y) if loss == "logistic" else Y
    problem = RegressionProblem(X, y, loss=loss, penalty=penalty, lam=0.05, groups=GROUPS, ridge=0.01)
    found = majorize_minimize(problem)
    assert found.converged
    assert problem.stationarity(found.x) <= found.tolerance * (1 + 1e-6)
    assert (np.diff(found.objectives) <= 1e-13 * np.abs(found.objectives[:-1])).all()
    alive = np.bincount(GROUPS, found.x != 0)
    assert set(alive) <= {0, *np.bincount(GROUPS)}
    assert alive[0] == 6


@pytest.mark.parametrize("penalty", [L1(), Log(0.1), MCP(3.0)], ids=repr)
def test_groups_of_one_are_single_coefficients(penalty):
    grouped = majorize_minimize(
        RegressionProblem(X, Y, penalty=penalty, lam=0.05, groups=np.arange(20)), refine=False
    )
    single = majorize_minimize(RegressionProblem(X, Y, penalty=penalty, lam=0.05), refine=False)
    np.testing.assert_allclose(grouped.x, single.x, atol=1e-6)


def test_a_path_begins_with_no_group():
    problem = RegressionProblem(X, Y, penalty=L1(), groups=GROUPS)
    solutions = path(problem, n_lams=5)
    assert not solutions[0].x.any()
    assert all(solution.converged for solution in solutions)
    assert majorize_minimize(problem.with_lam(0.99 * problem.lam_max())).x.any()


def test_badly_scaled_columns_keep_their_groups():
    scales = 10.0 ** np.linspace(-4, 4, 20)
    problem = RegressionProblem(X * scales, Y, penalty=L1(), lam=0.01, groups=GROUPS)
    found = majorize_minimize(problem)
    assert found.converged
    assert found.gap <= 1e-6


@pytest.mark.parametrize("sparsely", [False, True])
@pytest.mark.parametrize("groups", ["labels", "lists"])
def test_a_mask_of_groups_is_a_mask_on_their_columns(sparsely, groups):
    theta = RNG.standard_normal(20)
    columns = np.stack([X[:, g == GROUPS] @ theta[g == GROUPS] for g in range(5)], axis=1)
    given = GROUPS if groups == "labels" else [np.flatnonzero(g == GROUPS).tolist() for g in range(5)]
    A = sparse.csc_array(X) if sparsely else X
    one = MaskProblem(A, Y, theta, penalty=Log(0.1), lam=0.01, groups=given)
    other = MaskProblem(columns, Y, penalty=Log(0.1), lam=0.01)
    assert one.n_features == 5
    np.testing.assert_allclose(majorize_minimize(one).x, majorize_minimize(other).x, atol=1e-9)
    assert global_minimum(one).objective == pytest.approx(global_minimum(other).objective, abs=1e-9)


def test_a_label_of_any_kind_names_a_group():
    named = RegressionProblem(X, Y, groups=np.array(list("abcde"))[GROUPS])
    np.testing.assert_array_equal(named.group, GROUPS)


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ([[0, 1], [1, 2]], "Groups overlap: feature 1 is named twice. Give each group a copy"),
        ([[0, 1], list(range(2, 19))], "Feature 19 is in no group"),
        ([[0, 25]], "Group 0 names feature 25 of 20"),
        ([0, 1], "groups must have shape"),
    ],
)
def test_wrong_groups_are_refused(groups, words):
    with pytest.raises(ValueError, match=words):
        RegressionProblem(X, Y, groups=groups)


def test_bounds_of_groups_are_refused_with_the_remedy():
    with pytest.raises(ValueError, match="state a MaskProblem"):
        RegressionProblem(X, Y, groups=GROUPS, lower=0.0)


@pytest.mark.parametrize("loss", ["linear", "logistic"])
def test_a_warm_step_holds_a_group_at_zero(loss):
    y = np.sign(Y) if loss == "logistic" else Y
    problem = RegressionProblem(X, y, loss=loss, groups=GROUPS)
    solver, few = ConvexStep(problem), np.full(20, 0.01)
    assert solver.compute(few).x[GROUPS == 0].all()
    held = np.where(GROUPS == 0, np.inf, few)
    expected = ConvexStep(problem).compute(held)
    found = solver.compute(held)
    assert not found.x[GROUPS == 0].any()
    assert found.value == pytest.approx(expected.value, abs=1e-9)


@pytest.mark.parametrize("loss", ["linear", "logistic"])
@pytest.mark.parametrize("penalty", [L1(), Log(0.1), MCP(3.0)], ids=repr)
def test_an_infinite_factor_leaves_a_group_out(penalty, loss):
    y = np.sign(Y) if loss == "logistic" else Y
    factor = np.array([np.inf, 1.0, 0.0, 2.0, 1.0])
    stated = {"loss": loss, "penalty": penalty, "lam": 0.05, "fit_intercept": True}
    problem = RegressionProblem(X, y, groups=GROUPS, penalty_factor=factor, **stated)
    kept = GROUPS != 0
    smaller = RegressionProblem(X[:, kept], y, groups=GROUPS[kept], penalty_factor=factor[1:], **stated)
    found, expected = majorize_minimize(problem), majorize_minimize(smaller)
    assert found.converged
    assert not found.x[~kept].any()
    assert found.objective == pytest.approx(expected.objective, rel=1e-9)
    assert found.gap == pytest.approx(expected.gap, abs=1e-8)
    assert problem.lam_max() == pytest.approx(smaller.lam_max())
    assert not majorize_minimize(problem, np.ones(20)).x[~kept].any()
    nothing = RegressionProblem(X, y, groups=GROUPS, penalty_factor=np.full(5, np.inf), **stated)
    assert not majorize_minimize(nothing).x.any()
