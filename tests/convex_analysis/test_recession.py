"""Separable labels under a flat penalty have no minimiser: that is said, and nothing else is called so."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from concave_sparsity import L1, MCP, SCAD, Arctan, CappedL1, Exponential, Fraction, Log
from convex_analysis import (
    ConvergenceWarning,
    MultiResponseProblem,
    RegressionProblem,
    Status,
    majorize_minimize,
    path,
)
from convex_analysis.recession import falling_ray

X, Y = np.arange(4.0)[:, None], np.array([0.0, 0.0, 1.0, 1.0])


def solved(*args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        start = options.pop("start", None)
        problem = RegressionProblem(*args, loss=options.pop("loss", "logistic"), **options)
        return problem, majorize_minimize(problem, start)


@pytest.mark.parametrize("tol", [1e-4, 1e-8, 1e-10])
@pytest.mark.parametrize("penalty", [MCP(3.0), SCAD(3.7, 1.0), CappedL1(1.0), Exponential(0.1)], ids=repr)
def test_the_published_example_has_no_minimiser(penalty, tol):
    problem = RegressionProblem(X, Y, loss="logistic", penalty=penalty, lam=0.01, fit_intercept=True)
    with pytest.warns(ConvergenceWarning, match=r"No minimiser exists.*bound them.*ridge"):
        found = majorize_minimize(problem, tol=tol)
    assert found.status is Status.NO_MINIMISER
    direction, share = falling_ray(problem, found.x, found.intercept)
    values = [problem.objective(found.x + t * direction, found.intercept + t * share) for t in (0, 0.2, 0.5)]
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_without_penalty_too_and_with_ties(fit_intercept):
    _, found = solved(X - 1.5, Y, lam=0.0, fit_intercept=fit_intercept)
    assert found.status is Status.NO_MINIMISER
    # Quasi-complete separation: at x = 0 both labels occur.
    A, labels = np.array([[-1.0], [0.0], [0.0], [1.0]]), np.array([0.0, 0.0, 1.0, 1.0])
    _, found = solved(A, labels, lam=0.0)
    assert found.status is Status.NO_MINIMISER


@pytest.mark.parametrize("penalty", [L1(), Log(0.1), Fraction(0.1), Arctan(0.3)], ids=repr)
def test_a_penalty_that_holds_the_coefficients_has_a_minimiser(penalty):
    _, found = solved(X, Y, penalty=penalty, lam=0.01, fit_intercept=True)
    assert found.status is not Status.NO_MINIMISER


def test_bounds_other_labels_and_other_losses_have_one():
    assert solved(X - 1.5, Y, lam=0.0, lower=-50.0, upper=50.0)[1].status is not Status.NO_MINIMISER
    mixed = np.array([0.0, 1.0, 0.0, 1.0])
    assert solved(10.0 * X, mixed, lam=0.0, fit_intercept=True)[1].converged
    # The zero model is a minimiser where a feature does not pay.
    assert solved(X - 1.5, Y, penalty=MCP(1.0), lam=5.0)[1].converged
    assert falling_ray(RegressionProblem(X, 9.0 * Y), np.array([9.0]), 0.0) is None


def test_a_ridge_holds_them():
    assert solved(X, Y, penalty=MCP(3.0), lam=0.01, fit_intercept=True, ridge=1e-3)[1].converged


COUNTS = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]), np.array([2.0, 3.0, 0.0, 0.0])


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize(
    ("penalty", "lam"), [(L1(), 0.0), (Log(0.1), 0.0), (MCP(3.0), 0.01), (SCAD(3.7, 1.0), 0.01)]
)
def test_counts_of_zero_in_a_direction_have_no_minimiser(penalty, lam, fit_intercept):
    problem, found = solved(*COUNTS, loss="poisson", penalty=penalty, lam=lam, fit_intercept=fit_intercept)
    assert found.status is Status.NO_MINIMISER
    assert "all counts are zero" in found.message
    direction, share = falling_ray(problem, found.x, found.intercept)
    values = [problem.objective(found.x + t * direction, found.intercept + t * share) for t in (0, 0.2, 0.5)]
    assert values == sorted(values, reverse=True)
    # Sparse data, and rows of weight zero that would hold it, change nothing.
    X, y = np.vstack([COUNTS[0], [[1.0, 1.0]]]), np.append(COUNTS[1], 7.0)
    _, found = solved(
        sparse.csc_matrix(X), y, loss="poisson", penalty=penalty, lam=lam, fit_intercept=fit_intercept,
        sample_weight=[1, 1, 1, 1, 0],
    )  # fmt: skip
    assert found.status is Status.NO_MINIMISER


def test_an_intercept_that_runs_away_alone_meets_the_infimum_to_rounding():
    for loss, y in (("poisson", np.zeros(4)), ("logistic", np.ones(4))):
        _, found = solved(X, y, loss=loss, penalty=L1(), lam=0.01, fit_intercept=True)
        assert found.converged
        assert found.objective <= 1e-12


@pytest.mark.parametrize(("penalty", "lam"), [(L1(), 0.01), (Log(0.1), 0.01), (Fraction(0.1), 0.01)])
def test_counts_that_a_penalty_holds_have_one(penalty, lam):
    assert solved(*COUNTS, loss="poisson", penalty=penalty, lam=lam, fit_intercept=True)[1].converged


def test_counts_without_such_a_direction_and_other_losses_have_one():
    X, y = COUNTS
    assert solved(X, y + np.eye(4)[2], loss="poisson", lam=0.0)[1].converged  # a count holds the direction
    assert solved(X, y, loss="poisson", lam=0.0, lower=-30.0)[1].converged
    assert solved(X, y, loss="poisson", lam=0.0, ridge=1e-3)[1].converged
    assert solved(X, y + 1e-3, loss="gamma", lam=0.0)[1].converged
    assert solved(X, np.sign(y - 1.0), loss="squared-hinge", lam=0.0)[1].converged


@given(st.integers(0, 10**6))
def test_counts_with_a_minimiser_are_never_called_so(seed):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((12, 2))
    both = np.vstack([A, A])  # each sample with and without a count
    y = np.append(np.zeros(12), rng.integers(1, 2000, 12).astype(float))
    _, found = solved(both, y, loss="poisson", lam=0.0, fit_intercept=True)
    assert found.status is not Status.NO_MINIMISER


@given(st.integers(0, 10**6))
def test_data_that_are_not_separable_are_never_called_so(seed):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((12, 2)) * 10.0
    labels = rng.integers(0, 2, 12).astype(float)
    both = np.vstack([A, A])  # each sample with both labels
    _, found = solved(both, np.append(labels, 1.0 - labels), lam=0.0, fit_intercept=True)
    assert found.status is not Status.NO_MINIMISER
    x, b = 100.0 * rng.standard_normal(2), 0.0
    problem = RegressionProblem(both, np.append(labels, 1.0 - labels), loss="logistic", lam=0.0)
    assert falling_ray(problem, x, b) is None


def test_data_that_floating_point_cannot_judge_are_said_to_be_so():
    # The gradient at zero is what is left of terms 1e16 times as large.
    A, y = np.array([[1.0], [-1.0], [0.0]]), np.array([1e16 + 2.0, 1e16, 0.0])
    problem = RegressionProblem(A, y, penalty=Log(0.1), lam=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = majorize_minimize(problem)
    assert "floating point cannot judge these data" in found.message
    well = majorize_minimize(RegressionProblem(np.eye(3), np.arange(3.0), penalty=Log(0.1), lam=0.1))
    assert "judge" not in well.message


def test_rare_counts_need_no_linear_programme(monkeypatch):
    """Where the samples with counts span all moving columns, no direction leaves them where they are."""
    import scipy.optimize

    monkeypatch.setattr(scipy.optimize, "linprog", lambda *_, **__: pytest.fail("it is not needed"))
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 5))
    counts = rng.poisson(np.exp(-1.0 + 2.0 * X[:, 0]))
    problem = RegressionProblem(X, counts, loss="poisson", penalty=MCP(3.0), lam=0.05, fit_intercept=True)
    found = majorize_minimize(problem)
    assert found.converged
    assert problem.predictor(found.x, found.intercept).min() < -5.0


def several(labels, **options):
    rng = np.random.default_rng(0)
    A = rng.standard_normal((30, 4))
    scores = A[:, :3] if labels == "separated" else A[:, :3] + rng.gumbel(size=(30, 3))
    return MultiResponseProblem(A, scores.argmax(axis=1), loss="multinomial", fit_intercept=True, **options)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("penalty", [MCP(3.0), SCAD(3.7, 1.0)], ids=repr)
def test_classes_that_are_separated_have_no_minimiser(penalty, shared):
    problem = several("separated", penalty=penalty, lam=1e-3, shared_support=shared)
    with pytest.warns(ConvergenceWarning, match=r"No minimiser exists.*classes are separated.*ridge"):
        found = majorize_minimize(problem)
    assert found.status is Status.NO_MINIMISER
    direction, share = falling_ray(problem, found.x, 0.0)
    assert share == 0.0
    values = [problem.objective(found.x + t * direction) for t in (0, 0.2, 0.5)]
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("shared", [False, True])
def test_classes_with_a_minimiser_are_never_called_so(shared):
    for labels, penalty in (("separated", Log(0.1)), ("separated", L1()), ("mixed", MCP(3.0))):
        assert majorize_minimize(several(labels, penalty=penalty, lam=0.01, shared_support=shared)).converged
    flat = several("separated", penalty=MCP(3.0), lam=1e-3, shared_support=shared, ridge=1e-3)
    assert majorize_minimize(flat).converged
    # A class whose samples have no weight: its intercept alone runs away.
    problem = several("mixed", penalty=L1(), lam=0.05, shared_support=shared)
    weights = np.where(problem.y[:30] == 1.0, 0.0, 1.0)
    assert majorize_minimize(problem.with_sample_weight(weights)).status is not Status.NO_MINIMISER


@pytest.mark.parametrize("loss", ["logistic", "poisson"])
def test_groups_that_a_flat_penalty_lets_go(loss):
    rng = np.random.default_rng(1)
    A = rng.standard_normal((25, 6))
    y = (A[:, 0] > 0.3) * (1.0 if loss == "logistic" else 0.0)
    if loss == "poisson":  # counts where the first column is zero alone
        A[:5, 0], A[5:, 0], y[:5] = 0.0, np.abs(A[5:, 0]), 2.0
    options = {"loss": loss, "groups": [0, 0, 1, 1, 2, 2], "fit_intercept": True, "lam": 0.01}
    problem, found = solved(A, y, penalty=MCP(3.0), **options)
    assert found.status is Status.NO_MINIMISER
    assert "bound them" not in found.message  # groups have no bounds
    direction, share = falling_ray(problem, found.x, found.intercept)
    values = [problem.objective(found.x + t * direction, found.intercept + t * share) for t in (0, 0.2, 0.5)]
    assert values == sorted(values, reverse=True)
    assert solved(A, y, penalty=Log(0.1), **options)[1].converged
    assert solved(A, y, penalty=MCP(3.0), ridge=1e-3, **options)[1].converged


def test_a_path_solves_no_linear_programme_where_its_solutions_speak_for_themselves(monkeypatch):
    """Slopes that balance the penalty's, or slopes of the losses that no direction leaves: both are free."""
    import scipy.optimize

    monkeypatch.setattr(scipy.optimize, "linprog", lambda *_, **__: pytest.fail("it is not needed"))
    rng = np.random.default_rng(0)
    A = rng.standard_normal((150, 40))
    y = 1.0 * (3.0 * A[:, 0] + 2.0 * A[:, 1] + rng.logistic(size=150) > 0.0)
    for penalty in (L1(), Log(0.1), MCP(3.0)):
        problem = RegressionProblem(A, y, loss="logistic", penalty=penalty, fit_intercept=True)
        found = path(problem, n_lams=6, smallest=0.02)
        assert all(one.converged for one in found)
        assert np.abs(problem.predictor(found[-1].x, found[-1].intercept)).max() > 5.0
