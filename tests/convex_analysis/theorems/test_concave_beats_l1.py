"""T3: the bound of a concave penalty is below that of l1; with c = 1 and no noise recovery is exact."""

import numpy as np
import pytest
from theorem_strategies import (
    cases,
    level_points,
    margin_record,
    orthogonal,
    search,
    solve,
    thorough,
)

from concave_sparsity import L1, MCP, CappedL1, Log
from convex_analysis import MaskProblem, theorems


@thorough(60)
def test_wherever_l1_says_something_concave_says_more(count, record_property):
    def attempt(case):
        yield theorems.T3.check(case.problem, case.target)

    strategy = cases(
        samples_per_feature=(2.0, 6.0),
        designs=("gaussian", "orthogonal", "integer", "correlated"),
        noises=(0.0, 1e-3, 0.03),
        lams=(-4, -0.5),
        min_ones=1,
    )
    margins = search(strategy, attempt, count)
    record_property(*margin_record("T3", margins))
    assert len(margins) > count / 20
    assert all(margin < 1 for margin in margins)


@pytest.mark.parametrize("penalty", [MCP(1.0), MCP(0.5), CappedL1(0.4)], ids=repr)
@pytest.mark.parametrize("loss", ["linear", "logistic"])
def test_with_c_one_and_no_noise_the_target_is_recovered_exactly(penalty, loss):
    assert penalty.curvature == 1.0
    for seed in range(5):
        rng = np.random.default_rng(seed)
        X, theta = rng.standard_normal((40, 8)), rng.uniform(0.5, 2.0, 8)
        target = (rng.random(8) < 0.4).astype(float)
        target[0] = 1.0
        z = (X * theta) @ target
        if loss == "linear":
            problem = MaskProblem(X, z, theta, penalty=penalty)
        else:
            # Every sample once with each label, weighted by its probability: the gradient at
            # the target is zero.
            p = 1 / (1 + np.exp(-z))
            both, labels = np.vstack([X, X]), np.concatenate([np.ones(40), -np.ones(40)])
            weight = np.concatenate([p, 1 - p])
            problem = MaskProblem(both, labels, theta, loss="logistic", penalty=penalty, sample_weight=weight)
        mu = theorems.Case(problem, target).convexity_at_target.value
        problem = problem.with_lam(0.4 * mu)
        assert np.abs(problem.gradient(target)).max() < 1e-15
        assert theorems.T2.bound(problem, target) == pytest.approx(0.0, abs=1e-12)
        solution = solve(problem)
        if solution.objective <= problem.objective(target):
            np.testing.assert_allclose(solution.x, target, atol=1e-7)
        from theorem_strategies import Given

        for point in level_points(Given(problem, target, rng)):
            assert np.linalg.norm(point - target) < 1e-6


def test_for_large_lam_the_concave_bound_is_the_worse_one():
    target = np.array([1.0, 0.0])
    problem = orthogonal(target, np.zeros(2), 1.0, Log(1.0), 0.8)
    verdict = theorems.T3.check(problem, target)
    assert not verdict.applies
    assert verdict.conclusion is False


def test_a_gain_below_rounding_is_no_failure():
    problem = orthogonal([1.0, 0.0], [1e20, 0.0], 1e30, Log(0.5), 1e-3)
    verdict = theorems.T3.check(problem, np.array([1.0, 0.0]))
    assert verdict.applies, verdict.explain()
    assert verdict.measured == verdict.bound
    assert verdict.holds


def test_l1_and_an_empty_target_gain_nothing():
    problem = orthogonal(np.array([1.0, 0.0]), np.zeros(2), 1.0, L1(), 0.05)
    assert not theorems.T3.check(problem, np.array([1, 0])).applies
    assert not theorems.T3.check(problem.with_penalty(MCP(1.0)), np.array([0, 0])).applies
    assert theorems.T3.check(problem.with_penalty(MCP(1.0)), np.array([1, 0])).bound > 0
