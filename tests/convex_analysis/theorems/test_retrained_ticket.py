"""T17: the rewound, retrained ticket."""

import numpy as np
import pytest
from scipy.optimize import minimize
from theorem_strategies import Given, cases, margin_record, penalties, search, thorough

from concave_sparsity import L1, Log, Lq
from convex_analysis import MaskProblem, theorems
from convex_analysis.theorems.effective_penalty import EffectivePenalty
from convex_analysis.theorems.retrained_ticket import retrain


def joint_minimum(problem, alpha, rng, shots=1):
    """Return masks and weights at local minima of ``L(m theta) + lam R(m) + alpha/2 ||theta||^2``."""
    X, d = problem.X, problem.n_features
    s, y, loss = problem.row_weights, problem.y, problem.loss
    penalty = problem.penalty

    def objective(v):
        m, theta = v[:d], v[d:]
        z = X @ (m * theta)
        p = X.T @ (s * loss.derivative(z, y))
        value = s @ loss.value(z, y) + problem.lam * np.sum(penalty.value(m)) + 0.5 * alpha * theta @ theta
        slopes = np.where(m > 0, np.asarray(penalty.derivative(np.maximum(m, 1e-300))), penalty.slope_at_zero)
        return value, np.concatenate([p * theta + problem.lam * slopes, p * m + alpha * theta])

    for _ in range(shots):
        start = np.concatenate([rng.uniform(0.3, 1, d), rng.normal(0, 1.5, d)])
        bounds = [(0.0, 1.0)] * d + [(None, None)] * d
        v = minimize(
            objective,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": 5000, "ftol": 1e-16, "gtol": 1e-11},
        ).x
        m, theta = v[:d], v[d:]
        # A mask that falls to zero takes its weight along; L-BFGS-B leaves a trace of it.
        dead = m < 1e-5
        m[dead], theta[dead] = 0.0, 0.0
        yield m, theta


@thorough(40)
def test_masks_keep_their_distance_from_zero_and_retraining_stays_near(count, record_property):
    inside = []

    def attempt(case: Given):
        alpha = 10.0 ** case.rng.uniform(-1.5, 0)
        for m, theta in joint_minimum(case.problem, alpha, case.rng, 2):
            verdict = theorems.T17.check(case.problem, mask=m, weights=theta, weight_decay=alpha)
            if verdict.applies:
                inside.append(verdict.quantities["entries strictly between 0 and 1"])
            yield verdict

    strategy = cases(
        max_features=5,
        penalty=penalties(smooth=True, finite_slope=True),
        thetas=("ones",),
        designs=("gaussian", "orthogonal", "integer", "correlated"),
        samples_per_feature=(1.0, 2.0, 6.0),
        noises=(0.3, 3.0),
        lams=(-2.5, -0.5),
        extreme=False,
    )
    margins = search(strategy, attempt, count)
    record_property(*margin_record("T17", margins))
    assert len(margins) > count / 3
    assert sum(inside) > count / 20


@pytest.mark.parametrize("penalty", [L1(), Lq(0.5), Log(0.1)], ids=repr)
def test_the_gap_is_attained_at_the_fold(penalty):
    # In one dimension with L(b) = L/2 (b - y)^2 the interior minimum exists down to the y at which it folds.
    L, alpha, lam = 2.0, 0.3, 0.1
    psi = EffectivePenalty(penalty, lam, alpha)
    m = np.linspace(1e-3, 1, 200001)[:-1]
    slope = np.asarray(penalty.derivative(m))
    b = np.sqrt(lam * slope * m**3 / alpha)  # T17 (2)
    y = b + alpha * b / m**2 / L  # stationarity
    fold = int(np.argmin(y))
    eta = -m * np.gradient(slope, m) / slope
    expected = np.sqrt((1 + eta[fold]) / (3 - eta[fold]) * alpha / L)
    assert m[fold] == pytest.approx(expected, rel=1e-3)
    assert m[fold] >= np.sqrt(alpha / (3 * L)) * (1 - 1e-6)
    if isinstance(penalty, L1):
        assert m[fold] == pytest.approx(np.sqrt(alpha / (3 * L)), rel=1e-3)
    if isinstance(penalty, Lq):
        assert m[fold] == pytest.approx(np.sqrt((2 - 0.5) / (2 + 0.5) * alpha / L), rel=1e-3)
    assert psi.value(b[fold : fold + 1])[0] > 0


