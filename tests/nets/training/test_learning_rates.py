"""Schedules: values at known points."""

import pytest

from nets.registry import schedules
from nets.training.optimisers import learning_rates


@pytest.mark.parametrize("schedule", schedules.names())
@pytest.mark.parametrize("steps", [1, 2, 7, 100])
def test_one_finite_rate_a_step_none_above_the_peak(schedule, steps):
    rates = learning_rates(schedule, 0.5, steps, warm_up=3)
    assert len(rates) == steps
    assert all(0 <= rate <= 0.5 + 1e-12 for rate in rates)


def test_known_points():
    assert learning_rates("constant", 0.2, 3) == [0.2] * 3
    cosine = learning_rates("cosine", 1.0, 101)
    assert cosine[0] == 1.0
    assert cosine[50] == pytest.approx(0.5)
    assert cosine[100] == pytest.approx(0.0, abs=1e-15)
    cycle = learning_rates("one-cycle", 1.0, 101)
    assert cycle[0] == pytest.approx(1 / 25)
    assert max(cycle) == cycle[30] == 1.0
    assert cycle[100] == pytest.approx(1e-4)


def test_steps_drop_at_shares_of_the_training():
    rates = learning_rates("step", 1.0, 160, milestones=(0.75, 0.5), factor=0.1)
    assert rates[79] == 1.0
    assert rates[80] == pytest.approx(0.1)
    assert rates[120] == pytest.approx(0.01)


def test_warm_up_rises_linearly():
    rates = learning_rates("constant", 1.0, 10, warm_up=4)
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


def test_unknown_schedule():
    with pytest.raises(ValueError, match="unknown schedule 'zigzag'; the schedules are"):
        learning_rates("zigzag", 1.0, 3)
