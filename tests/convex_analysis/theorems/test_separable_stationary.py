"""T14: separable bound at every stationary point."""

import numpy as np
from theorem_strategies import cases, margin_record, orthogonal, search, solve, stationary_points, thorough

from concave_sparsity import MCP, CappedL1, Log, Lq
from convex_analysis import MaskProblem, theorems

ALONE = "target is the only stationary point within |m - target| <="


@thorough(20)
def test_no_stationary_point_is_farther_than_the_bound(count, record_property):
    def attempt(case):
        for point in stationary_points(case):
            verdict = theorems.T14.check(case.problem, case.target, point)
            yield verdict
            if verdict.applies and verdict.quantities[ALONE] >= 1.0:
                assert verdict.measured <= 1e-5, f"{case.story}\n{verdict.explain()}"

    margins = search(cases(samples_per_feature=(1.0, 2.0, 6.0), lams=(-3, 0.5)), attempt, count)
    record_property(*margin_record("T14", margins))
    assert len(margins) > 2 * count
    assert max(margins) > 0.9


@thorough(15)
def test_it_is_never_above_the_bound_of_t4(count):
    def attempt(case):
        for point in stationary_points(case, 3):
            ours = theorems.T14.check(case.problem, case.target, point, signs="never")
            other = theorems.T4.check(case.problem, case.target, point, signs="never")
            if ours.applies and other.applies:
                assert ours.bound <= other.bound * (1 + 1e-2) + 1e-6, f"{case.story}\n{ours.explain()}"
            yield ours

    search(cases(samples_per_feature=(2.0, 6.0), lams=(-3, 0), noises=(0.0, 0.03, 0.3)), attempt, count)


def test_if_the_target_is_the_only_stationary_point_every_start_ends_there():
    rng = np.random.default_rng(0)
    for penalty, lam in ((MCP(1.0), 0.2), (CappedL1(0.5), 0.1), (MCP(0.5), 0.1)):
        target = (rng.random(5) < 0.5).astype(float)
        target[0] = 1.0
        gradient = np.where(target > 0, -0.05, 0.02)
        problem = orthogonal(target, gradient, 1.0, penalty, lam)
        verdict = theorems.T14.check(problem, target)
        assert verdict.quantities[ALONE] == 1.0
        assert "every start" in verdict.remark
        for _ in range(20):
            np.testing.assert_allclose(solve(problem, rng.uniform(0, 1, 5)).x, target, atol=1e-7)


def test_where_the_certificate_ends_a_second_stationary_point_begins():
    target = np.array([1.0])
    for lam, alone in ((0.49, True), (0.51, False)):
        problem = orthogonal(target, np.zeros(1), 1.0, MCP(1.0), lam)
        assert (theorems.T14.check(problem, target).quantities[ALONE] == 1.0) == alone
        assert (problem.stationarity(np.zeros(1)) == 0.0) == (not alone)


def test_without_stationarity_it_fails():
    target = np.array([1.0, 0.0])
    problem = orthogonal(target, np.zeros(2), 1.0, Log(0.5), 0.05)
    verdict = theorems.T14.check(problem, target, np.array([0.1, 0.9]))
    assert not verdict.applies
    assert verdict.conclusion is False


def test_without_a_finite_slope_zeros_are_stationary():
    target = np.array([1.0, 0.0])
    problem = orthogonal(target, np.zeros(2), 1.0, Lq(0.5), 0.01)
    verdict = theorems.T14.check(problem, target, np.zeros(2))
    assert not verdict.applies
    assert problem.stationarity(np.zeros(2)) == 0.0
    assert verdict.measured == 1.0


def test_with_fewer_samples_it_does_not_apply():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3, 6))
    problem = MaskProblem(X, X[:, 0], penalty=Log(1.0), lam=0.01)
    assert not theorems.T14.check(problem, np.eye(6)[0]).applies
