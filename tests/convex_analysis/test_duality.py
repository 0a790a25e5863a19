"""Dual points where the curvature of the loss all but vanishes."""

import numpy as np
import pytest

from concave_sparsity import MCP
from convex_analysis import RegressionProblem
from convex_analysis.convex_step import ConvexStep


@pytest.mark.parametrize("margin", [700.0, 708.0, 744.0, 800.0])
def test_separable_data_whose_curvature_is_next_to_nothing(margin):
    X = np.array([[margin], [2.0 * margin]])
    problem = RegressionProblem(X, np.ones(2), loss="logistic", penalty=MCP(0.1), lam=0.1, lower=-2, upper=2)
    free = RegressionProblem(X, np.ones(2), loss="logistic", penalty=MCP(0.1), lam=0.1)
    for each in (problem, free):
        step = ConvexStep(each).compute(np.zeros(1), start=np.ones(1))
        assert 0.0 <= step.gap <= 1e-12
        assert np.isfinite(step.nu).all()
