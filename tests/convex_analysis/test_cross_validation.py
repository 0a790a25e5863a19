"""Cross-validation of lam on problems: held-out losses as a loop over copies of the data gives them."""

import numpy as np
import pytest
from scipy import sparse

from concave_sparsity import MCP, Log
from convex_analysis import ConvergenceWarning, RegressionProblem, Status, cross_validate, path
from convex_analysis.cross_validation import deal_folds

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
    fold = deal_folds(problem, 4, np.random.default_rng(3))
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
    fold = deal_folds(problem, 5, np.random.default_rng(7))
    assert [int((y[fold == k] > 0).sum()) for k in range(5)] == [2] * 5


def long_problem():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 20))
    return RegressionProblem(X, X[:, 0] + rng.standard_normal(60), penalty=Log(0.1), fit_intercept=True)


@pytest.mark.parametrize("folds_before", [0, 2])
def test_a_callback_ends_it_with_what_was_finished(folds_before):
    problem, done = long_problem(), []

    def callback(progress):
        return len(done) == folds_before + 1  # the path on all data is counted too

    with pytest.warns(ConvergenceWarning, match=f"ended after {folds_before} of 5 folds: The callback"):
        found = cross_validate(problem, n_lams=6, callback=callback, progress=lambda *_: done.append(1))
    assert found.status is Status.STOPPED
    assert "STOPPED" in repr(found)
    assert found.losses.shape == (folds_before, 6)
    whole = cross_validate(problem, n_lams=6)
    assert whole.status is Status.CONVERGED
    assert np.array_equal(found.losses, whole.losses[:folds_before])
    if folds_before:
        assert found.best.lam in found.lams
    else:
        with pytest.raises(ValueError, match="no fold was finished"):
            _ = found.best


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_time_limit_ends_it(n_jobs):
    problem = long_problem()
    with pytest.warns(ConvergenceWarning, match="The time limit"):
        found = cross_validate(problem, n_lams=40, time_limit=0.0, n_jobs=n_jobs)
    assert found.status is Status.TIME_LIMIT
    assert found.path.status is Status.TIME_LIMIT
    assert found.losses.shape[0] == 0
    with pytest.warns(ConvergenceWarning, match=r"time limit"):
        along = path(problem, n_lams=40, time_limit=0.0)
    assert along.status is Status.TIME_LIMIT
    assert "TIME_LIMIT" in repr(along)


def test_folds_in_other_processes_cannot_be_watched():
    with pytest.raises(ValueError, match="callback cannot watch folds in other processes"):
        cross_validate(long_problem(), n_jobs=2, callback=lambda _: None)
