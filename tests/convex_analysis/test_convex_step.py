"""Each convex step against cvxpy, on problems that hypothesis invents."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from convex_analysis import ConvexStep, MaskProblem, RegressionProblem, reference

BOXES = [(-np.inf, np.inf), (0.0, 1.0), (-0.5, 0.7), (0.0, np.inf), (0.2, 0.6), (-np.inf, 0.3), (0.4, 0.4)]
FORMS = [
    np.ascontiguousarray,
    np.asfortranarray,
    sparse.csc_matrix,
    sparse.csr_matrix,
    lambda X: X.astype(np.float32),
    lambda X: sparse.csc_matrix(X.astype(np.float32)),
]


@st.composite
def problems(draw):
    """Return a problem and weights of a convex step: every loss, box, form of X and kind of weights."""
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    n, d = draw(st.integers(2, 25)), draw(st.integers(1, 25))
    X = rng.standard_normal((n, d))
    y = X[:, : min(3, d)].sum(1) + 0.3 * rng.standard_normal(n)
    loss = draw(st.sampled_from(["linear", "logistic", "huber"]))
    if loss == "logistic":
        y = np.where(y > 0, 1.0, -1.0)
    X = draw(st.sampled_from(FORMS))(np.where(rng.random((n, d)) < draw(st.sampled_from([0.5, 1.0])), X, 0.0))
    lower, upper = draw(st.sampled_from(BOXES))
    settings = {
        "loss": loss,
        "lower": lower,
        "upper": upper,
        "sample_weight": rng.uniform(0.1, 2.0, n) if draw(st.booleans()) else None,
        "fit_intercept": draw(st.booleans()),
    }
    if draw(st.booleans()):
        problem = MaskProblem(X, y, rng.uniform(-2.0, 2.0, d), **settings)
    else:
        problem = RegressionProblem(X, y, **settings)
    weights = draw(st.sampled_from([0.3, 0.1, 0.03])) * rng.uniform(0.3, 1.5, d)
    if lower <= 0 <= upper and draw(st.booleans()):
        weights[rng.random(d) < 0.2] = np.inf
    return problem, weights


@pytest.mark.filterwarnings("ignore:Solution may be inaccurate")
@given(problems())
@settings(max_examples=60)
def test_agrees_with_cvxpy(case):
    problem, weights = case
    found = ConvexStep(problem).compute(weights)
    expected = reference.convex_step(problem, weights)
    assert found.value <= expected.value + 1e-8 * expected.value + 1e-13
    assert found.dual <= expected.value + 1e-12 * max(1.0, abs(expected.value))
    assert found.gap <= 1e-7
    assert (found.x >= problem.lower).all()
    assert (found.x <= problem.upper).all()
    assert (found.x[np.isinf(weights)] == 0).all()


def test_theta_scales_the_columns():
    rng = np.random.default_rng(0)
    X, theta = rng.standard_normal((20, 8)), rng.standard_normal(8)
    y = X @ (theta * (np.arange(8) < 3))
    scaled = MaskProblem(X, y, theta, lam=0.01)
    multiplied = MaskProblem(X * theta, y, lam=0.01)
    weights = np.full(8, 0.01)
    one, other = ConvexStep(scaled).compute(weights), ConvexStep(multiplied).compute(weights)
    np.testing.assert_allclose(one.x, other.x, atol=1e-12)


def test_infinite_weight_outside_the_box_is_refused():
    problem = RegressionProblem(np.eye(2), np.ones(2), lower=0.5, upper=1.0)
    with pytest.raises(ValueError, match="box excludes zero"):
        ConvexStep(problem).compute(np.array([np.inf, 1.0]))


@pytest.mark.parametrize("wrong", [-0.1, np.nan])
def test_wrong_weights_are_refused(wrong):
    problem = RegressionProblem(np.eye(3), np.ones(3), lower=-1.0, upper=1.0)
    for solve in (lambda w: ConvexStep(problem).compute(w), lambda w: reference.convex_step(problem, w)):
        with pytest.raises(ValueError, match="weights must not be negative or NaN"):
            solve(np.array([0.1, wrong, np.inf]))
        with pytest.raises(ValueError, match=r"weights must have shape \(3,\)"):
            solve(np.ones(2))


def test_separable_data_whose_curvature_underflows():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 6))
    problem = RegressionProblem(
        X, np.where(X[:, 0] > 0, 1.0, -1.0), loss="logistic", lam=0.0, fit_intercept=True
    )
    found = ConvexStep(problem).compute(np.zeros(6))
    assert np.isfinite(found.x).all()
    assert found.value < 1e-10
