"""A user's penalty in plain Python works everywhere, and nothing is compiled for it."""

import importlib
import pkgutil

import numpy as np
import pytest
from scipy import sparse

import convex_analysis
from concave_sparsity import Log, Penalty
from convex_analysis import (
    ConcaveRegressor,
    MaskProblem,
    RegressionProblem,
    cross_validate,
    global_minimum,
    majorize_minimize,
    path,
    theorems,
)


class PlainLog(Penalty):
    """The log penalty, written as a user would: value and slope alone."""

    def value(self, t):
        return np.log1p(np.asarray(t) / 0.1) / np.log(11.0)

    def derivative(self, t):
        return 1.0 / ((np.asarray(t) + 0.1) * np.log(11.0))


RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 12))
Y = X[:, :3].sum(1) + 0.2 * RNG.standard_normal(40)
FORMS = [np.ascontiguousarray, np.asfortranarray, sparse.csc_matrix]


def compiled_versions():
    """Return how many versions of each compiled function exist, over all modules of the package."""
    found = {}
    for module in pkgutil.walk_packages(convex_analysis.__path__, "convex_analysis."):
        for name, thing in vars(importlib.import_module(module.name)).items():
            if hasattr(thing, "signatures") and hasattr(thing, "py_func"):
                found[module.name, name] = len(thing.signatures)
    assert any(found.values())
    return found


def everywhere(penalty):
    """Use a penalty in every solver, on every form of X; return objectives."""
    objectives = []
    for form in FORMS:
        for kind in (MaskProblem, RegressionProblem):
            for loss in ("linear", "logistic", "huber"):
                y = np.where(Y > 0, 1.0, -1.0) if loss == "logistic" else Y
                problem = kind(form(X), y, loss=loss, penalty=penalty, lam=0.02, fit_intercept=True)
                objectives += [
                    majorize_minimize(problem, start).objective for start in ("l1", "dense", "multi")
                ]
    problem = RegressionProblem(X, Y, penalty=penalty)
    objectives += [one.objective for one in path(problem, n_lams=5)]
    objectives.append(cross_validate(problem, n_lams=4, folds=3).best.objective)
    small = MaskProblem(X[:, :6], Y, penalty=penalty, lam=0.05)
    objectives.append(global_minimum(small).objective)
    target = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    theorems.check_all(small, target, majorize_minimize(small))
    objectives.append(ConcaveRegressor(0.02, penalty=penalty).fit(X, Y).solution_.objective)
    return objectives


def test_it_gives_the_same_minima_and_nothing_is_compiled_for_it():
    expected = everywhere(Log(0.1))
    before = compiled_versions()
    np.testing.assert_allclose(everywhere(PlainLog()), expected, rtol=1e-6)
    assert compiled_versions() == before


@pytest.mark.parametrize("scale", [0.5, 20.0])
def test_scaled(scale):
    problem = RegressionProblem(X, Y, lam=0.02)
    expected = majorize_minimize(problem.with_penalty(Log(0.1).scaled(scale, 2.0)))
    found = majorize_minimize(problem.with_penalty(PlainLog().scaled(scale, 2.0)))
    assert found.objective == pytest.approx(expected.objective, rel=1e-6)
