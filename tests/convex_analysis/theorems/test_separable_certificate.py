"""T13: separable certificate."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from theorem_strategies import (
    cases,
    claiming,
    level_points,
    margin_record,
    orthogonal,
    penalties,
    search,
    solve,
    thorough,
)

from concave_sparsity import L1, MCP, SCAD, CappedL1, Log
from convex_analysis import MaskProblem, theorems
from convex_analysis.constants import NormalisedPenalty
from convex_analysis.theorems.separable import level_minorants, stationary_minorants
from convex_analysis.theorems.separable_certificate import level_functions

EXACT = "target is the unique minimiser of F over |m - target| <="


@thorough(20)
def test_no_point_below_the_target_is_farther_than_the_bound(count, record_property):
    def attempt(case):
        for point in [solve(case.problem, case.target), *level_points(case, 5)]:
            yield theorems.T13.check(case.problem, case.target, point)

    strategy = cases(samples_per_feature=(1.0, 2.0, 6.0), lams=(-3, 0.5))
    margins = search(strategy, attempt, count)
    record_property(*margin_record("T13", margins))
    assert len(margins) > 2 * count
    assert max(margins) > 0.9


@thorough(15)
def test_it_is_never_above_the_bound_of_t2(count):
    def attempt(case):
        for point in level_points(case, 2):
            ours = theorems.T13.check(case.problem, case.target, point, signs="never")
            other = theorems.T2.check(case.problem, case.target, point, signs="never")
            if ours.applies and other.applies:
                # The rounding of g enters the two in different ways.
                assert ours.bound <= other.bound * (1 + 1e-2) + 1e-5, f"{case.story}\n{ours.explain()}"
            yield ours

    search(cases(samples_per_feature=(2.0, 6.0), lams=(-3, 0), noises=(0.0, 0.03, 0.3)), attempt, count)


def test_it_is_much_tighter_where_weights_differ_in_size():
    rng = np.random.default_rng(0)
    X, theta = rng.standard_normal((60, 15)), 10.0 ** rng.uniform(-1.5, 1, 15)
    target = (np.arange(15) < 4).astype(float)
    problem = MaskProblem(
        X, X @ (theta * target) + 0.1 * rng.standard_normal(60), theta, penalty=Log(0.1), lam=0.01
    )
    solution = solve(problem, target)
    ours, other = (t.check(problem, target, solution) for t in (theorems.T13, theorems.T2))
    assert ours.holds
    assert other.holds
    assert ours.bound < 0.5 * other.bound


@pytest.mark.parametrize("seed", range(8))
def test_on_orthogonal_designs_the_certificate_is_necessary(seed):
    rng = np.random.default_rng(seed)
    grid = np.array(list(itertools.product(np.linspace(0, 1, 201), repeat=1)))
    penalty = [Log(0.1), MCP(0.8), L1(), CappedL1(0.9), SCAD(2.0, 0.3), MCP(2.0)][seed % 6]
    for _ in range(40):
        target = rng.integers(0, 2, 1).astype(float)
        problem = orthogonal(
            target, rng.normal(0, 0.3, 1), rng.uniform(0.3, 2), penalty, rng.uniform(0.01, 0.6)
        )
        values = np.array([problem.objective(m) for m in grid])
        verdict = theorems.T13.check(problem, target)
        exact = verdict.quantities[EXACT] >= 1.0
        away = np.abs(grid[:, 0] - target[0]) > 0
        if exact:
            assert values[away].min() > problem.objective(target)
        elif values[away].min() > problem.objective(target) + 1e-3:
            pytest.fail(f"the certificate misses a clear case: {target}, {problem.penalty}")
        lower = verdict.quantities["lower bound of min F"]
        assert lower <= values.min() + 1e-12
        assert lower >= values.min() - 2e-2  # the grid of the test is coarser than the cells


def test_exact_recovery_needs_quadratic_contact_not_c_equal_to_one():
    target, mu = np.array([1.0, 1.0, 0.0]), 1.0
    penalty = CappedL1(0.9)
    contact = NormalisedPenalty(penalty).contact
    assert contact.certified
    assert contact.value == pytest.approx(1 / 0.36, rel=1e-3)
    assert penalty.curvature < 0.12
    below, above = (
        orthogonal(target, np.zeros(3), mu, penalty, s * mu / (2 * contact.value)) for s in (0.99, 1.05)
    )
    assert theorems.T13.check(below, target).quantities[EXACT] == 1.0
    assert theorems.T2.bound(below, target) > 0.2
    assert theorems.T13.check(above, target).quantities[EXACT] < 1.0
    # Above the limit a better point exists, so the limit is the true one.
    m = target * np.linspace(0, 1, 1001)[:, None] + 0.0
    assert min(above.objective(x) for x in m) < above.objective(target)
    # Log touches one with a slope: never exact.
    smooth = orthogonal(target, np.zeros(3), mu, Log(0.1), 1e-4)
    assert theorems.T13.check(smooth, target).quantities[EXACT] < 1.0
    assert NormalisedPenalty(Log(0.1)).contact.value == np.inf


def test_corollary_one_noise_below_lam_is_harmless():
    rng = np.random.default_rng(0)
    target = (np.arange(6) < 3).astype(float)
    gradient = np.where(target > 0, -rng.uniform(0, 1, 6), rng.uniform(-0.099, 1, 6))
    problem = orthogonal(target, gradient, 1.0, MCP(0.5), 0.1)
    verdict = theorems.T13.check(problem, target, solve(problem))
    assert verdict.quantities[EXACT] == 1.0
    assert verdict.measured < 1e-7


def test_without_the_objective_hypothesis_it_fails():
    target = np.array([1.0, 1.0, 0.0])
    problem = orthogonal(target, np.zeros(3), 1.0, Log(0.1), 0.05)
    verdict = theorems.T13.check(problem, target, np.array([0.0, 0.0, 1.0]))
    assert not verdict.applies
    assert verdict.conclusion is False


def test_with_false_constants_it_fails():
    problem = orthogonal(np.array([1.0]), np.zeros(1), 1.0, claiming(L1(), curvature=1.0), 0.2)
    verdict = theorems.T13.check(problem, np.array([1]), np.array([0.7]))
    assert verdict.applies
    assert verdict.holds is False


@given(penalties(), st.booleans(), st.floats(0, 3), st.floats(-1, 1), st.floats(0.1, 10))
def test_the_cells_bound_what_they_should(penalty, on_support, square, linear, tau):
    view = NormalisedPenalty(penalty)
    s = np.concatenate([np.linspace(0, 1, 1501), np.geomspace(1e-8, 1, 100), 1 - np.geomspace(1e-8, 1, 100)])
    part = -0.5 * (1 - view.value(1 - s)) if on_support else 0.5 * view.value(s)
    phi = square * s * s + linear * s + part
    minorants = level_minorants(view, 0.5, on_support)
    a, b = np.array([square]), np.array([linear])
    assert minorants.least(a, b)[0] <= phi.min() + 1e-12
    assert minorants.least(a, b)[0] >= phi.min() - 0.02
    assert minorants.least(a, b, 0.5)[0] <= phi[s >= 0.5].min() + 1e-12
    assert minorants.dual(a, b, tau)[0] >= (s * s - tau * phi).max() - 1e-12
    until = minorants.positive_until(a, b)[0]
    inside = (s > 0) & (s <= until)
    assert (phi[inside] > -1e-15).all()


@given(penalties(finite_slope=True), st.booleans(), st.floats(0, 3), st.floats(-1, 1), st.floats(0.1, 10))
def test_the_cells_of_stationary_points_bound_what_they_should(penalty, on_support, square, linear, tau):
    from convex_analysis.constants import slope_lines

    view = NormalisedPenalty(penalty)
    s = np.concatenate([np.linspace(0, 1, 1501), 1 - np.geomspace(1e-8, 1, 100)])
    part = -0.5 * view.slope(1 - s) * s if on_support else 0.5 * view.slope(s) * s
    psi = square * s * s + linear * s + part
    minorants = stationary_minorants(view, slope_lines(view), 0.5, on_support)
    a, b = np.array([square]), np.array([linear])
    assert minorants.least(a, b)[0] <= psi.min() + 1e-12
    assert minorants.dual(a, b, tau)[0] >= (s * s - tau * psi).max() - 1e-12


def test_the_coordinates_can_be_certified_one_by_one():
    target = np.array([1.0, 0.0])
    problem = orthogonal(target, [-0.3, -0.3], 1.0, MCP(0.8), 0.2)
    function = level_functions(theorems.Case(problem, target))[0]
    least, beyond = function.least(), function.least(0.25)
    assert (beyond + least.sum() - least > 0).all()  # so |h_j| < 1/4 for every point no worse than the target
    for m in itertools.product(np.linspace(0, 1, 41), repeat=2):
        if problem.objective(np.array(m)) <= problem.objective(target):
            assert np.abs(np.array(m) - target).max() < 0.25
