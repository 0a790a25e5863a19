"""Stability selection, nested cross-validation, refits, degrees of freedom: closed forms and simulation."""

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import load_diabetes

from concave_sparsity import L1, MCP, Log
from convex_analysis import (
    MultiResponseProblem,
    RegressionProblem,
    effective_degrees_of_freedom,
    majorize_minimize,
    nested_cross_validate,
    refit,
    stability_selection,
)
from convex_analysis.cross_validation import cross_validate
from convex_analysis.losses import Huber
from convex_analysis.statistics import NestedCrossValidation, StabilitySelection, error_bound

RNG = np.random.default_rng(5)
N, D = 60, 12
X = RNG.standard_normal((N, D))
BETA = np.r_[2.0, -1.5, 1.0, np.zeros(D - 3)]
Y = X @ BETA + 0.7 * RNG.standard_normal(N)


def test_error_bounds_are_those_of_the_papers() -> None:
    assert error_bound(10, 1000, 0.75, 50) == pytest.approx(100 / (0.5 * 1000))
    # Shah and Samworth: C(0.6, 50) = 1 / (2 (0.2 - 0.01)), C(0.9, 50) = 4 (0.1 + 0.01) / (1 + 0.02).
    assert error_bound(10, 1000, 0.6, 50, "unimodal") == pytest.approx(0.1 / (2 * 0.19))
    assert error_bound(10, 1000, 0.9, 50, "unimodal") == pytest.approx(0.1 * 4 * 0.11 / 1.02)
    assert error_bound(900, 1000, 0.9, 50, "unimodal") == error_bound(900, 1000, 0.9, 50)  # theta too large
    for threshold in np.linspace(0.51, 1.0, 50):
        assert error_bound(5, 100, threshold, 20, "unimodal") <= error_bound(5, 100, threshold, 20)


