"""T4: error of every stationary point."""

import numpy as np
import pytest
from theorem_strategies import (
    cases,
    claiming,
    margin_record,
    orthogonal,
    search,
    solve,
    stationary_points,
    thorough,
)

from concave_sparsity import L1, MCP, SCAD, Arctan, CappedL1, Exponential, Fraction, Log, Lq
from convex_analysis import theorems
from convex_analysis.constants import NormalisedPenalty, slope_lines

SMOOTH = [
    L1(),
    Log(0.01),
    Log(0.1),
    Log(1.0),
    MCP(1.0),
    MCP(2.0),
    Exponential(0.3),
    Arctan(0.3),
    Fraction(0.1),
]


@thorough(40)
def test_no_stationary_point_is_farther_than_the_bound(count, record_property):
    def attempt(case):
        for point in stationary_points(case):
            yield theorems.T4.check(case.problem, case.target, point)

    margins = search(cases(), attempt, count)
    record_property(*margin_record("T4", margins))
    assert len(margins) > count / 5
    assert max(margins) > 0.5


@thorough(15)
def test_penalties_of_infinite_slope_obey_it_above_a_floor(count, record_property):
    def attempt(case):
        for point in stationary_points(case):
            x = getattr(point, "x", point)
            floor = float(x[case.target > 0].min(initial=1.0)) * 0.999
            if floor > 0:
                yield theorems.T4.check(case.problem, case.target, point, support_floor=floor)

    from hypothesis import strategies as st

    lq = st.builds(Lq, st.floats(0.1, 0.95))
    margins = search(cases(penalty=lq, lams=(-5, -1), samples_per_feature=(2.0, 6.0)), attempt, count)
    record_property(*margin_record("T4 lq", margins))
    assert len(margins) > count / 3


@pytest.mark.parametrize("penalty", [*SMOOTH, SCAD(2.0, 0.3)], ids=repr)
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_the_smallest_b_is_attained_for_every_penalty(penalty, noise):
    t = np.linspace(0, 1, 200001)[1:]
    view = NormalisedPenalty(penalty)
    last = view.slope_at_one.value
    secants = (view.slope(1 - t) - last) / t
    share = int(np.argmax(secants[1000:])) + 1000  # away from zero, where the quotient is 0/0
    s, b = t[share], secants[share]
    lam, target = 0.1, np.array([1.0, 1.0, 0.0])
    noise = noise if last + noise > 0 else 0.1
    mu = lam * (last + noise + b * s) / s
    problem = orthogonal(target, noise * lam * target, mu, penalty, lam)
    point = target - s * target
    assert problem.stationarity(point) < 1e-12
    verdict = theorems.T4.check(problem, target, point)
    assert verdict.applies, verdict.explain()
    assert verdict.holds
    assert verdict.margin > 0.95


def test_the_constants_alone_are_tight_for_l1_and_mcp_and_loose_for_log():
    for penalty in (L1(), MCP(1.0), MCP(3.0)):
        c, rho = penalty.curvature, penalty.weak_convexity
        s = np.linspace(1e-3, 1, 50)
        np.testing.assert_allclose(
            np.asarray(penalty.derivative(1 - s)), 1 - c + (rho / 2 + c) * s, atol=1e-12
        )
    smallest = min(line.b for line in slope_lines(NormalisedPenalty(Log(0.01))))
    assert smallest == pytest.approx(21.44, rel=1e-2)
    assert 0.5 * Log(0.01).weak_convexity + Log(0.01).curvature == pytest.approx(1084, rel=1e-2)


def test_capped_l1_is_covered_although_it_is_not_weakly_convex():
    penalty, target = CappedL1(0.3), np.array([1.0, 0.0])
    assert np.isinf(penalty.weak_convexity)
    problem = orthogonal(target, np.array([0.0, -0.01]), 1.0, penalty, 0.1)
    verdict = theorems.T4.check(problem, target, solve(problem))
    assert verdict.holds
    assert verdict.constants["b"].value == pytest.approx(1 / 0.3 / 0.7, rel=1e-2)


def test_without_stationarity_it_fails():
    target = np.array([1.0, 1.0, 0.0])
    problem = orthogonal(target, np.zeros(3), 1.0, Log(0.5), 0.05)
    verdict = theorems.T4.check(problem, target, np.array([0.2, 0.2, 0.9]))
    assert not verdict.applies
    assert verdict.conclusion is False


def test_without_enough_convexity_there_are_stationary_points_far_away():
    # MCP with mu < lam b: zero is stationary although the noiseless target fits perfectly.
    target = np.array([1.0, 1.0])
    problem = orthogonal(target, np.zeros(2), 0.15, MCP(1.0), 0.1)
    zero = np.zeros(2)
    assert problem.stationarity(zero) == 0.0
    verdict = theorems.T4.check(problem, target, zero)
    assert not verdict.applies
    assert verdict.measured > 1.4
    # With mu above lam b the target is the only stationary point.
    enough = orthogonal(target, np.zeros(2), 0.25, MCP(1.0), 0.1)
    assert enough.stationarity(zero) > 0.0
    assert theorems.T4.bound(enough, target) == pytest.approx(0.0, abs=1e-8)


def test_with_false_constants_it_fails():
    false = claiming(MCP(1.0), weak_convexity=0.1, curvature=0.05)
    target = np.array([1.0, 1.0])
    problem = orthogonal(target, np.zeros(2), 0.15, false, 0.1)
    verdict = theorems.T4.check(problem, target, np.zeros(2))
    assert verdict.applies
    assert verdict.holds is False


def test_a_supergradient_of_either_side_at_a_kink_is_a_stationary_point_of_the_theorem():
    # At the kink m = cap the left slope holds the point, the right one does not.
    cap, lam, target = 0.5, 0.1, np.array([1.0])
    problem = orthogonal(target, np.array([0.0]), 1.0, CappedL1(cap), lam)
    solution = solve(problem, np.array([cap]))
    np.testing.assert_allclose(solution.x, target)
    assert theorems.T4.check(problem, target, solution).holds
