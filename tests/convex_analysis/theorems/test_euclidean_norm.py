"""Norms of tiny and huge vectors, and the bounds that use them."""

import numpy as np
import pytest
from theorem_strategies import solve

from concave_sparsity import Log
from convex_analysis import MaskProblem, theorems
from convex_analysis.theorems.euclidean_norm import euclidean_norm


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1.0, 1e200])
def test_it_is_the_norm_at_every_scale(scale):
    v = np.array([3.0, -4.0, 0.0])
    assert euclidean_norm(scale * v) == pytest.approx(5.0 * scale)


def test_zero_empty_and_infinite_vectors():
    assert euclidean_norm(np.zeros(3)) == 0.0
    assert euclidean_norm(np.zeros(0)) == 0.0
    assert euclidean_norm(np.array([1.0, np.inf])) == np.inf


@pytest.mark.parametrize("scale", [1e-100, 1e-8, 1e8, 1e100])
def test_the_bounds_do_not_depend_on_the_units_of_the_data(scale):
    rng = np.random.default_rng(0)
    X, target = rng.standard_normal((30, 5)), np.array([1.0, 1.0, 0.0, 0.0, 0.0])
    y = X @ target + 0.3 * rng.standard_normal(30)
    plain = MaskProblem(X, y, penalty=Log(0.5), lam=0.02)
    scaled = MaskProblem(scale * X, scale * y, penalty=Log(0.5), lam=0.02 * scale**2)
    names = ("T2", "T4", "T10", "T13", "T14", "T15", "T18", "T19")
    for theorem in (getattr(theorems, name) for name in names):
        expected = theorem.check(plain, target, solve(plain))
        verdict = theorem.check(scaled, target, solve(scaled))
        assert verdict.holds == expected.holds, verdict.explain()
        assert verdict.bound == pytest.approx(expected.bound, rel=1e-4, nan_ok=True)
