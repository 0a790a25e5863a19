"""T6: when the target is a local, or the only global, minimiser."""

import itertools

import numpy as np
import pytest
from theorem_strategies import cases, margin_record, orthogonal, search, solve, thorough

from concave_sparsity import L1, MCP, CappedL1, Log, Lq
from convex_analysis import theorems


@thorough(80)
def test_the_certified_target_is_a_fixed_point_and_a_strict_local_minimum(count, record_property):
    def attempt(case):
        verdict = theorems.T6.check(case.problem, case.target, solve(case.problem))
        yield verdict
        basin = verdict.quantities["target is the unique minimiser of F over |m - target| <= (T13)"]
        if verdict.applies and basin > 1e-4:
            level = case.problem.objective(case.target)
            rounding = theorems.Case(case.problem, case.target, case.target).objective_rounding
            for _ in range(20):
                size = basin * 10.0 ** case.rng.uniform(-3, 0)
                step = (
                    size
                    * case.rng.uniform(0, 1, case.target.size)
                    * (case.rng.random(case.target.size) < 0.5)
                )
                assert case.problem.objective(np.abs(case.target - step)) >= level - rounding, case.story

    margins = search(cases(noises=(0.0, 0.03, 0.3), lams=(-3, 0.5)), attempt, count)
    record_property(*margin_record("T6", margins))
    assert len(margins) > count / 8


def test_the_unique_global_minimum_is_confirmed_by_brute_force():
    grid = np.array(list(itertools.product(np.linspace(0, 1, 41), repeat=2)))
    found = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        target = np.array([1.0, 0.0])
        gradient = np.array([-rng.uniform(0, 0.3), rng.uniform(-0.3, 0.3)])
        problem = orthogonal(
            target, gradient, rng.uniform(0.5, 2), MCP(rng.uniform(0.5, 2)), rng.uniform(0.01, 0.4)
        )
        verdict = theorems.T6.check(problem, target)
        if verdict.applies and "global" in verdict.remark:
            found += 1
            values = np.array([problem.objective(m) for m in grid])
            np.testing.assert_array_equal(grid[values.argmin()], target)
    assert found > 10


@pytest.mark.parametrize("index", [0, 1])
def test_if_one_inequality_is_reversed_the_target_is_left(index):
    target = np.array([1.0, 0.0])
    gradient = np.array([-0.2, -0.05])
    gradient[index] = [0.05, -0.5][index]
    problem = orthogonal(target, gradient, 1.0, MCP(0.8), 0.1)
    verdict = theorems.T6.check(problem, target)
    assert not verdict.applies
    assert verdict.conclusion is False
    moved = solve(problem, target)
    assert problem.objective(moved.x) < problem.objective(target) - 1e-4


def test_l1_needs_noise_of_the_right_sign_and_zero_slope_at_one_does_not():
    target = np.array([1.0, 0.0])
    assert not theorems.T6.check(orthogonal(target, np.zeros(2), 1.0, L1(), 0.1), target).applies
    assert theorems.T6.check(orthogonal(target, [-0.11, 0.0], 1.0, L1(), 0.1), target).holds
    assert theorems.T6.check(orthogonal(target, [-1e-3, 0.0], 1.0, CappedL1(0.5), 0.1), target).holds
    # An empty target is certified by l1 without noise: the claim needs k >= 1.
    assert theorems.T6.check(orthogonal([0.0, 0.0], [0.0, 0.0], 1.0, L1(), 0.1), [0, 0]).holds


def test_log_is_certified_globally_far_beyond_mu_above_lam_rho():
    target, lam = np.array([1.0, 0.0]), 0.1
    problem = orthogonal(target, [-0.05, 0.0], 1.0, Log(0.1), lam)
    assert lam * Log(0.1).weak_convexity > 4.0  # mu = 1: not convex
    verdict = theorems.T6.check(problem, target, solve(problem))
    assert verdict.holds
    assert "By T13" in verdict.remark


def test_an_infinite_slope_protects_every_zero():
    target = np.array([1.0, 0.0])
    problem = orthogonal(target, [-0.2, -50.0], 1.0, Lq(0.5), 0.1)
    verdict = theorems.T6.check(problem, target)
    assert verdict.holds
    assert verdict.quantities["target is the unique minimiser of F over |m - target| <= (T13)"] < 0.1
