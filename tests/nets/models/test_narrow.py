"""The dense small network has as many weights as fit, and never more than the ticket."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nets.data import Dataset
from nets.models import ARCHITECTURES, build
from nets.models.flops import count_flops, maskable_weights, width_for
from nets.models.parts import scaled


def data(side=32, channels=3):
    x = torch.zeros(4, channels, side, side)
    y = torch.arange(4) % 2
    return Dataset("zeros", x, y, x[:0], y[:0], x, y, n_classes=10)


@pytest.mark.parametrize("name", sorted(set(ARCHITECTURES) - {"wide-resnet-28-10", "vgg-19", "resnet-56"}))
def test_narrow_networks_fit_and_run(name):
    inputs = data()
    total = maskable_weights(build(name, inputs))
    asked = total // 10
    width = width_for(name, inputs, asked)
    narrow = build(name, inputs, width=width)
    kept = maskable_weights(narrow)
    assert 0.75 * asked <= kept <= asked
    assert narrow.eval()(inputs.x_train).shape == (4, 10)


@given(st.integers(820, 266_200))
@settings(max_examples=30)
def test_a_slightly_wider_network_would_not_fit(weights):
    inputs = data(28, 1)
    width = width_for("lenet-300-100", inputs, weights)
    assert maskable_weights(build("lenet-300-100", inputs, width=width)) <= weights
    assert width == 1.0 or maskable_weights(build("lenet-300-100", inputs, width=width + 1e-5)) > weights


def test_a_network_that_cannot_be_narrow_enough_says_so():
    with pytest.raises(ValueError, match="even with the fewest units a layer it has 795"):
        width_for("lenet-300-100", data(28, 1), 794)


def test_operations_are_counted_instead_of_weights():
    inputs = data(32, 1)
    whole = count_flops(build("lenet-5", inputs), (1, 32, 32)).dense
    width = width_for("lenet-5", inputs, whole // 5, operations=True)
    assert 0.15 * whole < count_flops(build("lenet-5", inputs, width=width), (1, 32, 32)).dense <= whole // 5
    with pytest.raises(ValueError, match="as small as 100 operations"):
        width_for("lenet-5", inputs, 100, operations=True)


def narrowable(input_shape, n_classes, width=1.0):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(3 * 32 * 32, scaled(8, width)), nn.Linear(scaled(8, width), n_classes)
    )


def fixed(input_shape, n_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, n_classes))


def test_factories_are_narrowed_by_their_own_width():
    assert width_for(narrowable, data(), 4 * (3 * 32 * 32 + 10)) == pytest.approx(0.5625, abs=1e-3)


def test_models_without_a_width_are_refused_with_the_remedy():
    with pytest.raises(ValueError, match="fixed cannot be narrowed: its factory takes no parameter width"):
        width_for(fixed, data(), 100)
    with pytest.raises(ValueError, match="give a factory with a parameter width"):
        width_for(fixed((3, 32, 32), 10), data(), 100)


@pytest.mark.parametrize(
    ("units", "width", "multiple", "expected"),
    [(300, 0.1, 1, 30), (300, 1e-9, 1, 1), (256, 0.5, 4, 128), (256, 1e-9, 4, 4), (16, 1.0, 1, 16)],
)
def test_units_are_whole(units, width, multiple, expected):
    assert scaled(units, width, multiple) == expected


def test_a_width_must_be_positive():
    with pytest.raises(ValueError, match="width must be positive"):
        scaled(10, 0.0)
