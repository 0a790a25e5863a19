"""The best point known never gets worse, and equal supports are not searched twice."""

import numpy as np

from concave_sparsity import Log
from convex_analysis import MaskProblem, RegressionProblem
from convex_analysis.global_minimum.incumbent import Incumbent


def test_it_only_improves_and_passes_over_known_supports():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((12, 6))
    problem = MaskProblem(X, X @ np.array([1.0, 1, 0, 0, 0, 0]), penalty=Log(0.1), lam=0.05)
    incumbent = Incumbent(problem)
    assert incumbent.objective == np.inf
    best = np.inf
    for start in rng.integers(0, 2, (20, 6)).astype(float):
        incumbent.search(start)
        assert incumbent.objective <= min(best, problem.objective(start))
        assert incumbent.objective == problem.objective(incumbent.x, incumbent.intercept)
        best = incumbent.objective
    searches = incumbent.n_searches
    assert not incumbent.search(np.zeros(6)) or incumbent.n_searches == searches + 1
    incumbent.search(np.zeros(6))
    assert incumbent.n_searches <= searches + 1


def test_a_better_point_with_a_known_support_is_taken_as_it_is():
    problem = RegressionProblem(
        np.eye(2), np.array([1.0, 0.0]), penalty=Log(0.1), lam=0.0, lower=-1.0, upper=1.0, fit_intercept=True
    )
    incumbent = Incumbent(problem)
    incumbent._tried.add(np.packbits(np.array([True, False])).tobytes())
    assert incumbent.search(np.array([1.0, 0.0]))
    assert incumbent.n_searches == 0
    assert abs(incumbent.intercept) <= 1e-12
    assert incumbent.objective <= 1e-20
