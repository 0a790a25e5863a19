"""Bounds of many nodes at once, and what they exclude."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from concave_sparsity import Log
from convex_analysis import RegressionProblem, steering
from convex_analysis.branch_and_bound.envelope import envelope
from convex_analysis.branch_and_bound.exclusion import tighten
from convex_analysis.branch_and_bound.node_kernels import tighten_nodes
from convex_analysis.branch_and_bound.quadratic_relaxation import QuadraticRelaxation
from convex_analysis.duality import dual_value
from convex_analysis.reference import convex_step


def problem_of(seed, n=8, d=5, fit_intercept=False):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((n, d)), rng.standard_normal(n)
    return RegressionProblem(
        X, y, penalty=Log(0.1), lam=0.1, lower=-1.5, upper=1.0, fit_intercept=fit_intercept
    )


def solve(problem, lower, upper, spare=True, tolerance=1e-12):
    d = problem.n_features
    relaxation = QuadraticRelaxation(problem, np.arange(d), np.zeros(d))
    curvature = relaxation.curvature(np.ones(d, dtype=bool))
    lent = np.broadcast_to(curvature.spare * spare, lower.shape)
    minorant = envelope(problem.penalty, relaxation.scale, lower, upper, lent)
    start = np.clip(0.0, lower, upper)
    bounds = relaxation.solve(minorant, lower, upper, start, np.inf, np.full(len(lower), tolerance))
    return relaxation, curvature, minorant, bounds


def sub_boxes(seed, problem, count=4):
    rng = np.random.default_rng(seed)
    ends = np.sort(rng.uniform(problem.lower, problem.upper, (2, count, problem.n_features)), axis=0)
    return ends[0].copy(), ends[1].copy()


@given(seed=st.integers(0, 10**6), fit_intercept=st.booleans())
def test_without_shift_the_bound_is_the_minimum_of_the_convex_step(seed, fit_intercept):
    problem = problem_of(seed, fit_intercept=fit_intercept)
    lower, upper = sub_boxes(seed, problem, 2)
    _, _, minorant, bounds = solve(problem, lower, upper, spare=False)
    for i in range(2):
        node = problem.with_bounds(lower[i], upper[i])
        expected = convex_step(node, minorant.weights[i], linear=minorant.linear[i]).value
        assert abs(bounds.bound[i] - minorant.constant[i].sum() - expected) <= 1e-8
        nu = problem.row_weights * (problem.y - problem.predictor(bounds.x[i]))
        nu = nu - nu.mean() if fit_intercept else nu
        dual = dual_value(node, minorant.weights[i], nu, minorant.linear[i])
        assert abs(bounds.bound[i] - minorant.constant[i].sum() - dual) <= 1e-9


@given(seed=st.integers(0, 10**6), n=st.integers(3, 12))
def test_bounds_hold_at_random_points_and_lent_curvature_only_raises_them(seed, n):
    problem = problem_of(seed, n=n)
    lower, upper = sub_boxes(seed, problem)
    plain = solve(problem, lower, upper, spare=False)[3].bound
    lent = solve(problem, lower, upper)[3].bound
    assert (lent >= plain - 1e-10).all()
    rng = np.random.default_rng(seed)
    for i in range(len(lower)):
        for x in rng.uniform(lower[i], upper[i], (50, problem.n_features)):
            assert lent[i] <= problem.objective(x)


@given(seed=st.integers(0, 10**6), share=st.floats(0.0, 1.0))
def test_tightening_keeps_every_point_below_the_cutoff(seed, share):
    problem = problem_of(seed)
    lower, upper = sub_boxes(seed, problem)
    _, curvature, minorant, bounds = solve(problem, lower, upper, tolerance=1e-3)
    rng = np.random.default_rng(seed)
    points = rng.uniform(lower, upper, (100, *lower.shape))
    # Points around the relaxed solution are the ones most likely to be cut off wrongly.
    points[50:] = np.clip(bounds.x + 0.1 * rng.standard_normal(points[50:].shape), lower, upper)
    values = np.array([[problem.objective(x) for x in point] for point in points])
    cutoff = float(np.quantile(values, share))
    low, high = lower.copy(), upper.copy()
    tighten(np.broadcast_to(curvature.stiffness, lower.shape), minorant, bounds, cutoff, low, high)
    for k, i in zip(*np.nonzero(values < cutoff)):
        if bounds.bound[i] <= cutoff:
            assert (points[k, i] >= low[i]).all()
            assert (points[k, i] <= high[i]).all()
    assert (low >= lower).all()
    assert (high <= upper).all()


@given(
    slope=st.floats(-2, 2),
    weight=st.floats(0, 2),
    stiffness=st.sampled_from([0.0, 0.5, 5.0]),
    ends=st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
    where=st.floats(0, 1),
    slack=st.floats(0, 1),
)
def test_one_interval_is_shrunk_to_the_sublevel_set(slope, weight, stiffness, ends, where, slack):
    lower, upper = min(ends), max(ends)
    x = lower + where * (upper - lower)
    t = np.linspace(lower, upper, 2001)
    bracket = slope * t + weight * np.abs(t)
    corners = [lower, upper, *([0.0] if lower < 0 < upper else [])]
    least = min(slope * c + weight * abs(c) for c in corners)
    inside = t[bracket - least + 0.5 * stiffness * (t - x) ** 2 <= slack]
    low, high = np.array([[lower]]), np.array([[upper]])
    column = [np.array([[v]]) for v in (slope, weight, stiffness, x)]
    tighten_nodes(*column, np.array([slack]), low, high)
    step = (upper - lower) / 2000 + 1e-9
    if inside.size:
        assert low[0, 0] <= inside[0] + 1e-9
        assert high[0, 0] >= inside[-1] - 1e-9
        assert low[0, 0] >= inside[0] - step
        assert high[0, 0] <= inside[-1] + step
    elif low[0, 0] <= high[0, 0]:
        assert high[0, 0] - low[0, 0] <= step


def test_a_column_of_zeros_goes_to_its_cheapest_value():
    X = np.array([[1.0, 0.0], [2.0, 0.0]])
    problem = RegressionProblem(X, np.array([1.0, 2.0]), penalty=Log(0.1), lam=0.01, lower=-1.0, upper=2.0)
    lower, upper = (
        np.array([[-1.0, -1.0], [-1.0, 0.5], [-1.0, -0.9]]),
        np.array([[2.0, 2.0], [2.0, 2.0], [2.0, -0.2]]),
    )
    _, _, _, bounds = solve(problem, lower, upper)
    np.testing.assert_array_equal(bounds.x[:, 1], [0.0, 0.5, -0.2])


@given(seed=st.integers(0, 10**6), max_epochs=st.sampled_from([0, 1, 3, 100]))
def test_however_coarse_the_solution_its_bound_belongs_to_its_gradient(seed, max_epochs):
    """What tightening relies on: bound + brackets + squares stay below the objective, at every point."""
    problem = problem_of(seed)
    lower, upper = sub_boxes(seed, problem, 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steering, "NODE_EPOCHS", max_epochs)
        _, curvature, minorant, bounds = solve(problem, lower, upper, tolerance=0.0)
    rng = np.random.default_rng(seed)
    for t in rng.uniform(lower, upper, (50, *lower.shape)):
        bracket = bounds.reduced * t + minorant.weights * np.abs(t)
        ends = np.stack([lower, np.clip(0.0, lower, upper), upper])
        least = (bounds.reduced * ends + minorant.weights * np.abs(ends)).min(axis=0)
        square = 0.5 * curvature.stiffness * (t - bounds.x) ** 2
        claimed = bounds.bound + (bracket - least).sum(axis=1) + square.max(axis=1)
        truth = np.array([problem.objective(x) for x in t])
        assert (claimed <= truth + 1e-12).all()


def test_no_point_within_the_limit_is_cut_off_however_far_from_zero():
    """In rational arithmetic: boxes of width 1e2 at 1e8, whose ends just pass or just fail."""
    for seed in range(200):
        _nothing_is_cut_off(seed)


def _nothing_is_cut_off(seed):
    rng = np.random.default_rng(seed)
    x = float(rng.choice([-1.0, 1.0]) * 10.0 ** rng.uniform(-2, 8))
    room = 10.0 ** rng.uniform(-3, 3, 2)
    lower, upper = x - room[0], x + room[1]
    weight = 10.0 ** rng.uniform(-7, 0)
    slope = float(-np.sign(x) * weight * (1.0 + rng.choice([0.0, 1e-4, -1e-4, 0.5])))
    stiffness = float(rng.choice([0.0, 10.0 ** rng.uniform(-10, 0)]))

    def value(t):
        exact = Fraction(slope) * Fraction(t) + Fraction(weight) * abs(Fraction(t))
        return exact + Fraction(stiffness) * (Fraction(t) - Fraction(x)) ** 2 / 2

    ends = [float(value(t)) for t in (lower, upper)]
    nodes = [np.array([[part]]) for part in (slope, weight, stiffness, x)]
    least = min(ends) if lower >= 0 or upper <= 0 else min(*ends, 0.0)
    linear = [slope * t + weight * abs(t) for t in (lower, upper)]
    base = min(linear) if lower >= 0 or upper <= 0 else min(*linear, 0.0)
    for far in (*ends, 0.5 * (ends[0] + ends[1]), float(value(x)), least):
        slack = max(far - base, 0.0)
        low, high = np.array([[lower]]), np.array([[upper]])
        tighten_nodes(*nodes, np.array([slack]), low, high)
        for t in (lower, upper, x, *rng.uniform(lower, upper, 20)):
            if lower <= t <= upper and value(t) - Fraction(base) <= Fraction(slack):
                assert low[0, 0] <= t <= high[0, 0], seed
