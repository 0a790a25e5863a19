"""Sample weights of any common factor mean the same problem."""

import numpy as np

from convex_analysis import RegressionProblem


def test_common_factor_near_overflow_has_no_effect():
    weight = np.array([3.0, 3.0, 4.0])
    plain = RegressionProblem(np.eye(3), np.ones(3), sample_weight=weight)
    huge = RegressionProblem(np.eye(3), np.ones(3), sample_weight=weight * 2.0**1021)
    np.testing.assert_allclose(huge.row_weights, plain.row_weights, rtol=1e-15)
