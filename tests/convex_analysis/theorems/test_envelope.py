"""T1: the envelope bound, on mask problems and on signed boxes; against brute force; and how it can fail."""

import numpy as np
import pytest
from hypothesis import strategies as st
from theorem_strategies import Given, cases, design, margin_record, penalties, search, solve, thorough

from concave_sparsity import L1, MCP, Log, Penalty
from convex_analysis import MaskProblem, RegressionProblem, theorems
from convex_analysis.regulariser import Strength


class Convex(Penalty):
    """r(t) = t^2: not concave, so that its chord lies above it."""

    def value(self, t):
        return t * t

    def derivative(self, t):
        return 2.0 * t


@st.composite
def signed_cases(draw):
    d = draw(st.integers(1, 5))
    n = draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = design(rng, draw(st.sampled_from(("gaussian", "integer", "rank deficient"))), n, d)
    loss = draw(st.sampled_from(("linear", "logistic")))
    y = rng.standard_normal(n) if loss == "linear" else rng.choice([-1.0, 1.0], n)
    lower = rng.choice([-2.0, -1.0, 0.0, 0.5, -3.0], d)
    upper = lower + rng.choice([0.5, 1.0, 4.0], d)
    problem = RegressionProblem(
        X,
        y,
        loss=loss,
        penalty=draw(penalties()),
        lam=10.0 ** draw(st.floats(-4, 1)),
        lower=lower,
        upper=upper,
        penalty_factor=rng.choice([0.0, 1.0, 2.0], d),
        fit_intercept=draw(st.booleans()) and loss == "linear",
    )
    return Given(problem, np.zeros(d), rng, f"signed {n}x{d} {loss} {problem.penalty!r}")


@thorough(40)
def test_no_known_point_lies_farther_below_than_the_bound_allows(count, record_property):
    def attempt(case):
        for point in (solve(case.problem), None, case.rng.uniform(0, 1, case.target.size)):
            yield theorems.T1.check(case.problem, case.target, point)

    margins = search(cases(), attempt, count)
    record_property(*margin_record("T1", margins))
    assert len(margins) > count


@thorough(40)
def test_it_holds_on_signed_boxes_with_factors_and_intercept(count, record_property):
    def attempt(case):
        problem = case.problem
        yield theorems.T1.check(problem, None, solve(problem))
        yield theorems.T1.check(
            problem,
            None,
            problem.lower + case.rng.uniform(0, 1, case.target.size) * (problem.upper - problem.lower),
        )

    margins = search(signed_cases(), attempt, count)
    record_property(*margin_record("T1 signed", margins))
    assert len(margins) > count


def test_the_lower_bound_is_below_a_brute_force_minimum():
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[np.linspace(0, 1, 101)] * 2), -1).reshape(-1, 2)
    for penalty in (L1(), Log(0.1), MCP(0.7)):
        X = rng.standard_normal((6, 2))
        problem = MaskProblem(X, X @ [1.0, 0.3] + 0.2 * rng.standard_normal(6), penalty=penalty, lam=0.2)
        least = min(problem.objective(m) for m in grid)
        verdict = theorems.T1.check(problem, None, solve(problem))
        lower = verdict.quantities["lower bound of min F"]
        assert verdict.holds
        assert lower <= least
        assert verdict.bound >= solve(problem).objective - least


def test_a_binary_l1_solution_is_a_global_minimiser_for_every_penalty():
    # With lam small and noise that pushes towards the corners, the l1 solution is a vertex.
    target = np.array([1.0, 0.0, 1.0])
    X = np.vstack([np.eye(3), np.eye(3)]) * np.sqrt(6)
    y = X @ (target + 0.5 * (2 * target - 1))
    for penalty in (Log(0.1), MCP(0.5), L1()):
        problem = MaskProblem(X, y, penalty=penalty, lam=0.1)
        verdict = theorems.T1.check(problem, target, target)
        assert verdict.bound <= 1e-12
        assert "global minimiser" in verdict.remark


def test_a_penalty_that_is_not_concave_violates_it():
    X = np.eye(2)
    problem = MaskProblem(X, np.array([0.5, 0.5]), lam=1.0)
    problem = problem.with_parts(_strength=Strength(Convex()))  # past the check that refuses it
    grid = np.stack(np.meshgrid(*[np.linspace(0, 1, 21)] * 2), -1).reshape(-1, 2)
    best = min(grid, key=problem.objective)
    verdict = theorems.T1.check(problem, None, best)
    assert not verdict.applies
    assert verdict.bound < 0  # the "lower bound" lies above a point's objective
    assert verdict.conclusion is False


def test_an_infinite_box_with_a_bounded_penalty_still_gets_a_bound_from_the_data_fit():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((8, 3))
    problem = RegressionProblem(X, rng.standard_normal(8), penalty=MCP(1.0), lam=0.1)
    verdict = theorems.T1.check(problem, None, solve(problem))
    assert verdict.applies
    assert verdict.bound == pytest.approx(
        problem.objective(solve(problem).x) - problem.data_fit(np.linalg.lstsq(X, problem.y)[0]), rel=1e-6
    )