def test_stability_selection_finds_what_is_there() -> None:
    problem = RegressionProblem(X, Y, penalty=MCP.classical(0.2), lam=1.0, fit_intercept=True)
    found = stability_selection(problem.with_penalty(L1()), 4, pairs=10, seed=1, n_lams=20)
    assert found.selected.tolist() == [0, 1, 2]
    assert found.frequencies.sum() <= 4.0 + 1e-12
    again = stability_selection(problem.with_penalty(L1()), 4, pairs=10, seed=1, n_lams=20)
    np.testing.assert_array_equal(found.frequencies, again.frequencies)
    grouped = RegressionProblem(X, Y, groups=np.arange(D) // 3)
    assert stability_selection(grouped, 2, pairs=5, n_lams=10).selected.tolist() == [0]


def test_wrong_selections_stay_below_the_bound() -> None:
    wrong, bound = [], 0.0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        data = rng.standard_normal((40, 20))
        target = 1.5 * data[:, 0] + rng.standard_normal(40)
        found = stability_selection(
            RegressionProblem(data, target),
            4,
            threshold=0.7,
            pairs=5,
            assumption="none",
            n_lams=12,
            seed=seed,
        )
        wrong.append(np.count_nonzero(found.selected > 0))
        bound = found.error_bound
        assert 0 in found.selected
    assert bound == pytest.approx(16 / (0.4 * 20))
    assert np.mean(wrong) <= bound


def test_nested_cross_validation_never_judges_on_what_chose_lam() -> None:
    problem = RegressionProblem(X, Y, penalty=MCP(2.0), fit_intercept=True)
    found = nested_cross_validate(problem, outer=3, folds=3, n_lams=8)
    assert found.losses.shape == found.lams.shape == (3,)
    assert 0.1 < found.mean < 2.0 * 0.5 * 0.49 + 0.5  # half the noise variance is 0.245
    changed = Y.copy()
    worst = int(np.argmax(np.abs(Y - Y.mean())))
    changed[worst] += 100.0
    other = nested_cross_validate(RegressionProblem(X, changed, penalty=MCP(2.0), fit_intercept=True),
                                  outer=3, folds=3, n_lams=8)  # fmt: skip
    # In the fold that holds the changed sample out nothing that was fitted has seen it.
    assert np.isclose(found.lams, other.lams, rtol=1e-12).sum() >= 1
    whole = cross_validate(problem, n_lams=8, folds=3)
    assert found.mean >= 0.5 * whole.mean.min()
    assert found.standard_error > 0.0


def test_refit_of_least_squares_is_the_textbooks() -> None:
    data, target = load_diabetes(return_X_y=True)
    problem = RegressionProblem(data, target, penalty=Log(0.1), lam=20.0, ridge=0.1, fit_intercept=True)
    support = [2, 3, 8]
    found = refit(problem, support, level=0.9)
    A = np.column_stack([data[:, support], np.ones(len(data))])
    beta, rss, *_ = np.linalg.lstsq(A, target, rcond=None)
    variance = rss[0] / (len(data) - 4)
    errors = np.sqrt(variance * np.linalg.inv(A.T @ A).diagonal())
    np.testing.assert_allclose(found.coefficients, beta[:3], rtol=1e-6)
    np.testing.assert_allclose(found.standard_errors, errors[:3], rtol=1e-8)
    assert found.intercept == pytest.approx(beta[3])
    assert found.intercept_error == pytest.approx(errors[3])
    assert found.dispersion == pytest.approx(variance)
    quantile = stats.t.ppf(0.95, len(data) - 4)
    np.testing.assert_allclose(found.intervals[:, 1], beta[:3] + quantile * errors[:3], rtol=1e-6)
    sparse = majorize_minimize(problem)
    np.testing.assert_array_equal(refit(problem, sparse).support, sparse.support)


def test_refit_of_other_losses() -> None:
    counts = RNG.poisson(np.exp(0.5 * X[:, 0] + 1.0)).astype(float)
    problem = RegressionProblem(X, counts, loss="poisson", fit_intercept=True, offset=np.full(N, 0.3))
    found = refit(problem, [0, 4])
    A = np.column_stack([X[:, [0, 4]], np.ones(N)])
    mean = np.exp(A @ [*found.coefficients, found.intercept] + 0.3)
    np.testing.assert_allclose(A.T @ (mean - counts), 0.0, atol=1e-5)
    errors = np.sqrt(np.linalg.inv(A.T @ (mean[:, None] * A)).diagonal())
    np.testing.assert_allclose(found.standard_errors, errors[:2], rtol=1e-7)
    far = refit(RegressionProblem(X, Y, loss=Huber(1e6), fit_intercept=True), [0, 1, 2])
    plain = refit(RegressionProblem(X, Y, fit_intercept=True), [0, 1, 2])
    np.testing.assert_allclose(far.coefficients, plain.coefficients, rtol=1e-6)
    np.testing.assert_allclose(far.standard_errors, plain.standard_errors, rtol=0.5)  # a sandwich
    with pytest.raises(ValueError, match="depend on each other"):
        refit(RegressionProblem(np.column_stack([X, X[:, :1]]), Y), [0, D])
    with pytest.raises(ValueError, match="more samples than parameters"):
        refit(RegressionProblem(X[:5], Y[:5]), np.arange(6))
    with pytest.raises(ValueError, match="names feature"):
        refit(RegressionProblem(X, Y), [D])


@pytest.mark.parametrize("kind", ["l1", "ridge", "log", "groups", "intercept"])
def test_degrees_of_freedom_are_the_divergence_of_the_fit(kind) -> None:
    parts = {
        "l1": {},
        "ridge": {"ridge": 0.3},
        "log": {"penalty": Log(1.0), "ridge": 0.1},
        "groups": {"groups": np.arange(D) // 3},
        "intercept": {"fit_intercept": True, "penalty": Log(1.0)},
    }[kind]

    def fit(target, start=None):
        problem = RegressionProblem(X, target, lam=0.2, **parts)
        found = majorize_minimize(problem, start, tol=1e-12, refine=False)
        return problem, found, problem.predictor(found.x, found.intercept)

    problem, found, _ = fit(Y)
    step, trace = 1e-4, 0.0
    for i in range(N):
        move = step * np.eye(N)[i]
        trace += (fit(Y + move, found.x)[2][i] - fit(Y - move, found.x)[2][i]) / (2.0 * step)
    own = effective_degrees_of_freedom(problem, found)
    assert own == pytest.approx(trace, rel=1e-3)
    size = found.support.size + int(problem.fit_intercept)
    compare = {"l1": own == pytest.approx(size), "log": True, "intercept": own > size}
    assert compare.get(kind, own < size)


def test_problems_of_several_responses_are_refused() -> None:
    problem = MultiResponseProblem(X, np.column_stack([Y, -Y]))
    for ask in (
        lambda: stability_selection(problem, 2),
        lambda: refit(problem, [0]),
        lambda: effective_degrees_of_freedom(problem, majorize_minimize(problem)),
    ):
        with pytest.raises(ValueError, match="one response"):
            ask()


@pytest.mark.parametrize("loss", ["linear", "huber", "gamma"])
def test_units_of_the_features_are_no_dependence(loss) -> None:
    units = np.ones(D)
    units[[0, 1]] = 1e8, 1e-8
    targets = np.exp(0.2 * Y) if loss == "gamma" else Y
    plain = RegressionProblem(X + 3.0, targets, loss=loss, fit_intercept=True)
    scaled = RegressionProblem((X + 3.0) * units, targets, loss=loss, fit_intercept=True)
    first, second = refit(plain, [0, 1, 2]), refit(scaled, [0, 1, 2])
    np.testing.assert_allclose(second.coefficients * units[:3], first.coefficients, rtol=1e-5)
    np.testing.assert_allclose(second.standard_errors * units[:3], first.standard_errors, rtol=1e-5)


def test_degrees_of_freedom_at_the_solutions_own_lam_in_any_units() -> None:
    units = np.r_[1e-8, 1.0, 1e8, np.ones(D - 3)]
    problem = RegressionProblem(X * units, Y, lam=1e-12, fit_intercept=True)
    found = majorize_minimize(problem)
    assert effective_degrees_of_freedom(problem, found) == pytest.approx(found.support.size + 1)
    bent = RegressionProblem(X, Y, lam=0.2, penalty=Log(1.0))
    found = majorize_minimize(bent)
    own = effective_degrees_of_freedom(bent, found)
    assert effective_degrees_of_freedom(bent.with_lam(0.0), found) == own


def test_a_support_that_is_no_list_of_indices_is_refused() -> None:
    problem = RegressionProblem(X, Y)
    for wrong in (np.arange(D) < 3, [0.0, 1.0], [[0, 1]]):
        with pytest.raises(TypeError, match="indices of features"):
            refit(problem, wrong)
    with pytest.raises(ValueError, match="feature -1 of 12"):
        refit(problem, [-1, 4])


def test_what_is_found_is_shown_in_two_lines() -> None:
    chosen = StabilitySelection(np.array([0.9, 0.1, 0.8]), np.array([0, 2]), 0.75, 2, 1.5)
    assert repr(chosen).splitlines() == [
        "StabilitySelection: 2 of 3 selected by at least 0.75 of the halves, of which 1.5 wrong at most are "
        "expected",
        "  index (share of the halves): 0 (0.90), 2 (0.80)",
    ]
    nested = NestedCrossValidation(np.array([1.0, 3.0]), np.array([0.1, 0.2]), ())
    assert repr(nested).splitlines() == [
        "NestedCrossValidation: mean held-out loss 2 +- 1 over 2 folds",
        "  lam chosen in each: 0.1, 0.2",
    ]
