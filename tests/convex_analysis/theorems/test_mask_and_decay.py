"""T11: the effective penalty of mask and weight decay."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from theorem_strategies import cases, penalties, search, thorough

from concave_sparsity import L1, MCP, Arctan, Exponential, Fraction, Log, Lq
from convex_analysis import theorems
from convex_analysis.theorems import EffectivePenalty


@thorough(25)
def test_psi_has_the_properties_stated(count):
    applied = []

    def attempt(case):
        verdict = theorems.T11.check(case.problem, weight_decay=10.0 ** case.rng.uniform(-3, 1))
        applied.append(verdict.applies)
        yield verdict

    search(cases(lams=(-4, 1), max_features=2), attempt, count)
    assert sum(applied) > count / 2


@given(st.floats(0.1, 1.0), st.floats(-3, 1), st.floats(-3, 1))
def test_the_closed_form_of_lq_agrees_with_a_search(q, log_lam, log_decay):
    penalty = L1() if q > 0.99 else Lq(q)
    psi = EffectivePenalty(penalty, 10.0**log_lam, 10.0**log_decay)
    b0 = (
        np.sqrt(psi.lam * min(q, 1.0) / psi.weight_decay)
        if q <= 0.99
        else np.sqrt(psi.lam / psi.weight_decay)
    )
    b = b0 * np.array([1e-3, 0.1, 0.5, 0.99, 1.0, 1.5, 10.0])
    m = np.geomspace(1e-6, 1, 200001)
    direct = [np.min(psi.lam * penalty.value(m) + psi.weight_decay * x**2 / (2 * m**2)) for x in b]
    np.testing.assert_allclose(psi.value(b), direct, rtol=1e-7)
    p = 2 * (1.0 if q > 0.99 else q) / ((1.0 if q > 0.99 else q) + 2)
    small = psi.value(b[:4])
    np.testing.assert_allclose(small, psi.lam * (1 + (p / (2 - p))) * (b[:4] / b0) ** p, rtol=1e-9)
    np.testing.assert_allclose(psi.value(b[4:]), psi.lam + 0.5 * psi.weight_decay * b[4:] ** 2, rtol=1e-9)


@given(penalties(finite_slope=True))
def test_every_finite_slope_acts_like_two_thirds_near_zero(penalty):
    psi = EffectivePenalty(penalty, 0.7, 0.3)
    b = 1e-13 * psi.ridge_from * np.array([1.0, 8.0])
    values = EffectivePenalty(penalty, 0.7, 0.3)._bracket(
        (0.3 * b**2 / (0.7 * penalty.slope_at_zero)) ** (1 / 3), b
    )
    limit = 1.5 * (0.7 * penalty.slope_at_zero) ** (2 / 3) * (0.3 * b**2) ** (1 / 3)
    np.testing.assert_allclose(values, limit, rtol=1e-2)
    assert values[1] / values[0] == pytest.approx(8 ** (2 / 3), rel=1e-2)


@pytest.mark.parametrize(
    "penalty", [L1(), Lq(0.5), Log(0.1), Fraction(0.3), Arctan(0.5), Exponential(0.5)], ids=repr
)
def test_it_is_concave_to_b0_and_convex_beyond_with_a_continuous_slope(penalty):
    psi = EffectivePenalty(penalty, 0.2, 0.5)
    assert psi.is_unimodal
    b0 = np.sqrt(psi.lam * penalty.slope_at_one / psi.weight_decay)
    assert psi.ridge_from == pytest.approx(b0, rel=1e-4)
    near, far = np.linspace(0.05, 0.999, 60) * b0, np.linspace(1.001, 3, 60) * b0
    assert (np.diff(psi.value(near), 2) < 1e-13).all()
    assert (np.diff(psi.value(far), 2) > 0).all()  # so psi is not concave in |b| as a whole
    left, right = psi.derivative(b0 * np.array([1 - 1e-7, 1 + 1e-7]))
    assert left == pytest.approx(right, rel=1e-4)
    step = 1e-6 * b0
    slopes = (psi.value(near + step) - psi.value(near - step)) / (2 * step)
    np.testing.assert_allclose(psi.derivative(near), slopes, rtol=1e-4)


def test_a_flat_penalty_makes_the_mask_jump():
    psi = EffectivePenalty(MCP(0.5), 1.0, 1.0)
    assert not psi.is_unimodal
    b = np.linspace(0.01, 1.5, 4000)
    assert np.diff(psi.mask(b)).max() > 0.3
    assert (np.diff(psi.value(b**0.5), 2) < 1e-9).all()  # concave in b^2 all the same


def test_without_decay_nothing_is_penalised():
    with pytest.raises(ValueError, match="nothing is penalised"):
        EffectivePenalty(Log(0.1), 1.0, 0.0)
    decays = [EffectivePenalty(Log(0.1), 1.0, 10.0**-e).value(np.array([1.0]))[0] for e in range(0, 16, 3)]
    assert all(np.diff(decays) < 0)
    assert decays[-1] < 1e-3


def test_it_does_not_apply_without_a_weight_decay():
    from theorem_strategies import orthogonal

    problem = orthogonal([1.0], [0.0], 1.0, L1(), 0.1)
    assert not theorems.T11.check(problem).applies
    assert theorems.T11.check(problem, weight_decay=0.1).holds


@pytest.mark.parametrize("penalty", [Log(0.1), MCP(0.5), Exponential(0.2), Arctan(0.3), Fraction(0.1)])
@pytest.mark.parametrize("b", [1e-12, 1e-15, 1e-30, 1e-90])
def test_psi_tends_to_zero_like_its_limit_however_small_the_product(penalty, b):
    psi = EffectivePenalty(penalty, 0.3, 0.01)
    limit = 1.5 * (psi.lam * penalty.slope_at_zero) ** (2.0 / 3.0) * (psi.weight_decay * b**2) ** (1.0 / 3.0)
    both = psi.value(np.array([b, 1.0]))  # beside a large product, too
    assert both[0] == pytest.approx(limit, rel=1e-3)
    assert psi.value(np.array([b]))[0] == pytest.approx(limit, rel=1e-3)
    assert psi.value(np.array([0.0]))[0] == 0.0


def test_psi_tends_to_zero_with_an_infinite_slope_too():
    psi = EffectivePenalty(Lq(0.5, 1e-30), 0.3, 0.01)
    closed = EffectivePenalty(Lq(0.5), 0.3, 0.01)
    b = np.array([1e-3, 1e-6, 1e-10])
    np.testing.assert_allclose(psi.value(b), closed.value(b), rtol=1e-6)
