"""Compatibility constants: certified, exact, and equal to Wendel's formula in probability."""

from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from convex_analysis import ConvexStep, MaskProblem
from convex_analysis.constants import orthant_minimum, sign_cone_minimum


def _random_feasible(rng, support, alpha):
    x = np.zeros(support.size)
    x[support] = rng.dirichlet(np.full(support.sum(), 0.3))
    if (~support).any():
        x[~support] = (
            rng.dirichlet(np.full((~support).sum(), 0.3)) * alpha * rng.choice([0.0, rng.random(), 1.0])
        )
    return np.where(support, -x, x)


@settings(max_examples=30)
@given(st.integers(1, 7), st.integers(1, 10), st.floats(0, 5), st.integers(0, 2**32 - 1))
def test_it_is_a_lower_bound_and_attained(d, n, alpha, seed):
    rng = np.random.default_rng(seed)
    factor = rng.standard_normal((n, d)) * 10.0 ** rng.uniform(-2, 2, d)
    support = rng.random(d) < 0.5
    support[0] = True
    constant = sign_cone_minimum(factor, support, alpha)
    assert constant.certified
    values = [np.sum((factor @ _random_feasible(rng, support, alpha)) ** 2) for _ in range(200)]
    assert constant.value <= min(values) * (1 + 1e-9) + 1e-300
    # The tangent bound is within the solver's accuracy of the value it was taken at.
    attained = float(constant.method.split("value ")[1].rstrip(")"))
    scale = float((factor**2).sum(axis=0).max()) * (1 + alpha) ** 2
    assert constant.value >= attained * (1 - 6e-3) - 1e-5 * scale


def test_closed_form_on_the_identity():
    support = np.array([True, True, False])
    # min ||x||^2 with x_1 + x_2 = 1 is 1/2.
    assert sign_cone_minimum(np.eye(3), support, 3.0).value == pytest.approx(0.5, rel=1e-6)
    assert orthant_minimum(np.eye(3), support).value == pytest.approx(1 / 3, rel=1e-6)


@pytest.mark.parametrize(
    ("support", "alpha"), [([False, False], 1.0), ([True, False], np.inf), ([True, False], -1.0)]
)
def test_senseless_cones_are_refused(support, alpha):
    with pytest.raises(ValueError, match=r"needs a target|alpha must"):
        sign_cone_minimum(np.eye(2), np.array(support), alpha)


def wendel(n, d):
    """Return the probability that the kernel of an n x d matrix meets an orthant in zero only."""
    return sum(comb(d - 1, j) for j in range(n)) / 2 ** (d - 1)


def _only_point_of_the_box(X, support):
    """Whether no other point of the box fits, by a linear program: kernel against orthant."""
    signed = X * np.where(support, -1.0, 1.0)
    d = X.shape[1]
    result = linprog(-np.ones(d), A_eq=signed, b_eq=np.zeros(X.shape[0]), bounds=[(0, 1)] * d)
    return result.fun > -1e-7


def test_the_phase_transition_of_donoho_and_tanner():
    d, trials = 16, 25
    rng = np.random.default_rng(0)
    assert wendel(d // 2, d) == 0.5
    for n in (4, 8, 12):
        recovered = by_solver = by_constant = 0
        for _ in range(trials):
            X = rng.standard_normal((n, d))
            support = rng.random(d) < rng.choice([0.1, 0.5])  # the probability does not depend on k
            unique = _only_point_of_the_box(X, support)
            recovered += unique
            positive = orthant_minimum(X, support).value > 1e-12
            by_constant += positive
            assert not (positive and not unique)
            # No regulariser: least squares in the box, from the middle of it.
            target = support.astype(float)
            step = ConvexStep(MaskProblem(X, X @ target, lam=0.0)).compute(np.zeros(d), start=np.full(d, 0.5))
            by_solver += np.abs(step.x - target).max() < 1e-4
        spread = 3.5 * np.sqrt(wendel(n, d) * (1 - wendel(n, d)) / trials) + 1e-9
        for share in (recovered, by_solver, by_constant):
            assert abs(share / trials - wendel(n, d)) <= spread + 0.05
