"""What is printed of problems and results: a few lines, whatever their size."""

import numpy as np
import pytest

from concave_sparsity import Log
from convex_analysis import (
    MaskProblem,
    RegressionProblem,
    cross_validate,
    global_minimum,
    majorize_minimize,
    refit,
)

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 300))
PROBLEM = RegressionProblem(X, X[:, 0] + 0.1 * RNG.standard_normal(60), penalty=Log(0.1), lam=0.01)


@pytest.mark.filterwarnings("ignore::convex_analysis.GridEdgeWarning")
def test_a_few_lines_each():
    mask = MaskProblem(X[:, :3], X[:, 0], penalty=Log(0.1), lam=0.01, fit_intercept=True)
    shown = [
        (PROBLEM, "RegressionProblem(60 x 300 dense Linear(), Log(eps=0.1), lam=0.01)"),
        (mask, "MaskProblem(60 x 3 dense Linear(), Log(eps=0.1), lam=0.01, box 0 to 1, intercept)"),
        (majorize_minimize(PROBLEM), "Solution(CONVERGED, objective "),
        (global_minimum(mask), "GlobalSolution(optimal, objective "),
        (cross_validate(PROBLEM, n_lams=4, folds=3), "CrossValidation(3 folds, 4 values of lam, best lam "),
        (refit(PROBLEM, [0, 3]), "Refit: 2 features without penalty, intercept 0, dispersion "),
    ]
    for thing, beginning in shown:
        assert repr(thing).startswith(beginning)
        assert len(repr(thing)) < 300


@pytest.mark.parametrize("loss", ["linear", "logistic"])
def test_an_infinite_factor_leaves_a_column_out(loss):
    y = np.sign(X[:, 0] + 0.5 * X[:, 1])
    factor = np.ones(10)
    factor[0] = np.inf
    problem = RegressionProblem(X[:, :10], y, loss=loss, penalty=Log(0.1), lam=0.02, penalty_factor=factor)
    without = RegressionProblem(X[:, 1:10], y, loss=loss, penalty=Log(0.1), lam=0.02)
    found = majorize_minimize(problem, "l1")
    assert found.x[0] == 0.0
    np.testing.assert_allclose(found.x[1:], majorize_minimize(without, "l1").x, atol=1e-6)
    assert problem.lam_max() == pytest.approx(without.lam_max())
    with pytest.raises(ValueError, match="leaves feature 0 out, but its box"):
        RegressionProblem(X[:, :10], y, penalty_factor=factor, lower=0.5)
