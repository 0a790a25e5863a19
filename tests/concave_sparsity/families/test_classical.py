"""The classical forms, with lam in the penalty, against their papers' formulas."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from concave_sparsity import MCP, SCAD, Log, Penalty

lams = st.floats(0.01, 20)
T = np.concatenate([[0.0], np.geomspace(1e-6, 100, 400)])


@given(lam=lams, gamma=st.floats(0.1, 50))
def test_mcp(lam, gamma):
    """Zhang (2010), equation (2.1)."""
    p = MCP.classical(lam, gamma)
    expected = np.where(gamma * lam >= T, lam * T - T**2 / (2 * gamma), gamma * lam**2 / 2)
    assert np.allclose(p.value(T), expected, rtol=1e-12)
    assert np.allclose(p.derivative(T), np.maximum(lam - T / gamma, 0), rtol=1e-12, atol=1e-14 * lam)
    assert p.slope_at_zero == pytest.approx(lam, rel=1e-14)
    assert p.weak_convexity == pytest.approx(1 / gamma, rel=1e-13)
    assert p.weak_convexity_unbounded == pytest.approx(1 / gamma, rel=1e-13)
    assert p.flat_from == gamma * lam
    assert p.breakpoints == (gamma * lam,)
    assert p.is_piecewise_quadratic


@given(lam=lams, a=st.floats(1.05, 50))
def test_scad(lam, a):
    """Fan and Li (2001), equation (2.7)."""
    p = SCAD.classical(lam, a)
    middle = (2 * a * lam * T - T**2 - lam**2) / (2 * (a - 1))
    expected = np.where(lam >= T, lam * T, np.where(a * lam >= T, middle, lam**2 * (a + 1) / 2))
    # The formula for the middle cancels where a is close to 1.
    assert np.allclose(p.value(T), expected, rtol=1e-11)
    slope = np.where(lam >= T, lam, np.maximum(a * lam - T, 0) / (a - 1))
    assert np.allclose(p.derivative(T), slope, rtol=1e-11, atol=1e-13 * lam / (a - 1))
    assert p.slope_at_zero == pytest.approx(lam, rel=1e-13)
    assert p.weak_convexity_unbounded == pytest.approx(1 / (a - 1), rel=1e-12)
    assert p.flat_from == pytest.approx(a * lam, rel=1e-15)
    assert p.derivative(p.flat_from) == 0


@given(eps=st.floats(1e-6, 100))
def test_log(eps):
    """Candes, Wakin, Boyd (2008), equation (10), less its constant; reweighting by 1 / (|x| + eps)."""
    p = Log.classical(eps)
    assert np.allclose(p.value(T), np.log1p(T / eps), rtol=1e-13)
    assert np.allclose(p.derivative(T), 1 / (T + eps), rtol=1e-13)
    assert p.slope_at_zero == pytest.approx(1 / eps, rel=1e-14)
    assert p.weak_convexity == pytest.approx(1 / eps**2, rel=1e-14)


@pytest.mark.parametrize(
    "p", [MCP.classical(0.4, 3.0), SCAD.classical(0.2), Log.classical(0.3), Log(0.2).scaled(3.0, 2.0)]
)
def test_constants_are_those_of_the_function(p):
    """Not normalised, the curvature is relative to the chord r(1) t: all constants grow with amplitude."""
    one = p.value(1.0)
    t = np.linspace(0, 1, 100_001)[1:-1]
    ratio = (p.value(t) - one * t) / (t * (1 - t))
    assert p.curvature == pytest.approx(ratio.min(), abs=2e-5 * one)
    assert p.curvature <= ratio.min() + 1e-9
    assert p.curvature == pytest.approx(min(p.slope_at_zero - one, one - p.slope_at_one), rel=1e-12)
    for name in ("curvature", "weak_convexity", "slope_at_zero", "slope_at_one"):
        assert getattr(Penalty, name).fget(p) == pytest.approx(getattr(p, name), rel=1e-8, abs=1e-8)
        twice = p.scaled(amplitude=2.0)
        assert getattr(twice, name) == pytest.approx(2 * getattr(p, name), rel=1e-14)
    assert math.isfinite(p.weak_convexity)
