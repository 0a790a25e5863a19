"""What sets the arctangent apart: a slope that is concave first."""

import numpy as np
import pytest

from concave_sparsity import Arctan, Penalty


@pytest.mark.parametrize("eps", [0.02, 1.0, 30.0])
def test_prox_with_two_interior_minima(eps):
    """For step / (eps^2 atan(1/eps)) between 1.6 and 2.2 the smaller of two interior minima can win."""
    p = Arctan(eps)
    chosen_small = 0
    for k in np.linspace(1.54, 2.3, 39):
        step = k * eps**2 * np.arctan(1 / eps)
        v = eps * np.linspace(k - 0.05, k + 0.3, 71)
        x = p.prox(v, step)
        grid = eps * np.linspace(0, 3.0, 30_001)
        objective = 0.5 * (grid - v[:, None]) ** 2 + step * p.value(grid)
        mine = 0.5 * (x - v) ** 2 + step * p.value(x)
        assert np.all(mine <= objective.min(axis=1) + 1e-14 * eps**2)
        chosen_small += np.count_nonzero((x > 0) & (x < 0.55 * eps))
    assert chosen_small > 50


@pytest.mark.parametrize("eps", [1.2, 1.5, 3.0, 50.0])
def test_constants_of_wide_penalties_are_decided_at_zero(eps):
    p = Arctan(eps)
    assert p.curvature == p.slope_at_zero - 1 < 1 - p.slope_at_one
    assert p.curvature == pytest.approx(Penalty.curvature.fget(p), abs=1e-8)
    t = np.linspace(0, 1, 200_001)
    steepest = -p.second_derivative(t).min()
    assert p.weak_convexity == pytest.approx(steepest, rel=1e-8)
    beyond = -p.second_derivative(np.linspace(0, 3 * eps, 200_001)).min()
    assert p.weak_convexity_unbounded == pytest.approx(beyond, rel=1e-8)
