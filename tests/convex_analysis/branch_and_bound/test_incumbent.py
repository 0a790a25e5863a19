"""The best point known never gets worse, and equal supports are not searched twice."""

import numpy as np
import pytest

from concave_sparsity import Log, Lq
from convex_analysis import MaskProblem, RegressionProblem
from convex_analysis.branch_and_bound.incumbent import Incumbent


@pytest.mark.parametrize("penalty", [Log(0.1), Lq(0.5)])
@pytest.mark.parametrize("loss", ["linear", "logistic"])
def test_it_only_improves_and_passes_over_known_supports(penalty, loss):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((12, 6))
    y = X @ np.array([1.0, 1, 0, 0, 0, 0])
    y = np.where(y > 0, 1.0, -1.0) if loss == "logistic" else y
    problem = MaskProblem(X, y, loss=loss, penalty=penalty, lam=0.05, fit_intercept=loss == "logistic")
    incumbent = Incumbent(problem)
    assert incumbent.objective == np.inf
    best = np.inf
    for start in rng.integers(0, 2, (20, 6)).astype(float):
        better = incumbent.search(start)
        assert better == (incumbent.objective < best)
        assert incumbent.objective == problem.objective(incumbent.x, incumbent.intercept)
        best = min(best, incumbent.objective)
        assert incumbent.objective == best
    incumbent.search(np.zeros(6))
    searches = incumbent.n_searches
    assert not incumbent.search(np.zeros(6))
    assert incumbent.n_searches == searches
    incumbent.begin()
    assert incumbent.objective <= best


def test_a_better_point_with_a_known_support_is_taken_as_it_is():
    problem = RegressionProblem(
        np.eye(2), np.array([1.0, 0.0]), penalty=Log(0.1), lam=0.0, lower=-1.0, upper=1.0, fit_intercept=True
    )
    incumbent = Incumbent(problem)
    incumbent.search(np.array([0.5, 0.0]))
    incumbent.objective = 1.0  # as if the search had found nothing
    searches = incumbent.n_searches
    assert incumbent.search(np.array([1.0, 0.0]))
    assert incumbent.n_searches == searches
    assert abs(incumbent.intercept) <= 1e-12
    assert incumbent.objective <= 1e-20
