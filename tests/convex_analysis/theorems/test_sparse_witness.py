"""T18: a sparse stationary point exists."""

import numpy as np
from theorem_strategies import cases, margin_record, search, thorough

from concave_sparsity import L1, Log, Lq
from convex_analysis import MaskProblem, theorems


@thorough(60)
def test_the_witness_is_stationary_and_near(count, record_property):
    def attempt(case):
        yield theorems.T18.check(case.problem, case.target)

    strategy = cases(noises=(0.0, 1e-3, 0.03, 0.3), lams=(-3, 0))
    margins = search(strategy, attempt, count)
    record_property(*margin_record("T18", margins))
    assert len(margins) > count / 6
    assert max(margins) > 0.2


def test_a_steep_penalty_is_certified_where_l1_is_not():
    counts = {"l1": 0, "log": 0}
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((30, 40))  # n < d
        target = (np.arange(40) < 3).astype(float)
        y = X @ target + 0.02 * rng.standard_normal(30)
        for name, penalty in (("l1", L1()), ("log", Log(0.01))):
            verdict = theorems.T18.check(MaskProblem(X, y, penalty=penalty, lam=0.02), target)
            counts[name] += verdict.applies
            assert verdict.holds is not False
            if verdict.holds and verdict.bound < 1:
                assert verdict.quantities["support recovered (1: yes)"] == 1.0
    assert counts["l1"] == 0
    assert counts["log"] > 10


def test_an_infinite_slope_needs_nothing_off_the_support():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((6, 12))
    target = (np.arange(12) < 2).astype(float)
    problem = MaskProblem(X, X @ target + rng.standard_normal(6), penalty=Lq(0.5), lam=1e-3)
    assert theorems.T18.check(problem, target).holds


def test_without_the_condition_the_witness_is_not_stationary():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 3))
    X[:, 2] = 0.6 * (X[:, 0] + X[:, 1]) + 0.1 * X[:, 2]
    target = np.array([1.0, 1.0, 0.0])
    verdict = theorems.T18.check(MaskProblem(X, X @ target, penalty=L1(), lam=0.05), target)
    assert not verdict.applies
    assert verdict.conclusion is False
    assert verdict.quantities["first-order violation off S"] > 1e-3
