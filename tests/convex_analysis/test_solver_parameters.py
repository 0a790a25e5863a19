"""What the solvers take beside a problem: every fault gets one sentence."""

import numpy as np
import pytest

from convex_analysis import ConvexStep, RegressionProblem, cross_validate, lam_grid, majorize_minimize, path

PROBLEM = RegressionProblem(np.eye(6)[:, :3], np.arange(6.0))

FAULTS = [
    (
        majorize_minimize,
        {"tol": "a"},
        TypeError,
        "tol of majorize_minimize must be a finite number above 0; got 'a'",
    ),
    (majorize_minimize, {"tol": 0.0}, ValueError, "tol of majorize_minimize must be a finite number above 0"),
    (majorize_minimize, {"tol": np.nan}, ValueError, "tol of majorize_minimize"),
    (majorize_minimize, {"tol": None}, TypeError, "tol of majorize_minimize"),
    (majorize_minimize, {"tol": np.array([1e-3, 1.0])}, TypeError, "tol of majorize_minimize"),
    (
        majorize_minimize,
        {"max_iter": "3"},
        TypeError,
        "max_iter of majorize_minimize must be an integer at least 1",
    ),
    (majorize_minimize, {"max_iter": 3.5}, TypeError, "max_iter of majorize_minimize"),
    (majorize_minimize, {"max_iter": 0}, ValueError, "max_iter of majorize_minimize"),
    (
        majorize_minimize,
        {"start": "warm"},
        ValueError,
        "start of majorize_minimize must be one of 'l1', 'zero'",
    ),
    (majorize_minimize, {"start": ["a", "b", "c"]}, TypeError, "start of majorize_minimize"),
    (majorize_minimize, {"start": 5}, TypeError, "start of majorize_minimize"),
    (majorize_minimize, {"start": np.ones(3) * 1j}, TypeError, "start of majorize_minimize"),
    (majorize_minimize, {"start": np.ones(2)}, ValueError, r"start must be a finite vector of shape \(3,\)"),
    (majorize_minimize, {"start": [0.0, np.nan, 0.0]}, ValueError, "start must be a finite vector"),
    (majorize_minimize, {"start": np.full(3, 1e200)}, ValueError, "The loss overflows at the start"),
    (path, {"lams": "abc"}, TypeError, "lams of path must be a vector of numbers, or None"),
    (path, {"lams": 0.1}, TypeError, "lams of path"),
    (path, {"lams": []}, ValueError, "lams is empty"),
    (path, {"lams": [0.1, -0.1]}, ValueError, "lam must be finite and not negative"),
    (path, {"lams": [0.1, np.nan]}, ValueError, "lam must be finite and not negative"),
    (path, {"n_lams": "5"}, TypeError, "n_lams of lam_grid must be an integer at least 1"),
    (
        path,
        {"smallest": 0.0},
        ValueError,
        "smallest of lam_grid must be a finite number above 0 and at most 1",
    ),
    (path, {"tol": -1.0}, ValueError, "tol of path"),
    (path, {"max_iter": 0}, ValueError, "max_iter of path"),
    (path, {"start": "x"}, ValueError, "start of path"),
    (lam_grid, {"n_lams": 0}, ValueError, "n_lams of lam_grid"),
    (cross_validate, {"folds": "3"}, TypeError, "folds of cross_validate must be an integer at least 2"),
    (cross_validate, {"folds": 1}, ValueError, "folds of cross_validate"),
    (
        cross_validate,
        {"folds": 7},
        ValueError,
        r"folds must be at most the number of samples with weight \(6\)",
    ),
    (cross_validate, {"seed": "a"}, TypeError, "seed of cross_validate"),
    (cross_validate, {"lams": []}, ValueError, "lams is empty"),
]


@pytest.mark.parametrize(("solver", "changed", "error", "words"), FAULTS)
def test_a_fault_gets_a_sentence(solver, changed, error, words):
    with pytest.raises(error, match=words):
        solver(PROBLEM, **changed)


@pytest.mark.parametrize("solver", [majorize_minimize, path, cross_validate])
def test_what_is_no_problem(solver):
    with pytest.raises(TypeError, match="solves a MaskProblem or a RegressionProblem; got ndarray"):
        solver(np.eye(3))


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"gap": "a"}, ValueError, "gap must be a number, not negative"),
        ({"gap": -1.0}, ValueError, "gap must be a number, not negative"),
        ({"start": np.ones(2)}, ValueError, "start must be a vector of numbers"),
        ({"linear": np.full(3, np.nan)}, ValueError, "linear contains NaN"),
        ({"weights": "abc"}, TypeError, "weights has dtype"),
    ],
)
def test_faults_of_a_convex_step(changed, error, words):
    given = {"weights": np.ones(3), **changed}
    with pytest.raises(error, match=words):
        ConvexStep(PROBLEM).compute(**given)


def test_folds_need_samples_with_weight():
    problem = RegressionProblem(np.eye(6)[:, :3], np.arange(6.0), sample_weight=np.eye(6)[2])
    with pytest.raises(ValueError, match=r"folds must be at most the number of samples with weight .1."):
        cross_validate(problem, folds=6, n_lams=3)
