"""Ridge term, offset and the losses they come with, against cvxpy and scikit-learn."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import ElasticNet, PoissonRegressor

from concave_sparsity import L1, MCP, Log
from convex_analysis import ConvexStep, RegressionProblem, dual_value, majorize_minimize, reference
from convex_analysis.separable_bound import separable_bound

N, D = 50, 10
RNG = np.random.default_rng(0)
X = RNG.standard_normal((N, D))
Z = X[:, :3] @ [0.8, -0.6, 0.5]
OFFSET = 0.3 * RNG.standard_normal(N)
TARGETS = {
    "linear": Z + 0.1 * RNG.standard_normal(N),
    "huber": Z + 0.5 * RNG.standard_normal(N),
    "logistic": np.sign(Z + 0.3 * RNG.standard_normal(N)),
    "squared-hinge": np.sign(Z + 0.3 * RNG.standard_normal(N)),
    "poisson": RNG.poisson(np.exp(Z + OFFSET)).astype(float),
    "gamma": RNG.gamma(2.0, np.exp(Z) / 2) + 1e-3,
}


def quiet_reference(problem, weights):
    with warnings.catch_warnings():  # Clarabel warns of 1e-11 not quite reached
        warnings.simplefilter("ignore", UserWarning)
        return reference.convex_step(problem, weights)


@pytest.mark.parametrize("loss", TARGETS)
@pytest.mark.parametrize("box", [(-np.inf, np.inf), (0.0, 0.4)], ids=["free", "box"])
def test_convex_steps_agree_with_cvxpy(loss, box):
    problem = RegressionProblem(
        X, TARGETS[loss], loss=loss, lam=0.05, ridge=0.1, offset=OFFSET, fit_intercept=True,
        lower=box[0], upper=box[1],
    )  # fmt: skip
    weights = np.full(D, 0.05)
    found, expected = ConvexStep(problem).compute(weights), quiet_reference(problem, weights)
    assert found.value == pytest.approx(expected.value, abs=1e-9)
    np.testing.assert_allclose(found.x, expected.x, atol=1e-4)
    assert found.gap <= 1e-10


@pytest.mark.parametrize("loss", TARGETS)
@pytest.mark.parametrize("penalty", [L1(), Log(0.1), MCP(3.0)], ids=repr)
def test_concave_problems_converge_with_every_loss(loss, penalty):
    problem = RegressionProblem(
        X, TARGETS[loss], loss=loss, penalty=penalty, lam=0.05, ridge=0.02, offset=OFFSET, fit_intercept=True
    )
    found = majorize_minimize(problem)
    assert found.converged
    assert found.objective == pytest.approx(problem.objective(found.x, found.intercept), rel=1e-12)
    assert problem.stationarity(found.x, found.intercept) <= found.tolerance * (1 + 1e-6)
    assert 0.0 <= found.gap <= 1e-6


@pytest.mark.parametrize("layout", [np.asfortranarray, np.ascontiguousarray])
def test_elastic_net_is_that_of_scikit_learn(layout):
    rng = np.random.default_rng(1)
    A = layout(rng.standard_normal((40, 80)))
    y = A[:, :5].sum(axis=1) + rng.standard_normal(40)
    alpha, share = 0.2, 0.7
    theirs = ElasticNet(alpha=alpha, l1_ratio=share, tol=1e-13, max_iter=100_000).fit(A, y)
    ours = majorize_minimize(
        RegressionProblem(A, y, lam=alpha * share, ridge=alpha * (1 - share), fit_intercept=True), tol=1e-12
    )
    np.testing.assert_allclose(ours.x, theirs.coef_, atol=1e-8)
    assert ours.intercept == pytest.approx(theirs.intercept_, abs=1e-8)
    assert ours.gap <= 1e-12


def test_poisson_with_ridge_is_that_of_scikit_learn():
    theirs = PoissonRegressor(alpha=0.1, tol=1e-10, max_iter=1000).fit(X, TARGETS["poisson"])
    problem = RegressionProblem(X, TARGETS["poisson"], loss="poisson", lam=0.0, ridge=0.1, fit_intercept=True)
    ours = majorize_minimize(problem, tol=1e-12)
    np.testing.assert_allclose(ours.x, theirs.coef_, atol=1e-6)
    np.testing.assert_allclose(
        problem.loss.mean(problem.predictor(ours.x, ours.intercept)), theirs.predict(X), rtol=1e-5
    )


def test_an_offset_of_the_linear_loss_is_taken_from_the_targets():
    y = TARGETS["linear"]
    settings = {"penalty": MCP(3.0), "lam": 0.05, "fit_intercept": True}
    one = majorize_minimize(RegressionProblem(X, y, offset=OFFSET, **settings))
    other = majorize_minimize(RegressionProblem(X, y - OFFSET, **settings))
    np.testing.assert_allclose(one.x, other.x, atol=1e-8)
    assert one.suboptimality_bound == pytest.approx(other.suboptimality_bound, abs=1e-9)


@given(
    ridge=st.floats(0.0, 2.0), weight=st.floats(0.0, 1.0), seed=st.integers(0, 50),
    box=st.sampled_from([(-np.inf, np.inf), (0.0, 1.0), (-0.5, np.inf), (0.2, 0.7)]),
    loss=st.sampled_from(["linear", "huber", "logistic", "poisson"]),
)  # fmt: skip
def test_no_dual_value_is_above_the_objective(ridge, weight, seed, box, loss):
    rng = np.random.default_rng(seed)
    problem = RegressionProblem(
        X, TARGETS[loss], loss=loss, ridge=ridge, offset=OFFSET, lower=box[0], upper=box[1]
    )
    weights = np.full(D, weight)
    x = np.clip(rng.standard_normal(D), *box)
    value = problem.data_fit(x) + weight * np.abs(x).sum()
    other = np.clip(rng.standard_normal(D), *box)
    nu = -problem.fit.rows(problem.predictor(other))
    assert dual_value(problem, weights, nu) <= value + 1e-12


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"ridge": -1.0}, "ridge must be finite and not negative, got -1"),
        ({"ridge": np.ones(3)}, "ridge must be a scalar or have shape"),
        ({"offset": np.ones(3)}, "offset must have shape"),
        ({"loss": "poisson", "y": -np.ones(N)}, "poisson loss needs targets that are not negative, got -1"),
        ({"loss": "gamma", "y": np.zeros(N)}, "gamma loss needs targets above zero, got 0"),
        ({"loss": "squared-hinge", "y": np.arange(N)}, "squared hinge loss needs labels"),
    ],
)
def test_wrong_input_is_refused(settings, words):
    settings = {"y": np.ones(N), **settings}
    with pytest.raises(ValueError, match=words):
        RegressionProblem(X, settings.pop("y"), **settings)


@pytest.mark.parametrize("start", [None, "zero", "l1", "dense", "multi"])
@pytest.mark.parametrize("loss", ["poisson", "gamma"])
def test_a_loss_below_zero_starts_from_anywhere(loss, start):
    y = 40.0 * TARGETS["poisson"] if loss == "poisson" else 1e-3 * TARGETS["gamma"]
    problem = RegressionProblem(X, y, loss=loss, lam=0.05, penalty=Log(0.1), fit_intercept=True)
    assert problem.objective(*problem.start_at_zero()) < 0
    assert majorize_minimize(problem, start).converged


@pytest.mark.parametrize("penalty", [Log(0.1), MCP(3.0)], ids=repr)
@pytest.mark.parametrize("loss", ["poisson", "gamma"])
def test_bounds_of_losses_without_a_largest_curvature(loss, penalty):
    problem = RegressionProblem(
        X[:, :4], TARGETS[loss], loss=loss, lam=0.05, penalty=penalty, lower=-1.0, upper=1.0, ridge=0.01
    )
    found = majorize_minimize(problem, refine=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # infinity times zero, say
        bound = found.suboptimality_bound
    starts = np.random.default_rng(0).uniform(-1, 1, (20, 4))
    best = min(majorize_minimize(problem, start).objective for start in starts)
    assert found.objective - best <= bound + 1e-12
    assert np.isfinite(separable_bound(problem, found.x).gap)


@pytest.mark.parametrize("loss", TARGETS)
@pytest.mark.parametrize("level", [-800.0, -30.0, 30.0, 800.0])
def test_an_intercept_takes_up_any_level_of_the_offset(loss, level):
    y = TARGETS[loss]
    options = {"loss": loss, "lam": 0.02, "penalty": Log(0.1), "fit_intercept": True}
    plain = majorize_minimize(RegressionProblem(X, y, offset=OFFSET, **options))
    problem = RegressionProblem(X, y, offset=OFFSET + level, **options)
    for start in (None, plain.x):
        found = majorize_minimize(problem, start)
        assert found.converged
        assert found.tolerance < 1e-6
        np.testing.assert_allclose(found.x, plain.x, atol=1e-6)
        assert found.intercept == pytest.approx(plain.intercept - level, abs=1e-5)


def test_an_offset_that_overflows_is_said():
    with pytest.raises(ValueError, match="offset of 800"):
        RegressionProblem(X, TARGETS["poisson"], loss="poisson", offset=np.full(N, 800.0))
