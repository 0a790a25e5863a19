"""T15 and T19: fewer samples than parameters, with the gain of the curvature."""

import numpy as np
from theorem_strategies import (
    cases,
    claiming,
    level_points,
    margin_record,
    orthogonal,
    search,
    solve,
    stationary_points,
    thorough,
)

from concave_sparsity import L1, MCP, Log
from convex_analysis import MaskProblem, theorems


@thorough(15)
def test_no_point_below_the_target_is_farther_than_the_bound(count, record_property):
    def attempt(case):
        for point in [solve(case.problem, case.target), *level_points(case, 3)]:
            yield theorems.T15.check(case.problem, case.target, point)

    strategy = cases(max_features=6, noises=(0.0, 1e-3, 0.03), lams=(-4, -0.5), min_ones=1, extreme=False)
    margins = search(strategy, attempt, count)
    record_property(*margin_record("T15", margins))
    assert len(margins) > count / 3
    assert max(margins) > 0.3


@thorough(30)
def test_no_stationary_point_is_farther_than_the_bound(count, record_property):
    def attempt(case):
        for point in stationary_points(case, 3):
            yield theorems.T19.check(case.problem, case.target, point)

    strategy = cases(max_features=6, noises=(0.0, 1e-3, 0.03), lams=(-3, -0.5), min_ones=1, extreme=False)
    margins = search(strategy, attempt, count)
    record_property(*margin_record("T19", margins))
    assert len(margins) > count / 8
    assert max(margins) > 0.2


def _wide(seed, penalty, lam, n=9, d=12, k=2):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    target = (np.arange(d) < k).astype(float)
    return MaskProblem(X, X @ target, penalty=penalty, lam=lam), target


def test_exact_recovery_with_fewer_samples_than_parameters():
    certified = 0
    for seed in range(12):
        problem, target = _wide(seed, MCP(0.8), 2e-3)
        verdict = theorems.T15.check(problem, target)
        if verdict.applies:
            certified += 1
            assert verdict.bound <= 1e-12
            for start in (None, "dense", target):
                solution = solve(problem, start)
                if solution.objective <= problem.objective(target):
                    np.testing.assert_allclose(solution.x, target, atol=1e-6)
    assert certified >= 3


def test_the_gain_makes_the_bound_smaller_than_that_of_t10():
    gains = []
    for seed in range(12):
        problem, target = _wide(seed, Log(0.1), 1e-4)
        with_gain, without = theorems.T15.check(problem, target), theorems.T10.check(problem, target)
        if with_gain.applies:
            gains.append(with_gain.bound / without.bound)
    assert len(gains) >= 3
    assert max(gains) < 0.5


def test_without_the_objective_hypothesis_it_fails():
    target = np.array([1.0, 0.0])
    problem = orthogonal(target, np.zeros(2), 1.0, MCP(1.0), 0.05)
    verdict = theorems.T15.check(problem, target, np.array([0.5, 0.0]))
    assert not verdict.applies
    assert verdict.conclusion is False


def test_with_an_overstated_curvature_it_fails():
    target = np.array([1.0, 0.0])
    problem = orthogonal(target, np.zeros(2), 1.0, claiming(L1(), curvature=0.9), 0.1)
    verdict = theorems.T15.check(problem, target, np.array([0.85, 0.0]))
    assert verdict.applies
    assert verdict.holds is False


def test_spurious_stationary_points_exist_where_the_slope_at_one_vanishes():
    # Two binary masks fit the same data; MCP with r'(1) = 0 holds both, l1 and log only what T19 allows.
    X = np.array([[1.0, 1.0, 2.0]])
    first, second = np.array([1.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0])
    problem = MaskProblem(X, X @ first, penalty=MCP(0.8), lam=0.01)
    assert problem.stationarity(first) == problem.stationarity(second) == 0.0
    verdict = theorems.T19.check(problem, first, second)
    assert not verdict.applies
    assert "kappa_N" in " ".join(h.name for h in verdict.hypotheses if not h.holds)
    # The orthant's constant is zero here, as it must be: the difference lies in the kernel.
    assert theorems.Case(problem, first).convexity_at_target.value == 0.0


def test_stationarity_is_needed():
    target = np.array([1.0, 0.0])
    problem = orthogonal(target, np.zeros(2), 1.0, Log(2.0), 0.02)
    verdict = theorems.T19.check(problem, target, np.array([0.1, 0.9]))
    assert not verdict.applies
    assert verdict.conclusion is False
