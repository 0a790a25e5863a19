"""Every loss: slopes, curvature and conjugate agree with its value; a new loss needs one class."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from concave_sparsity import L1, MCP, Log
from convex_analysis import (
    ConvexStep,
    MaskProblem,
    RegressionProblem,
    global_minimum,
    majorize_minimize,
    reference,
)
from convex_analysis.losses import Huber, Linear, Logistic, Loss, SquaredHinge


@dataclass(frozen=True)
class LogCosh(Loss):
    """A loss that the package does not know: ``log cosh(z - y)``."""

    name = "log-cosh"

    def check_targets(self, y):
        return y

    def value(self, z, y):
        e = np.abs(z - y)
        return e + np.log1p(np.exp(-2 * e)) - np.log(2)

    def derivative(self, z, y):
        return np.tanh(z - y)

    def second_derivative(self, z, y):
        return 1 - np.tanh(z - y) ** 2

    def conjugate(self, v, y):
        inside = np.abs(v) < 1
        w = np.where(inside, v, 0.0)
        entropy = ((1 + w) * np.log1p(w) + (1 - w) * np.log1p(-w)) / 2
        return np.where(inside, entropy + v * y, np.where(np.abs(v) == 1, np.log(2) + v * y, np.inf))

    def expression(self, z: Any, y):
        import cvxpy

        return cvxpy.logistic(2 * (z - y)) - (z - y) - np.log(2)


LOSSES = [Linear(), Logistic(), SquaredHinge(), Huber(), Huber(0.3), LogCosh()]
numbers = st.floats(-20, 20)


def label(loss, y):
    return np.where(y > 0, 1.0, -1.0) if isinstance(loss, Logistic | SquaredHinge) else y


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@given(z=numbers, y=numbers, v=st.floats(-1, 1))
def test_slopes_and_conjugate_belong_to_the_value(loss, z, y, v):
    z, y, v = np.array([z]), label(loss, np.array([y])), np.array([v])
    h = 1e-6
    slope = (loss.value(z + h, y) - loss.value(z - h, y)) / (2 * h)
    np.testing.assert_allclose(loss.derivative(z, y), slope, atol=1e-6)  # h / 4 at a kink
    assert (loss.second_derivative(z, y) <= loss.smoothness * (1 + 1e-12)).all()
    assert (loss.curvature(z, y) >= 0).all()
    # Fenchel's inequality, with equality at the slope.
    gap = loss.value(z, y) + loss.conjugate(v, y) - v * z
    assert (gap >= -1e-9).all()
    at = loss.derivative(z, y)
    touching = loss.value(z, y) + loss.conjugate(at, y) - at * z
    np.testing.assert_allclose(touching, 0.0, atol=1e-6)


@pytest.mark.parametrize("t", [1e-300, 1e-20, 1e-12, 1e-5, 0.3, 1.0 - 1e-12, 1.0])
def test_the_logistic_conjugate_keeps_its_digits_for_confident_predictions(t):
    # t log t + (1 - t) log(1 - t), with log(1 - t) = -t - t^2 / 2 where t is small.
    rest = -t * (1.0 - t) * (1.0 + t / 2) if t < 1e-4 else (1.0 - t) * math.log1p(-t) if t < 1.0 else 0.0
    found = Logistic().conjugate(np.array([-t]), np.array([1.0]))[0]
    assert found - t * math.log(t) == pytest.approx(rest, rel=1e-10, abs=1e-15 * abs(t * math.log(t)))


class TestANewLoss:
    """`LogCosh` above is all that a loss takes: every solver, certificate and reference knows it then."""

    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 6))
    y = X[:, :2].sum(1) + 0.2 * rng.standard_normal(30)

    @pytest.mark.parametrize("intercept", [False, True])
    def test_convex_steps_agree_with_cvxpy(self, intercept):
        problem = RegressionProblem(self.X, self.y, loss=LogCosh(), lam=0.05, fit_intercept=intercept)
        weights = np.full(6, 0.05)
        found, expected = ConvexStep(problem).compute(weights), reference.convex_step(problem, weights)
        assert abs(found.value - expected.value) <= 1e-8 * expected.value
        assert found.gap <= 1e-8

    @pytest.mark.parametrize("penalty", [L1(), Log(0.1), MCP(3.0)], ids=repr)
    @pytest.mark.parametrize("kind", [MaskProblem, RegressionProblem])
    def test_concave_problems(self, penalty, kind):
        found = majorize_minimize(kind(self.X, self.y, loss=LogCosh(), penalty=penalty, lam=0.05))
        assert found.converged
        assert set(found.support) >= {0, 1}

    def test_branch_and_bound(self):
        problem = MaskProblem(self.X, self.y, loss=LogCosh(), penalty=MCP(0.5), lam=0.05)
        best = global_minimum(problem)
        found = majorize_minimize(problem, "multi")
        assert best.lower_bound - 1e-9 <= best.objective <= found.objective + 1e-9
        assert found.objective - found.suboptimality_bound <= best.objective + 1e-9
