"""The two equations behind the closed proxes."""

import math

import numpy as np
import pytest

from concave_sparsity.arrays import NUMPY
from concave_sparsity.families.shift import exponential_shift, power_shift


def shares():
    """Of the largest k that has a root: all magnitudes, and close to the double root."""
    return np.concatenate(
        [np.geomspace(1e-300, 0.1, 300), np.linspace(0.1, 1, 400), 1 - np.geomspace(1e-15, 0.1, 200)]
    )


@pytest.mark.parametrize("p", [1e-9, 1e-3, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.999, 1.0, 1.5, 2.0])
def test_power(p):
    k_max = p**p / (1 + p) ** (1 + p)
    k = shares() * k_max
    u = power_shift(k, p, NUMPY)
    assert np.all((u >= 0) & (u <= 1 / (1 + p) * (1 + 1e-15)))
    assert np.all(np.diff(u[:700]) >= 0)
    assert np.all(np.abs(u * (1 - u) ** p - k) <= 8e-16 * k)


def test_exponential():
    k = shares() / math.e
    u = exponential_shift(k, NUMPY)
    assert np.all((u >= 0) & (u <= 1 + 1e-15))
    assert np.all(np.abs(u * np.exp(-u) - k) <= 8e-16 * k)


def test_without_a_root_the_limit():
    for k in (0.5, 3.0, 1e300, math.inf):
        assert exponential_shift(np.array([k]), NUMPY)[0] == pytest.approx(1.0)
        assert power_shift(np.array([k]), 0.5, NUMPY)[0] == pytest.approx(1 / 1.5)
        assert power_shift(np.array([k]), 1.0, NUMPY)[0] == pytest.approx(0.5)
    assert np.isnan(power_shift(np.array([math.nan]), 2.0, NUMPY)[0])
