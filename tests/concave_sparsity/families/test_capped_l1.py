"""The kink of the capped l1 penalty."""

import math

import numpy as np

from concave_sparsity import CappedL1


def test_slope_at_the_kink_is_the_right_limit():
    p = CappedL1(0.4)
    assert p.derivative(0.4) == 0.0
    assert p.derivative(math.nextafter(0.4, 0)) == 1 / 0.4
    assert p.kinks == p.breakpoints == (0.4,)


def test_kink_at_one_is_l1_on_the_unit_interval():
    """So that a start at one is not taken for flat: `derivative(1.0)` is the left limit, `slope_at_one`."""
    for p in (CappedL1(1.0), CappedL1(0.5).scaled(2.0, 0.7), CappedL1(2.0).scaled(0.5)):
        assert p.slope_at_one > 0
        assert p.derivative(1.0) == p.slope_at_one == p.slope_at_zero
        assert p.derivative(np.array([1.0, 1.1])).tolist() == [p.slope_at_one, 0.0]
        assert p.weak_convexity == p.curvature == 0
        assert p.weak_convexity_unbounded == math.inf


def test_kink_inside_has_no_weak_convexity():
    assert CappedL1(0.999).weak_convexity == math.inf
    assert CappedL1(1.001).weak_convexity == 0
