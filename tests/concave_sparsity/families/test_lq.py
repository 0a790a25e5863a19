"""The infinite slope of lq without smoothing."""

import math

import numpy as np
import pytest
import torch

from concave_sparsity import Lq


def test_slope_at_zero_is_infinite_and_quiet():
    p = Lq(0.5)
    assert p.derivative(0.0) == p.slope_at_zero == p.weak_convexity == math.inf
    assert p.second_derivative(0.0) == -math.inf
    assert p.derivative(np.array([0.0, 0.25])).tolist() == [math.inf, 1.0]
    t = torch.tensor([0.0, 0.25], requires_grad=True)
    p.value(t).sum().backward()
    assert t.grad.tolist() == [math.inf, 1.0]


def test_zero_stays_zero_in_the_prox():
    for step in (1e-12, 1.0):
        assert Lq(0.5).prox(0.0, step) == 0.0
        assert Lq(0.5).prox(1e-9, step) == 0.0
    assert Lq(0.5).prox(1e-9, 0.0) == 1e-9


@pytest.mark.parametrize("q", [0.1, 0.5, 0.9])
def test_smoothing_tends_to_none(q):
    t = np.linspace(0.01, 2, 50)
    assert np.allclose(Lq(q, 1e-30).value(t), Lq(q).value(t), rtol=1e-2)
    assert np.allclose(Lq(q, 1e-30).derivative(t), Lq(q).derivative(t), rtol=2e-3)
    assert Lq(q, 0) == Lq(q, 0.0) == Lq(q)
