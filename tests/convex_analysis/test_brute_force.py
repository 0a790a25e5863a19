"""Small problems against brute force: every pattern of faces, and every point of a fine grid."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from concave_sparsity import L1, MCP, CappedL1, Exponential, Log, Lq
from convex_analysis import ConvexStep, MaskProblem, RegressionProblem, majorize_minimize


def convex_minimum(problem, weights):
    """Return the minimum of a linear convex step: stationary points of all faces that lie in the box."""
    A, y, n = problem.X, problem.y, problem.n_samples
    choices = [
        [("at", v) for v in {low, high, 0.0} if np.isfinite(v) and low <= v <= high]
        + [("+", None), ("-", None)]
        for low, high in zip(problem.lower, problem.upper)
    ]
    best = np.inf
    for pattern in product(*choices):
        free = np.array([kind != "at" for kind, _ in pattern])
        x = np.array([v if kind == "at" else 0.0 for kind, v in pattern])
        signs = np.array([{"+": 1.0, "-": -1.0, "at": 0.0}[kind] for kind, _ in pattern])
        if free.any():
            G = A[:, free].T @ A[:, free] / n
            right = A[:, free].T @ (y - A @ x) / n - (weights * signs)[free]
            x[free] = np.linalg.lstsq(G, right, rcond=None)[0]
            if (x * signs)[free].min() < 0 or (x < problem.lower).any() or (x > problem.upper).any():
                continue
        residual = y - A @ x
        best = min(best, residual @ residual / (2 * n) + weights @ np.abs(x))
    return best


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 8),
    d=st.integers(1, 3),
    box=st.sampled_from([(-np.inf, np.inf), (0.0, 1.0), (-0.4, 0.6), (0.2, 0.7), (0.0, np.inf)]),
)
@settings(max_examples=60)
def test_convex_steps(seed, n, d, box):
    rng = np.random.default_rng(seed)
    problem = RegressionProblem(
        rng.standard_normal((n, d)), rng.standard_normal(n), lower=box[0], upper=box[1]
    )
    weights = rng.uniform(0.01, 0.5, d)
    found = ConvexStep(problem).compute(weights)
    expected = convex_minimum(problem, weights)
    assert abs(found.value - expected) <= 1e-8 * max(expected, 1e-3)
    assert found.dual <= expected * (1 + 1e-12) + 1e-15


@pytest.mark.parametrize(
    "penalty", [L1(), Log(0.1), MCP(0.5), CappedL1(0.5), Exponential(0.2), Lq(0.5)], ids=repr
)
@pytest.mark.parametrize("loss", ["linear", "logistic", "huber"])
@pytest.mark.parametrize("seed", range(3))
def test_the_global_minimum_lies_between_bound_and_objective(penalty, loss, seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((10, 2))
    y = X @ rng.uniform(0, 1, 2) + 0.2 * rng.standard_normal(10)
    y = np.where(y > 0, 1.0, -1.0) if loss == "logistic" else y
    problem = MaskProblem(X, y, loss=loss, penalty=penalty, lam=0.1)
    side = np.linspace(0.0, 1.0, 401)
    grid = np.array(list(product(side, side)))
    values = problem.row_weights @ problem.loss.value((grid @ X.T).T, problem.y[:, None])
    values = values + 0.1 * penalty.value(grid).sum(axis=1)
    found = majorize_minimize(problem, "multi")
    assert found.objective - found.suboptimality_bound <= values.min() + 1e-9
    # The best of three starts finds the global minimum of a problem in two variables.
    assert found.objective <= values.min() + 1e-6
