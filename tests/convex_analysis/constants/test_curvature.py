"""The dense operator that the theorems need, from dense and sparse X alike."""

import numpy as np
from scipy import sparse

from convex_analysis import MaskProblem
from convex_analysis.constants.curvature import dense_design


def test_dense_design_of_sparse_data():
    X = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]])
    theta = np.array([2.0, -1.0])
    for data in (X, sparse.csr_matrix(X), sparse.csc_matrix(X)):
        np.testing.assert_array_equal(dense_design(MaskProblem(data, np.ones(3), theta)), X * theta)
