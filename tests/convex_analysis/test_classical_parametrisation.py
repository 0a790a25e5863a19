"""MCP and SCAD as ncvreg states them: (1/2n) ||y - X b||^2 + sum p(|b|; lam, gamma)."""

import numpy as np
import pytest

from concave_sparsity import MCP, SCAD, Log
from convex_analysis import RegressionProblem, majorize_minimize, path

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 40))
X = (X - X.mean(0)) / X.std(0)  # ncvreg standardises
Y = X[:, :4] @ np.array([2.0, -1.0, 1.0, 0.5]) + 0.5 * RNG.standard_normal(60)
Y -= Y.mean()
LAM = 0.15


def mcp(t, lam, gamma):
    """Zhang (2010): value and slope at t >= 0."""
    inside = t <= gamma * lam
    value = np.where(inside, lam * t - t**2 / (2 * gamma), gamma * lam**2 / 2)
    return value, np.where(inside, lam - t / gamma, 0.0)


def scad(t, lam, gamma):
    """Fan and Li (2001): value and slope at t >= 0."""
    middle = (2 * gamma * lam * t - t**2 - lam**2) / (2 * (gamma - 1))
    value = np.where(t <= lam, lam * t, np.where(t <= gamma * lam, middle, lam**2 * (gamma + 1) / 2))
    slope = np.where(t <= lam, lam, np.maximum(gamma * lam - t, 0.0) / (gamma - 1))
    return value, slope


CASES = [
    (mcp, MCP.classical, 3.0),
    (mcp, MCP.classical, 1.5),
    (scad, SCAD.classical, 3.7),
    (scad, SCAD.classical, 2.5),
]


@pytest.mark.parametrize(("formula", "classical", "gamma"), CASES)
def test_objective_and_stationarity_in_their_parametrisation(formula, classical, gamma):
    problem = RegressionProblem(X, Y, penalty=classical(LAM, gamma), lam=1.0)
    found = majorize_minimize(problem)
    value, slope = formula(np.abs(found.x), LAM, gamma)
    residual = Y - X @ found.x
    assert found.objective == pytest.approx(residual @ residual / (2 * Y.size) + value.sum(), rel=1e-12)
    # ncvreg's conditions: x_j'r/n = p'(|b_j|) sign(b_j) on the support, |x_j'r/n| <= lam off it.
    correlation = X.T @ residual / Y.size
    support = found.x != 0
    assert 0 < support.sum() < 40
    np.testing.assert_allclose(correlation[support], (np.sign(found.x) * slope)[support], atol=1e-6 * LAM)
    assert (np.abs(correlation[~support]) <= LAM * (1 + 1e-6)).all()


@pytest.mark.parametrize(("formula", "classical", "gamma"), CASES)
def test_not_above_coordinate_descent_along_their_path(formula, classical, gamma):
    """ncvreg's algorithm in ten lines: closed-form updates, warm starts from lam_max down."""
    correlation = np.abs(X.T @ Y).max() / Y.size
    b, r = np.zeros(40), Y.copy()
    grid = np.geomspace(correlation, LAM, 20)
    for lam in grid:
        for _ in range(500):
            largest = 0.0
            for j in range(40):
                z = X[:, j] @ r / Y.size + b[j]
                soft = np.sign(z) * max(abs(z) - lam, 0.0)
                if formula is mcp:
                    new = soft / (1 - 1 / gamma) if abs(z) <= gamma * lam else z
                elif abs(z) <= 2 * lam:
                    new = soft
                elif abs(z) <= gamma * lam:
                    shrunk = np.sign(z) * max(abs(z) - gamma * lam / (gamma - 1), 0.0)
                    new = shrunk / (1 - 1 / (gamma - 1))
                else:
                    new = z
                r += X[:, j] * (b[j] - new)
                largest = max(largest, abs(b[j] - new))
                b[j] = new
            if largest < 1e-10:
                break
    theirs = r @ r / (2 * Y.size) + formula(np.abs(b), LAM, gamma)[0].sum()
    problem = RegressionProblem(X, Y, lam=1.0)
    ours = path(problem.with_penalty(classical(LAM, gamma)), [1.0], start="multi")[0]
    assert ours.objective <= theirs * (1 + 1e-9)


def test_the_prox_where_the_step_exceeds_gamma():
    """It is 1.5; a formula for steps below gamma alone gives 0, which is worse."""
    penalty = MCP.classical(1.0, 1.0)
    assert penalty.prox(1.5, 2.0) == 1.5
    values = [0.5 * (t - 1.5) ** 2 + 2.0 * penalty.value(t) for t in (1.5, 0.0)]
    assert values[0] < values[1]


@pytest.mark.parametrize("eps", [1e-1, 1e-3, 1e-6])
def test_a_reweighted_log_sum_does_not_diverge(eps):
    """The slope is taken of |x|: with that of x, negative entries had negative weights and ran away."""
    problem = RegressionProblem(X, Y, penalty=Log(eps), lam=0.3)
    found = majorize_minimize(problem, "l1")
    assert found.converged
    assert (found.x < 0).any()
    assert (problem.weights(found.x) >= 0).all()
    assert np.abs(found.x).max() <= 2.5
    assert found.objectives[-1] <= found.objectives[0]
