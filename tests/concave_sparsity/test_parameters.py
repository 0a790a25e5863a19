"""The sentences about wrong parameters."""

import math
from fractions import Fraction

import numpy as np
import pytest

from concave_sparsity.parameters import positive, real_number, within


def test_real_numbers_become_floats():
    for value in (2, 2.0, np.float32(2), np.int8(2), Fraction(4, 2)):
        assert type(real_number(value, "x")) is float
        assert real_number(value, "x") == 2.0


@pytest.mark.parametrize("value", [True, "1", None, 1j, [1.0], np.ones(1), np.bool_(True)])
def test_other_things_are_no_real_numbers(value):
    with pytest.raises(TypeError, match="x must be a real number, got"):
        real_number(value, "x")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_not_finite(value):
    with pytest.raises(ValueError, match="x must be finite, got"):
        real_number(value, "x")


def test_ranges():
    assert positive(1e-30, "x") == 1e-30
    assert within(0, "x", 0.0, 1.0) == 0.0
    for bad in (0, -1, 1e-31, 1e31):
        with pytest.raises(ValueError, match="x must"):
            positive(bad, "x")
    with pytest.raises(ValueError, match="strictly between 0 and 1, got 1"):
        within(1.0, "x", 0.0, 1.0, open_ends=True)
    with pytest.raises(ValueError, match="between 0 and 1, got 2"):
        within(2.0, "x", 0.0, 1.0)
