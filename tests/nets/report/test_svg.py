import math

import pytest

from nets.report.svg import LEAST_ERROR, Axis, plane, scaled


def test_equal_ratios_of_errors_are_equal_distances():
    axis = Axis.over([0.1, 0.99], 300.0, 0.0, scale="error")
    steps = [axis.at(a) - axis.at(b) for a, b in ((0.2, 0.6), (0.6, 0.8), (0.8, 0.9), (0.96, 0.98))]
    assert steps == pytest.approx([steps[0]] * 4)
    assert 0 <= axis.at(0.99) < axis.at(0.1) <= 300


def test_no_error_at_all_has_a_place():
    assert scaled(1.0, "error") == -math.log10(LEAST_ERROR)
    assert math.isfinite(Axis.over([1.0], 0.0, 1.0, scale="error").at(1.0))


@pytest.mark.parametrize("values", [(0.1, 0.985), (0.9, 0.95), (0.9711, 0.9734), (0.0, 1.0), (0.5, 0.5)])
def test_ticks_of_accuracies_are_round_and_inside(values):
    axis = Axis.over(values, 0.0, 1.0, scale="error")
    ticks = axis.ticks()
    assert 3 <= len(ticks) <= 9
    assert ticks == sorted(ticks)
    assert all(0 <= axis.at(tick) <= 1 for tick in ticks)
    assert all(float(f"{100 * tick:.4g}") == pytest.approx(100 * tick) for tick in ticks)


def test_logarithmic_axes_leave_out_what_has_no_logarithm():
    x, y = plane([0.02, 0.2, 0.0], [1.0, 2.0], x_scale="log")
    assert x.at(0.0) == x.at(1e-9) == x.start
    assert 0.1 in [pytest.approx(tick) for tick in x.ticks()]
    assert y.scale == "linear"
