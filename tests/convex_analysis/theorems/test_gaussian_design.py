"""T22: Gaussian designs, by Gordon's inequality."""

import itertools

import numpy as np
import pytest

from concave_sparsity import MCP, Log
from convex_analysis import MaskProblem, RegressionProblem, theorems
from convex_analysis.theorems.gaussian_design import gaussian_curvature, squared_width


def _problem(rng, n, d, k, theta=None, scale=1.0, **settings):
    X = scale * rng.standard_normal((n, d))
    target = (np.arange(d) < k).astype(float)
    y = (X if theta is None else X * theta) @ target
    return MaskProblem(X, y, theta, penalty=Log(0.3), lam=0.01, **settings), target


@pytest.mark.parametrize("intercept", [False, True])
def test_no_direction_of_the_known_signs_has_less_curvature(intercept):
    applied = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        n, d = int(rng.integers(60, 400)), int(rng.integers(2, 60))
        scale = float(10.0 ** rng.uniform(-3, 3))
        theta = rng.choice([-1.0, 1.0], d) * rng.uniform(0.5, 2.0, d)
        problem, target = _problem(
            rng, n, d, int(rng.integers(0, d + 1)), theta, scale, fit_intercept=intercept
        )
        verdict = theorems.T22.check(problem, target, gaussian=scale)
        assert verdict.holds is not False, verdict.explain()
        applied += verdict.applies
    assert applied >= 10


def test_it_says_something_with_fewer_samples_than_features():
    """From about n = d / 2 on; the price of certainty fades as d grows."""
    assert gaussian_curvature(90_000, squared_width(100, 100_000)) > 0
    assert gaussian_curvature(53_000, squared_width(100, 100_000)) > 0
    assert gaussian_curvature(48_000, squared_width(100, 100_000)) == 0
    narrow = squared_width(100, 100_000, alpha=1.5)
    assert narrow < 0.03 * 100_000
    assert gaussian_curvature(5_000, narrow) > 0


def test_the_error_bound_it_gives_is_kept():
    rng = np.random.default_rng(0)
    problem, target = _problem(rng, 500, 40, 3)
    verdict = theorems.T22.check(problem, target, gaussian=1.0)
    exact = theorems.T2.bound(problem, target)
    assert verdict.holds
    assert verdict.quantities["T2's bound of ||m - target||_2 with it"] >= exact
    assert verdict.quantities["mu on the cone of T2"] >= verdict.measured


def test_the_width_is_that_of_the_cone():
    rng = np.random.default_rng(0)
    k, d, alpha = 2, 6, 1.5
    v = np.where(np.arange(d) < k, alpha, -1.0)
    subsets = [np.array(s) for s in itertools.product([False, True], repeat=d)]
    widths = []
    for _ in range(300):  # sup of g'x over the cone and the ball: the projection, by brute force over faces
        g = rng.standard_normal(d)
        best = 0.0
        for on in subsets:
            for active in (False, True):
                x = np.where(on, g, 0.0)
                if active:
                    w = np.where(on, v, 0.0)
                    x = x - w * (x @ w) / max(w @ w, 1e-300)
                if (x >= -1e-12).all() and v @ x >= -1e-12 and x.any():
                    best = max(best, float(g @ x / np.linalg.norm(x)))
        widths.append(best)
    width = float(np.mean(widths))
    assert width**2 <= squared_width(k, d, alpha)
    assert squared_width(k, d, alpha) <= float(np.mean(np.square(widths))) * 1.3
    assert squared_width(k, d) == d / 2


def test_a_design_that_is_not_gaussian_fails():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 4))
    X[:, 3] = -X[:, 2]  # two wrong columns that cancel: no curvature within the known signs
    problem = MaskProblem(X, X[:, 0], penalty=MCP(0.5), lam=0.01)
    verdict = theorems.T22.check(problem, [1, 0, 0, 0], gaussian=1.0)
    assert verdict.applies
    assert verdict.holds is False


def test_what_is_missing_is_said():
    rng = np.random.default_rng(0)
    problem, target = _problem(rng, 50, 4, 1)
    assert "Gaussian" in theorems.T22.check(problem, target).finding
    with pytest.raises(ValueError, match="standard deviation"):
        theorems.T22.check(problem, target, gaussian=-1.0)
    logistic = MaskProblem(problem.X, np.sign(problem.y), loss="logistic", penalty=Log(0.3), lam=0.01)
    assert not theorems.T22.check(logistic, target, gaussian=1.0).applies
    signed = RegressionProblem(problem.X, problem.y)
    assert not theorems.T22.check(signed, target, gaussian=1.0).applies
