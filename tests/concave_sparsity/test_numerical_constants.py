"""The constants that every penalty has without closed forms."""

import math

import numpy as np
import pytest

from concave_sparsity import Log, Penalty, numerical_constants


class Own(Penalty):
    def __init__(self, value, derivative):
        self._functions = value, derivative

    def value(self, t):
        return self._functions[0](t)

    def derivative(self, t):
        return self._functions[1](t)


def kinked(*points):
    """The mean of capped l1 penalties with kinks at the points, and l1."""
    n = len(points) + 1
    return Own(
        lambda t: (t + sum(np.minimum(t, k) / min(k, 1) for k in points)) / n,
        lambda t: (1.0 + sum((t < k) / min(k, 1) for k in points)) / n,
    )


def test_kinks_are_found_exactly():
    p = kinked(0.003, 0.2, math.pi / 4, 17.0)
    assert p.kinks == pytest.approx((0.003, 0.2, math.pi / 4, 17.0), rel=1e-15)
    assert p.breakpoints == p.kinks
    assert p.weak_convexity == p.weak_convexity_unbounded == math.inf


def test_kink_at_one_or_beyond_is_not_inside():
    for point in (1.0, 1.5):
        p = kinked(point)
        assert p.weak_convexity == 0
        assert p.weak_convexity_unbounded == math.inf
        assert p.slope_at_one == 1.0
        assert p.curvature == 0
    assert kinked(1.0).kinks == (1.0,)


def test_faint_kinks_count_and_steep_slopes_do_not():
    faint = Own(
        lambda t: Log(0.1).value(t) + 1e-3 * np.minimum(t, 0.3),
        lambda t: Log(0.1).derivative(t) + 1e-3 * (t < 0.3),
    )
    assert faint.kinks == pytest.approx((0.3,), rel=1e-15)
    assert faint.weak_convexity == math.inf
    assert Own(Log(1e-9).value, Log(1e-9).derivative).kinks == ()


def test_curvature_inside_the_interval():
    """A penalty whose ratio (r(t) - t) / (t (1 - t)) is least in the middle, not at an end."""
    # r(t) = t + t (1 - t) (1/2 + 2 (t - 0.4)^2 / 5) is concave and nondecreasing; the ratio is known.
    p = Own(
        lambda t: t + t * (1 - t) * (0.5 + 0.4 * (t - 0.4) ** 2),
        lambda t: 1 + (1 - 2 * t) * (0.5 + 0.4 * (t - 0.4) ** 2) + t * (1 - t) * 0.8 * (t - 0.4),
    )
    t = np.linspace(0, 1, 1001)
    assert np.all(np.diff(p.value(t), 2) <= 0)
    assert np.all(np.diff(p.value(t)) >= 0)
    assert p.curvature == pytest.approx(0.5, abs=1e-10)
    assert p.curvature < min(p.slope_at_zero - 1, 1 - p.slope_at_one) - 0.05


def test_weak_convexity_where_r_bends_most_inside():
    """r' = 1 + tanh-like bend at 0.37: -r'' has a smooth maximum there."""
    width = 0.01
    p = Own(
        lambda t: t - 0.5 * width * np.log(np.cosh((t - 0.37) / width)),
        lambda t: 1 - 0.5 * np.tanh((t - 0.37) / width),
    )
    assert p.weak_convexity == pytest.approx(0.5 / width, rel=1e-8)


def test_weak_convexity_where_r_bends_from_a_point_on():
    """-r'' jumps from 0 to 2.5 at 0.6: piecewise quadratic."""
    p = Own(
        lambda t: t - 1.25 * np.maximum(t - 0.6, 0) ** 2,
        lambda t: 1 - 2.5 * np.maximum(t - 0.6, 0),
    )
    assert p.weak_convexity == pytest.approx(2.5, rel=1e-8)


def test_flat_from():
    p = kinked(0.25)
    assert p.flat_from == math.inf
    bounded = Own(lambda t: np.minimum(t, 0.25) * 4, lambda t: 4.0 * (t < 0.25))
    assert bounded.flat_from == 0.25
    assert numerical_constants.flat_from(lambda t: 0 * t) == 0.0


def test_slope_at_zero_of_a_careless_derivative():
    """0 * inf or 0 / 0 at 0: the limit is taken instead."""
    careless = Own(np.sqrt, lambda t: 0.5 * t / t**1.5)
    assert careless.slope_at_zero > 1e100
    assert Own(np.sqrt, lambda t: 0.5 / np.sqrt(t)).slope_at_zero == math.inf
    assert Own(np.sqrt, lambda t: 0.5 / np.sqrt(t)).weak_convexity == math.inf


def test_no_stale_constants():
    """A mutable penalty is not meant to change, but if it does its constants follow."""

    class Mutable(Penalty):
        eps = 0.1

        def value(self, t):
            return np.log1p(t / self.eps) / np.log1p(1 / self.eps)

        def derivative(self, t):
            return 1 / (t + self.eps) / np.log1p(1 / self.eps)

    p = Mutable()
    before = p.curvature
    p.eps = 1.0
    assert p.curvature == pytest.approx(Log(1.0).curvature, abs=1e-8)
    assert before == pytest.approx(Log(0.1).curvature, abs=1e-8)
