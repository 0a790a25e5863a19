"""The prox that every penalty has without a closed form: global, whatever the penalty does."""

import math

import numpy as np
import pytest
import torch

from concave_sparsity import L1, Arctan, CappedL1, Exponential, Fraction, Log, Lq, Penalty


class Own(Penalty):
    """A family behind a mask: value and derivative alone."""

    def __init__(self, penalty):
        self.penalty = penalty

    def value(self, t):
        return self.penalty.value(t)

    def derivative(self, t):
        return self.penalty.derivative(t)


class Mixture(Penalty):
    """Kinks, curves of three scales and a flat part: many local minima of the prox objective."""

    kinks_at = (0.003, 0.05, 0.4, 0.9)

    def value(self, t):
        total = 0.3 * np.log1p(t / 0.01) / np.log1p(100)
        for k in self.kinks_at:
            total = total + np.minimum(t, k) / k
        return total / (0.3 + len(self.kinks_at))

    def derivative(self, t):
        slope = 0.3 / (t + 0.01) / np.log1p(100)
        for k in self.kinks_at:
            slope = slope + (t < k) / k
        return slope / (0.3 + len(self.kinks_at))


class TorchOnly(Penalty):
    """A user who writes torch and nothing else."""

    def value(self, t):
        return torch.log1p(t / 0.1) / math.log1p(10)

    def derivative(self, t):
        return 1 / (t + 0.1) / math.log1p(10)


def problem(seed, n):
    rng = np.random.default_rng(seed)
    v = rng.normal(size=n) * 10 ** rng.uniform(-2, 1, n)
    step = 10 ** rng.uniform(-4, 1, n)
    lower = rng.normal(size=n)
    return v, step, lower, lower + rng.exponential(size=n)


def test_agrees_with_the_closed_forms(penalty):
    own = Own(penalty)
    v, step, lower, upper = problem(1, 150)
    for box in ((None, None), (0.0, 1.0), (lower, upper)):
        x, y = own.prox(v, step, *box), penalty.prox(v, step, *box)
        a, b = (0.5 * (z - v) ** 2 + step * penalty.value(np.abs(z)) for z in (x, y))
        assert np.allclose(a, b, rtol=2e-14, atol=1e-15)
        # The points agree too, but at ties.
        near = np.abs(x - y) <= 1e-7 * np.abs(v)
        assert np.count_nonzero(~near) <= 2


def test_many_local_minima():
    p = Mixture()
    v, step, lower, upper = problem(2, 300)
    for low, high in ((np.full(300, -INF), np.full(300, INF)), (lower, upper), (np.zeros(300), np.ones(300))):
        x = p.prox(v, step, low, high)
        objective = 0.5 * (x - v) ** 2 + step * p.value(np.abs(x))
        left, right = np.maximum(low, -np.abs(v)), np.minimum(high, np.abs(v))
        left, right = np.minimum(left, high), np.maximum(right, low)
        for row in range(300):
            grid = np.concatenate(
                [np.linspace(left[row], right[row], 20_001), np.geomspace(1e-9, 1, 500), [0.0]]
            )
            grid = np.clip(np.concatenate([grid, -grid]), low[row], high[row])
            brute = 0.5 * (grid - v[row]) ** 2 + step[row] * p.value(np.abs(grid))
            assert objective[row] <= brute.min() + 1e-14 * (1 + v[row] ** 2)


INF = math.inf


@pytest.mark.parametrize("scale", [1e-8, 1e-4, 1.0, 1e4, 1e8])
@pytest.mark.parametrize("kind", [Log, Exponential, Arctan, Fraction, CappedL1])
def test_features_of_any_size(kind, scale):
    p = kind(scale)
    own = Own(p)
    v, step, *_ = problem(3, 60)
    step = step * 10 ** np.random.default_rng(0).uniform(-6, 0, 60)
    x = own.prox(v, step)
    y = p.prox(v, step)
    a, b = (0.5 * (z - v) ** 2 + step * p.value(np.abs(z)) for z in (x, y))
    assert np.all(np.abs(a - b) <= 1e-14 * (0.5 * v**2 + a))


def test_flat_objective_does_not_explode():
    """Step and penalty such that the objective is constant on an interval: every point there is right."""

    class Parabola(Penalty):
        def value(self, t):
            return np.where(t < 1, 2 * t - t**2, 1.0)

        def derivative(self, t):
            return np.where(t < 1, 2 - 2 * t, 0.0)

    x = Parabola().prox(np.full(100, 1.0), 0.5)
    assert np.allclose(0.5 * (x - 1) ** 2 + 0.5 * Parabola().value(np.abs(x)), 0.5, atol=1e-15)
    assert Own(CappedL1(1.0)).prox(1.25, 0.5) in (0.75, 1.25)


def test_float32_and_torch():
    own, twin = Own(Lq(0.5, 0.01)), Lq(0.5, 0.01)
    v = torch.linspace(-3, 3, 201)
    x = own.prox(v, 0.3, 0.0, 1.0)
    assert x.dtype == torch.float32
    assert torch.allclose(x, twin.prox(v, 0.3, 0.0, 1.0), atol=1e-6)
    x = own.prox(v.numpy(), np.float32(0.3))
    assert x.dtype == np.float32
    assert np.allclose(x, twin.prox(v.numpy(), 0.3), atol=1e-6)
    assert isinstance(own.prox(0.5, 0.3), float)


def test_a_penalty_that_knows_only_torch():
    v = torch.linspace(-3, 3, 101, dtype=torch.float64, requires_grad=True)
    x = TorchOnly().prox(v, 0.3)
    assert torch.allclose(x.detach(), Log(0.1).prox(v.detach(), 0.3), atol=1e-12)


def test_ends_infinity_nan_and_empty():
    own = Own(L1())
    assert own.prox(np.zeros(0), 0.1).shape == (0,)
    v = np.array([math.nan, INF, -INF, 0.5])
    assert np.array_equal(own.prox(v, 0.1), [math.nan, INF, -INF, 0.4], equal_nan=True)
    assert own.prox(0.3, 0.1, 0.25, 0.25) == 0.25
    assert own.prox(5.0, 0.1, -3.0, -2.0) == -2.0


def test_scalar_returning_functions_are_taken():
    """A derivative that returns one number for an array of arguments."""

    class Linear(Penalty):
        def value(self, t):
            return 1.0 * t

        def derivative(self, t):
            return 1.0

    assert np.allclose(Linear().prox(np.array([-2.0, 0.1, 3.0]), 0.5), [-1.5, 0.0, 2.5])
    assert Linear().curvature == 0
    assert Linear().weak_convexity == 0
    assert Linear().slope_at_zero == Linear().slope_at_one == 1
