"""T21: an l1 solution at a vertex has few fractional entries."""

import numpy as np
import pytest
from theorem_strategies import cases, margin_record, search, thorough

from concave_sparsity import L1, MCP, Log
from convex_analysis import MaskProblem, global_minimum, theorems
from convex_analysis.theorems.few_fractions import largest_gain, to_vertex


@thorough(40)
def test_the_gap_is_never_larger(count, record_property):
    def attempt(case):
        yield theorems.T21.check(case.problem)

    margins = search(cases(losses=("linear", "logistic", "huber")), attempt, count)
    record_property(*margin_record("T21", margins))
    assert len(margins) > count / 2


def test_the_gap_does_not_grow_with_the_number_of_features():
    rng = np.random.default_rng(0)
    for d in (20, 60, 200):
        X = rng.uniform(0, 1, (3, d))
        problem = MaskProblem(X, 0.3 * X.sum(axis=1), penalty=MCP(0.5), lam=0.01)
        verdict = theorems.T21.check(problem)
        assert verdict.holds
        assert verdict.quantities["rank of A"] == 3
        assert verdict.quantities["fractional entries of m1"] <= 3
        assert verdict.bound == pytest.approx(0.01 * 3 * largest_gain(theorems.Case(problem)))


def test_it_bounds_the_distance_to_the_certified_minimum():
    rng = np.random.default_rng(2)
    X = rng.standard_normal((2, 8))
    problem = MaskProblem(X, X @ rng.integers(0, 2, 8) + 0.1, penalty=Log(0.1), lam=0.05)
    verdict = theorems.T21.check(problem)
    best = global_minimum(problem, gap=1e-8)
    assert best.objective >= problem.objective(best.x) - 1e-7
    assert verdict.measured >= -1e-9
    assert verdict.holds


@pytest.mark.parametrize("seed", range(5))
def test_the_walk_keeps_the_predictors_and_ends_with_independent_columns(seed):
    rng = np.random.default_rng(seed)
    A, x = rng.standard_normal((4, 15)), rng.uniform(0, 1, 15)
    vertex = to_vertex(A, x)
    free = (vertex > 0) & (vertex < 1)
    assert ((vertex >= 0) & (vertex <= 1)).all()
    assert free.sum() <= 4
    np.testing.assert_allclose(A @ vertex, A @ x, atol=1e-9)


def test_the_largest_gain_is_an_upper_bound():
    for penalty in (MCP(0.5), Log(0.1), L1()):
        gain = largest_gain(theorems.Case(MaskProblem(np.eye(1), [1.0], penalty=penalty)))
        grid = np.linspace(0, 1, 4001)
        least = float((np.asarray(penalty.value(grid)) / penalty.value(1.0) - grid).max())
        assert least <= gain <= least + 1e-3


def test_a_point_that_is_no_vertex_fails(monkeypatch):
    X = np.ones((1, 6))  # every mask of the same sum is an l1 solution: one has six fractions
    problem = MaskProblem(X, [3.0], penalty=MCP(0.5), lam=0.1)
    assert theorems.T21.check(problem).holds
    monkeypatch.setattr(
        "convex_analysis.theorems.few_fractions.to_vertex", lambda A, x: np.full(6, x.sum() / 6)
    )
    verdict = theorems.T21.check(problem)
    assert verdict.applies
    assert verdict.holds is False
