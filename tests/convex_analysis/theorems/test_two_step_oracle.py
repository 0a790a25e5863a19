"""T8: one step from a good start gives the oracle."""

import numpy as np
import pytest
from theorem_strategies import cases, margin_record, penalties, search, solve, thorough

from concave_sparsity import MCP, SCAD, CappedL1
from convex_analysis import MaskProblem, theorems
from convex_analysis.convex_step import ConvexStep


@thorough(60)
def test_one_step_gives_the_oracle(count, record_property):
    def attempt(case):
        yield theorems.T8.check(case.problem, case.target)
        noisy = np.clip(case.target + case.rng.normal(0, 0.05, case.target.size), 0, 1)
        yield theorems.T8.check(case.problem, case.target, start=noisy)

    strategy = cases(
        penalty=penalties(flat=True), noises=(0.0, 0.03, 0.3), lams=(-3, 0.3), min_ones=1, extreme=False
    )
    margins = search(strategy, attempt, count)
    record_property(*margin_record("T8", margins))
    assert len(margins) > count / 4


@pytest.mark.parametrize("penalty", [MCP(0.6), SCAD(2.0, 0.3), CappedL1(0.5)], ids=repr)
def test_the_classical_anchor_with_fewer_samples_than_parameters(penalty):
    rng = np.random.default_rng(0)
    n, d, k = 60, 100, 4
    X = rng.standard_normal((n, d))
    target = np.zeros(d)
    target[:k] = 1.0
    y = X @ target + 0.05 * rng.standard_normal(n)
    problem = MaskProblem(X, y, penalty=penalty, lam=0.05)
    verdict = theorems.T8.check(problem, target)  # from the l1 solution
    assert verdict.holds, verdict.explain()
    assert verdict.quantities["the oracle stays (1: yes)"] == 1.0
    solution = solve(problem)
    oracle = solve(problem.with_bounds(0.0, target).with_lam(0.0))
    np.testing.assert_allclose(solution.x, oracle.x, atol=1e-6)
    # l1 itself does not find it.
    assert np.abs(ConvexStep(problem).compute(np.full(d, 0.05)).x - oracle.x).max() > 0.02


def test_a_start_below_the_flat_part_does_not_give_the_oracle():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((30, 4))
    target = np.array([1.0, 1.0, 0.0, 0.0])
    problem = MaskProblem(X, X @ (0.8 * target), penalty=MCP(0.6), lam=0.1)
    low = theorems.T8.check(problem, target, start=0.3 * target)
    assert not low.applies
    assert low.conclusion is False
    assert theorems.T8.check(problem, target, start=0.7 * target).holds


def test_a_large_wrong_entry_keeps_its_zero_weight():
    rng = np.random.default_rng(2)
    X = rng.standard_normal((30, 3))
    y = X @ np.array([0.9, 0.4, 0.0])
    target = np.array([1.0, 0.0, 0.0])
    problem = MaskProblem(X, y, penalty=CappedL1(0.5), lam=0.3)
    verdict = theorems.T8.check(problem, target, start=np.array([0.9, 0.7, 0.0]))
    assert not verdict.applies
    assert verdict.conclusion is False