def test_a_saddle_with_a_small_mask_is_refused_and_violates_the_gap():
    alpha, lam, L, m = 0.3, 0.1, 2.0, 0.05
    theta = np.sqrt(lam * m / alpha)
    b = m * theta
    y = b + alpha * b / m**2 / L  # first-order stationary for l1
    problem = MaskProblem(np.array([[np.sqrt(L)]]), np.array([np.sqrt(L) * y]), penalty=L1(), lam=lam)
    verdict = theorems.T17.check(problem, mask=[m], weights=[theta], weight_decay=alpha)
    assert [h.name for h in verdict.hypotheses if not h.holds] == [
        "least second derivative in the free directions"
    ]
    assert verdict.conclusion is False


def test_a_binary_mask_is_returned_by_retraining():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 4))
    y = X @ np.array([4.0, -3.0, 0.0, 0.0]) + 0.1 * rng.standard_normal(50)
    problem = MaskProblem(X, y, penalty=Log(0.1), lam=0.05)
    minima = joint_minimum(problem, 0.05, rng, 10)
    m, theta = next(pair for pair in minima if set(pair[0]) == {0.0, 1.0})
    verdict = theorems.T17.check(problem, mask=m, weights=theta, weight_decay=0.05)
    assert verdict.applies
    assert verdict.quantities["||retrained - searched||"] < 1e-5
    assert verdict.quantities["its bound ||b (m^-2 - 1)||"] == 0.0


@pytest.mark.parametrize("loss", ["linear", "logistic"])
def test_retraining_is_ridge_regression(loss):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((30, 3))
    y = X @ np.ones(3) + 0.1 * rng.standard_normal(30)
    y = y if loss == "linear" else np.sign(y)
    problem = MaskProblem(X, y, loss=loss, penalty=L1(), lam=0.1)
    b = retrain(theorems.Case(problem), X, 0.2)
    slope = X.T @ (problem.row_weights * problem.loss.derivative(X @ b, y)) + 0.2 * b
    assert np.abs(slope).max() < 1e-12
    if loss == "linear":
        np.testing.assert_allclose(
            b, np.linalg.solve(X.T @ X / 30 + 0.2 * np.eye(3), X.T @ y / 30), atol=1e-12
        )


def test_it_asks_for_what_it_needs():
    problem = MaskProblem(np.eye(1), np.ones(1), penalty=L1(), lam=0.1)
    given = {}
    for name, part in (
        ("mask trained with the weights", {"mask": np.ones(1)}),
        ("trained weights", {"weights": np.ones(1)}),
        ("weight decay", {"weight_decay": 0.1}),
    ):
        verdict = theorems.T17.check(problem, **given)  # the first thing missing ends it
        assert [h.name for h in verdict.hypotheses if not h.holds] == [name]
        given |= part


def test_retraining_goes_on_to_the_last_digits():
    worst = 0.0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        X = 0.5 * rng.standard_normal((12, 2)) + rng.standard_normal((12, 1))
        y = np.where(rng.standard_normal(12) > 0, 1.0, -1.0)
        problem = MaskProblem(X, y, loss="logistic", penalty=L1(), lam=0.05)
        b = retrain(theorems.Case(problem), X, 0.13)
        slope = X.T @ (problem.row_weights * problem.loss.derivative(X @ b, y)) + 0.13 * b
        worst = max(worst, float(np.abs(slope).max()))
    assert worst < 1e-14
