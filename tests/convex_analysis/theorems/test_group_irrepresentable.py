"""T9 with groups: the same verdict as the first-order conditions, wherever the point is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from concave_sparsity import L1, MCP, SCAD, Log
from convex_analysis import RegressionProblem, majorize_minimize
from convex_analysis.theorems.group_irrepresentable import group_condition

PENALTIES = [L1(), Log(0.5), MCP(2.0), SCAD()]


def stated(seed, penalty, share):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 4, 5)
    group = np.repeat(np.arange(5), sizes)
    X = rng.standard_normal((40, group.size)) + rng.uniform(0.0, 1.5) * rng.standard_normal((40, 1))
    target = np.where(group < 2, rng.standard_normal(group.size) + 1.0, 0.0)
    y = X @ target + 0.3 * rng.standard_normal(40)
    problem = RegressionProblem(X, y, penalty=penalty, groups=group, fit_intercept=bool(seed % 2))
    return problem.with_lam(share * problem.lam_max()), target, rng


def examine(seed, penalty, share):
    problem, target, rng = stated(seed, penalty, share)
    # Steps are many where the penalty all but cancels the curvature.
    found = majorize_minimize(problem, tol=1e-11, max_iter=20_000)
    x = found.x
    if not x.any():
        return
    target = np.where(x != 0.0, target, 0.0)
    told = group_condition(problem, x, target)
    gradient = 1e-9 * (1.0 + float(np.abs(problem.gradient_at_start()).max()))
    assert problem.stationarity(x, found.intercept) <= gradient
    assert told.error <= 1e-6 * (1.0 + np.abs(x).max())
    assert (told.pulls <= told.allowed + 1e-6).all()
    assert (told.pulls <= told.sufficient + 1e-9).all()  # the corollary
    # Any point: lam (||q_g|| - allowed)+ is what stationarity measures off the support.
    point = np.where(x != 0.0, x * rng.uniform(0.8, 1.2, x.size), 0.0)
    moved = group_condition(problem, point, target)
    assert moved.error > 1e-6
    assert not moved.holds(1e-6)


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_group_condition(penalty):
    for seed in range(4):
        examine(seed, penalty, 0.3)


@pytest.mark.theorems
@given(st.integers(0, 10**6), st.sampled_from(PENALTIES), st.floats(0.05, 0.9))
def test_group_condition_thousands(seed, penalty, share):
    examine(seed, penalty, share)


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_the_condition_can_fail(correlation):
    """A group that leans on both true groups is pulled in where it correlates, else stays out."""
    rng = np.random.default_rng(1)
    true = rng.standard_normal((200, 4))
    leaning = correlation * (true[:, :2] + true[:, 2:]) / np.sqrt(2.0) + 0.2 * rng.standard_normal((200, 2))
    X = np.column_stack([true, leaning])
    target = np.r_[np.ones(4), 0.0, 0.0]
    problem = RegressionProblem(X, X @ target, groups=np.arange(6) // 2, lam=0.1)
    # The minimiser among the points that keep the third group out:
    inside = RegressionProblem(X[:, :4], X @ target, groups=np.arange(4) // 2, lam=0.1)
    x = np.append(majorize_minimize(inside, tol=1e-12).x, [0.0, 0.0])
    told = group_condition(problem, x, target)
    assert told.error <= 1e-8
    assert told.holds(1e-8) == (correlation == 0.0)
    assert (problem.stationarity(x) <= 1e-8) == told.holds(1e-8)
    # Off the support stationarity is lam times what the pull exceeds.
    excess = problem.lam * max(float((told.pulls - told.allowed).max()), 0.0)
    assert problem.stationarity(x) == pytest.approx(excess, abs=1e-8)


def test_other_problems_are_refused():
    problem = RegressionProblem(np.eye(3), np.ones(3), lam=0.1)
    with pytest.raises(ValueError, match="needs groups"):
        group_condition(problem, np.zeros(3), np.zeros(3))
    grouped = RegressionProblem(np.eye(3), np.ones(3), groups=[0, 0, 1], lam=0.1)
    with pytest.raises(ValueError, match="target is not zero"):
        group_condition(grouped, np.r_[1.0, 1.0, 0.0], np.ones(3))
    with pytest.raises(ValueError, match="positive lam"):
        group_condition(grouped.with_lam(0.0), np.ones(3), np.ones(3))


def test_a_group_that_is_left_out_may_be_pulled_at():
    rng = np.random.default_rng(0)
    X, group = rng.standard_normal((40, 6)), np.arange(6) // 2
    target = np.r_[1.0, -1.0, 1.0, 1.0, 0.0, 0.0]
    y = X @ target
    problem = RegressionProblem(X, y, groups=group, penalty_factor=[1.0, np.inf, 1.0], lam=0.1)
    found = majorize_minimize(problem, tol=1e-11)
    inside = np.where(group == 0, target, 0.0)
    told = group_condition(problem, found.x, inside)
    assert problem.stationarity(found.x) <= 1e-9
    assert told.holds(1e-7)
