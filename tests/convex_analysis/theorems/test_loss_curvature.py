"""T12: curvature of the loss, logistic and Huber."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from theorem_strategies import cases, level_points, margin_record, search, solve, thorough

from convex_analysis import MaskProblem, theorems
from convex_analysis.constants import row_curvature_at_target, row_curvature_on_box
from convex_analysis.constants.curvature import average_curvature, secant_curvature
from convex_analysis.losses import Huber

REAL = st.floats(-60, 60)


def _one_sample(loss, y):
    return MaskProblem(np.ones((1, 1)), np.array([y]), loss=loss)


@thorough(15)
def test_the_bounds_hold_everywhere_in_the_box_for_hubers_loss(count, record_property):
    """Also T2, T4, T13, T14 and T18, which say something as soon as there is curvature."""

    def attempt(case):
        for point in (case.rng.uniform(0, 1, case.target.size), 1 - case.target):
            yield theorems.T12.check(case.problem, case.target, point)
        solution = solve(case.problem, case.target)
        for theorem in (theorems.T2, theorems.T4, theorems.T13, theorems.T14, theorems.T18):
            yield theorem.check(case.problem, case.target, solution)

    margins = search(cases(losses=("huber",), samples_per_feature=(1.0, 2.0, 6.0)), attempt, count)
    record_property(*margin_record("T12 Huber", margins))
    assert len(margins) > 2 * count


@thorough(15)
def test_the_bounds_hold_everywhere_in_the_box(count, record_property):
    def attempt(case):
        d = case.target.size
        points = [case.rng.uniform(0, 1, d), case.rng.integers(0, 2, d).astype(float), 1 - case.target]
        for point in [*points, *level_points(case, 2)]:
            yield theorems.T12.check(case.problem, case.target, point)

    margins = search(cases(losses=("logistic",)), attempt, count)
    record_property(*margin_record("T12", margins))
    assert len(margins) > count
    assert max(margins) > 0.9


@given(REAL, REAL)
def test_the_ratios_are_bounded_from_below_and_closely(z, u):
    import mpmath

    with mpmath.workdps(60):
        zz, uu = mpmath.mpf(z), mpmath.mpf(u)

        def loss(x):
            return mpmath.log1p(mpmath.exp(x))

        def slope(x):
            return 1 / (1 + mpmath.exp(-x))

        if abs(u) < 1e-15:
            average = secant = slope(zz) * (1 - slope(zz))
        else:
            average = 2 * (loss(zz + uu) - loss(zz) - slope(zz) * uu) / uu**2
            secant = (slope(zz + uu) - slope(zz)) / uu
    problem = _one_sample("logistic", -1.0)
    z, u = np.array([z]), np.array([u])
    for ratio, exact in ((average_curvature, average), (secant_curvature, secant)):
        computed = ratio(problem, z, u)[0]
        assert computed <= exact * (1 + 1e-15) + 1e-300
        assert computed >= float(exact) * 0.99 - 1e-10


@given(
    st.sampled_from(["logistic", Huber(1.0), Huber(7.5)]),
    st.floats(-30, 30),
    st.floats(-40, 0),
    st.floats(0, 40),
)
def test_the_minimum_over_a_range_is_at_an_end_or_at_zero(loss, z, low, high):
    u = np.linspace(low, high, 801)
    u[np.abs(u) < 0.011] = 0.0  # there the computed ratio is a bound, off by up to 1%
    problem = MaskProblem(np.ones((801, 1)), np.ones(801), loss=loss)
    for ratio in (average_curvature, secant_curvature):
        values = ratio(problem, np.full(801, z), u)
        here = ratio(problem, np.full(801, z), np.zeros(801))[0]
        assert values.min() >= min(here, values[0], values[-1]) * (1 - 1e-6) - 1e-10


def test_seen_from_the_target_much_more_curvature_is_left():
    X = np.array([[20.0, -20.0]])
    problem = MaskProblem(X, np.array([1.0]), loss="logistic")
    target = np.array([False, False])
    assert row_curvature_on_box(problem, X)[0] == pytest.approx(2.06e-9, rel=1e-2)
    assert row_curvature_at_target(problem, X, target)[0] == pytest.approx(0.0465, rel=1e-2)


def test_outside_the_box_the_bound_fails():
    X = np.array([[2.0]])
    problem = MaskProblem(X, np.array([1.0]), loss="logistic")
    target = np.array([0.0])
    omega = row_curvature_at_target(problem, X, target > 0)[0]
    fit, slope = problem.data_fit(target), problem.gradient(target)

    def divergence(m):
        return problem.data_fit(m) - fit - slope @ m

    for m, inside in ((0.5, True), (1.0, True), (3.0, False)):
        bound = 0.5 * omega * (2.0 * m) ** 2
        assert (bound <= divergence(np.array([m])) + 1e-15) == inside


def test_an_intercept_is_refused():
    problem = MaskProblem(np.ones((2, 1)), np.array([1.0, -1.0]), loss="logistic", fit_intercept=True)
    assert not theorems.T12.check(problem, [1]).applies
    assert theorems.Case(problem, [1]).convexity_at_target.value == 0.0
