"""T10: a compatibility constant from the known signs."""

import numpy as np
from theorem_strategies import cases, level_points, margin_record, orthogonal, search, solve, thorough

from concave_sparsity import L1, Log
from convex_analysis import MaskProblem, theorems


@thorough(40)
def test_no_point_below_the_target_is_farther_in_l1(count, record_property):
    def attempt(case):
        for point in [solve(case.problem, case.target), *level_points(case, 4)]:
            yield theorems.T10.check(case.problem, case.target, point)

    strategy = cases(noises=(0.0, 1e-3, 0.03, 0.3), lams=(-3, 0.5), min_ones=1, extreme=False)
    margins = search(strategy, attempt, count)
    record_property(*margin_record("T10", margins))
    assert len(margins) > count
    assert max(margins) > 0.5


def test_it_says_something_with_fewer_samples_than_parameters():
    found = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((12, 16))
        target = np.zeros(16)
        target[:2] = 1.0
        problem = MaskProblem(X, X @ target, penalty=L1(), lam=1e-3)
        verdict = theorems.T10.check(problem, target, solve(problem))
        found += verdict.holds is True and verdict.bound < 0.5
    assert found >= 3


def test_it_is_attained_on_one_coordinate():
    problem = orthogonal(np.array([1.0]), np.array([0.0]), 1.0, L1(), 0.2)
    m = np.array([1 - 0.4])
    verdict = theorems.T10.check(problem, np.array([1]), m)
    assert verdict.holds
    assert verdict.margin > 0.999


def test_without_the_objective_hypothesis_it_fails():
    target = np.array([1.0, 0.0])
    problem = orthogonal(target, np.zeros(2), 1.0, Log(1.0), 0.05)
    verdict = theorems.T10.check(problem, target, np.array([0.0, 1.0]))
    assert not verdict.applies
    assert verdict.conclusion is False


def test_without_the_box_it_fails():
    # As many signs as one likes, and the kernel lets the error grow without bound.
    for seed in range(50):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((3, 4))
        target = np.array([1.0, 0.0, 0.0, 0.0])
        problem = MaskProblem(X, X @ target, penalty=L1(), lam=1e-3)
        bound = theorems.T10.bound(problem, target)
        if np.isfinite(bound) and bound < 1:
            break
    outside = target + 5 * np.linalg.svd(X)[2][-1]
    # The mask of l1 norm at most that of the target plus what F(m) <= F(target) allows, but with signs.
    assert problem.data_fit(outside) < 1e-12
    assert np.abs(outside - target).sum() > bound


def test_noise_above_lam_off_the_support_is_refused():
    target = np.array([1.0, 0.0])
    verdict = theorems.T10.check(orthogonal(target, [0.0, -0.2], 1.0, L1(), 0.1), target)
    assert [h.name for h in verdict.hypotheses if not h.holds] == ["kappa_N"]
    assert not theorems.T10.check(orthogonal(target, [0.0, 0.0], 1.0, L1(), 0.1), [0, 0]).applies
