"""Cross-validation of lam on problems: held-out losses as a loop over copies of the data gives them."""

import numpy as np
import pytest
from scipy import sparse

from concave_sparsity import MCP, Log
from convex_analysis import RegressionProblem, cross_validate, path
from convex_analysis.cross_validation import _folds

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 15))
Y = X[:, :3].sum(1) + 0.5 * RNG.standard_normal(40)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("form", [np.asarray, sparse.csc_matrix])
def test_held_out_losses(weighted, form):
    weight = RNG.uniform(0.5, 2.0, 40) if weighted else None
    problem = RegressionProblem(form(X), Y, penalty=Log(0.5), sample_weight=weight, fit_intercept=True)
    found = cross_validate(problem, n_lams=5, folds=4, seed=3, tol=1e-10)
    assert found.losses.shape == (4, 5)
    fold = _folds(problem, 4, np.random.default_rng(3))
    for k in range(4):
        kept, out = fold != k, fold == k
        part = RegressionProblem(
            X[kept], Y[kept], penalty=Log(0.5), fit_intercept=True,
            sample_weight=None if weight is None else weight[kept],
        )  # fmt: skip
        for i, solution in enumerate(path(part, found.lams, tol=1e-10)):
            squares = (Y[out] - X[out] @ solution.x - solution.intercept) ** 2 / 2
            expected = np.average(squares, weights=None if weight is None else weight[out])
            assert found.losses[k, i] == pytest.approx(expected, rel=1e-6)


def test_the_choice():
    found = cross_validate(RegressionProblem(X, Y, penalty=MCP(3.0)), n_lams=20)
    best = found.best
    assert best.lam == found.lams[np.argmin(found.mean)]
    sparser = found.best_within_one_error
    assert sparser.lam >= best.lam
    assert sparser.support.size <= best.support.size
    assert set(sparser.support) >= {0, 1, 2}


def test_a_seed_fixes_everything_and_folds_are_stratified():
    y = np.where(np.arange(40) < 10, 1.0, -1.0)
    problem = RegressionProblem(X, y, loss="logistic", penalty=Log(0.5))
    one, other = (cross_validate(problem, n_lams=4, folds=5, seed=7) for _ in range(2))
    np.testing.assert_array_equal(one.losses, other.losses)
    fold = _folds(problem, 5, np.random.default_rng(7))
    assert [int((y[fold == k] > 0).sum()) for k in range(5)] == [2] * 5
