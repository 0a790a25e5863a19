"""T9: the relaxed irrepresentable condition, in both directions."""

import numpy as np
import pytest
from theorem_strategies import cases, margin_record, search, solve, thorough

from concave_sparsity import L1, MCP, Log
from convex_analysis import MaskProblem, theorems
from convex_analysis.constants import irrepresentable


@thorough(80)
def test_the_condition_gives_the_violation_off_the_support_exactly(count, record_property):
    verdicts = []

    def attempt(case):
        verdict = theorems.T9.check(case.problem, case.target)
        # An equivalence: the conclusion must be true whether or not the condition off S holds.
        others = [h for h in verdict.hypotheses if not h.name.startswith("q_j")]
        if all(h.holds for h in others) and verdict.conclusion is not None:
            assert verdict.conclusion, f"{case.story}\n{verdict.explain()}"
            verdicts.append(verdict)
        yield verdict

    strategy = cases(
        losses=("linear",),
        thetas=("ones", "signs", "gaussian"),
        samples_per_feature=(1.0, 2.0, 6.0),
        noises=(0.0, 0.03, 0.3, 1.0),
        lams=(-3, 0),
        min_ones=1,
        extreme=False,
    )
    search(strategy, attempt, count)
    margins = [
        v.margin for v in verdicts if np.isfinite(v.margin)
    ]  # an equality: 1 where it is above rounding
    record_property(*margin_record("T9", margins))
    np.testing.assert_allclose(margins, 1.0, rtol=1e-3)
    assert len(verdicts) > count / 4
    assert any(not v.applies for v in verdicts)
    assert any(v.applies for v in verdicts)


def test_concave_penalties_pass_where_l1_fails():
    # The third column is the mean of the other two, and a little more: beta'1 = 1.2 > 1.
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 3))
    X[:, 2] = 0.6 * (X[:, 0] + X[:, 1]) + 0.3 * X[:, 2]
    target = np.array([1.0, 1.0, 0.0])
    problem = MaskProblem(X, X @ target, penalty=L1(), lam=0.01)
    l1 = theorems.T9.check(problem, target)
    assert not l1.applies
    assert l1.measured == pytest.approx(l1.bound, rel=1e-6)
    assert l1.measured > 0
    log = theorems.T9.check(problem.with_penalty(Log(0.1)), target)
    assert log.holds
    assert log.quantities["the same for l1 (its limit is 1)"] > 1.1
    assert log.quantities["max q_j / r'(0)"] < 0.2
    assert solve(problem).x[2] > 0
    assert solve(problem.with_penalty(Log(0.1)), target).x[2] == 0


def test_with_no_free_coordinate_it_is_the_exactness_certificate():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((20, 4))
    target = np.array([1.0, 1.0, 0.0, 0.0])
    problem = MaskProblem(X, X @ target + 0.3 * rng.standard_normal(20), penalty=MCP(0.5), lam=0.2)
    found = irrepresentable(problem, X, problem.y - X @ target, np.array([], dtype=int), 0.2)
    np.testing.assert_allclose(found.values(np.zeros(0)), -problem.gradient(target) / 0.2, atol=1e-12)


def test_the_worst_case_covers_every_slope():
    rng = np.random.default_rng(2)
    X = rng.standard_normal((20, 5))
    problem = MaskProblem(X, X @ np.ones(5), penalty=Log(0.1), lam=0.1)
    found = irrepresentable(problem, X, 0.1 * rng.standard_normal(20), np.array([0, 2]), 0.1)
    for _ in range(50):
        slopes = rng.uniform(0.4, 1.3, 2)
        assert (found.values(slopes) <= found.worst_case(0.4, 1.3) + 1e-12).all()


def test_the_logistic_loss_and_dependent_columns_are_refused():
    X = np.ones((4, 2))
    target = np.array([1, 1])
    problem = MaskProblem(X, np.array([1.0, -1, 1, 1]), loss="logistic", penalty=Log(0.1), lam=0.1)
    assert not theorems.T9.check(problem, target).applies
    linear = MaskProblem(X, np.full(4, 1.0), penalty=Log(1.0), lam=0.01)
    verdict = theorems.T9.check(linear, target, np.array([0.5, 0.4]))
    assert any("eigenvalue" in h.name and not h.holds for h in verdict.hypotheses)
