"""`global_minimum` with groups: against closed forms, enumeration, the search on boxes, every point tried."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from concave_sparsity import L1, MCP, SCAD, CappedL1, Log, Lq
from convex_analysis import ConvexStep, RegressionProblem, global_minimum, majorize_minimize

PENALTIES = [L1(), Log(0.1), Lq(0.5), MCP(1.5), MCP(0.3), SCAD(3.7, 0.2), CappedL1(0.4)]


def grouped(seed, n=12, sizes=(2, 1, 3, 2), loss="linear", **parts):
    """Correlated columns, two groups that matter, noise; targets as the loss wants them."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(len(sizes)), sizes)
    X = rng.standard_normal((n, groups.size)) + 0.5 * rng.standard_normal((n, 1))
    z = X @ (rng.standard_normal(groups.size) * np.isin(groups, [0, 2])) + 0.5 * rng.standard_normal(n)
    y = {
        "logistic": np.where(z + 2.0 * rng.standard_normal(n) > 0, 1.0, -1.0),
        "poisson": np.round(np.exp(np.clip(0.4 * z, -3, 3))),
    }.get(loss, z)
    return RegressionProblem(X, y, loss=loss, groups=groups, **parts)


@given(seed=st.integers(0, 10**6), penalty=st.sampled_from(PENALTIES), lam=st.sampled_from([0.01, 0.1, 1.0]))
@settings(max_examples=12)
def test_groups_of_orthonormal_columns_are_proximal_steps(seed, penalty, lam):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 4, 4)
    groups = np.repeat(np.arange(4), sizes)
    X = np.sqrt(groups.size + 3) * np.linalg.qr(rng.standard_normal((groups.size + 3, groups.size)))[0]
    y = X @ rng.standard_normal(groups.size) + rng.standard_normal(groups.size + 3)
    problem = RegressionProblem(X, y, penalty=penalty, lam=lam, groups=groups)
    z = X.T @ y / len(y)
    length = np.sqrt(np.bincount(groups, z * z))
    kept = penalty.prox(length, lam * np.sqrt(sizes)) / length
    best = problem.objective(kept[groups] * z)
    solution = global_minimum(problem, gap=1e-4, max_nodes=5000)
    assert solution.status == "optimal", solution.message
    assert solution.lower_bound <= best + 1e-12
    assert solution.objective <= best + 1e-4


@pytest.mark.parametrize("loss", ["linear", "logistic", "poisson"])
def test_capped_groups_by_enumeration_of_convex_problems(loss):
    cap = 0.4
    problem = grouped(3, loss=loss, penalty=CappedL1(cap), lam=0.06, ridge=0.05, fit_intercept=True)
    scale = problem.lam * problem.penalty_factor
    best, solver = np.inf, ConvexStep(problem)
    # min(t / cap, 1) is the smaller of two, whatever t: a group lasso for each choice of them.
    for beyond in itertools.product([False, True], repeat=4):
        flat = np.array(beyond)[problem.group]
        step = solver.compute(np.where(flat, 0.0, scale / cap), gap=1e-9)
        best = min(best, step.value + sum(scale[problem.group == g][0] for g in range(4) if beyond[g]))
    solution = global_minimum(problem)
    assert solution.status == "optimal"
    assert solution.objective == pytest.approx(best, abs=2e-6)
    assert solution.lower_bound <= best + 1e-9


@pytest.mark.parametrize("penalty", [Log(0.1), MCP(1.5), CappedL1(0.4)], ids=repr)
def test_groups_of_one_are_the_search_on_a_box(penalty):
    rng = np.random.default_rng(5)
    X = rng.standard_normal((9, 6)) + 0.5 * rng.standard_normal((9, 1))
    y = X @ np.array([1.0, 0.0, 0.0, -1.5, 0.0, 0.4]) + 0.3 * rng.standard_normal(9)
    parts = {"penalty": penalty, "lam": 0.1, "penalty_factor": [1.0, 2.0, 1.0, 1.0, 0.0, 1.0]}
    one = global_minimum(RegressionProblem(X, y, groups=np.arange(6), **parts), gap=1e-5)
    other = global_minimum(RegressionProblem(X, y, lower=-9.0, upper=9.0, **parts), gap=1e-5)
    assert one.status == other.status == "optimal"
    assert one.objective == pytest.approx(other.objective, abs=2e-5)
    assert one.lower_bound <= other.objective
    assert other.lower_bound <= one.objective


@given(
    seed=st.integers(0, 10**6),
    penalty=st.sampled_from(PENALTIES),
    loss=st.sampled_from(["linear", "linear", "huber", "logistic", "poisson"]),
    n=st.sampled_from([6, 20]),
    max_nodes=st.sampled_from([1, 3, 30, 100]),
    intercept=st.booleans(),
)
@settings(max_examples=20)
@pytest.mark.filterwarnings("ignore::convex_analysis.ConvergenceWarning")
def test_no_point_is_below_the_bound_however_early_the_search_stops(
    seed, penalty, loss, n, max_nodes, intercept
):
    rng = np.random.default_rng(seed)
    problem = grouped(
        seed, n, loss=loss, penalty=penalty, lam=0.05, ridge=rng.choice([0.0, 0.1]), fit_intercept=intercept,
        offset=rng.standard_normal(n) if seed % 3 == 0 else None,
        penalty_factor=[1.0, np.inf if seed % 5 == 0 else 1.0, 2.0, 0.0 if seed % 7 == 0 else 1.0],
    )  # fmt: skip
    solution = global_minimum(problem, gap=1e-5, max_nodes=max_nodes)
    assert solution.n_nodes <= max_nodes
    assert solution.objective == problem.objective(solution.x, solution.intercept)
    assert (solution.status == "optimal") == (solution.gap <= 1e-5)
    assert not solution.x[problem.lower == problem.upper].any()
    for _ in range(20):
        x = rng.standard_normal(8) * rng.choice([0.0, 1.0], 4)[problem.group]
        x[problem.lower == problem.upper] = 0.0
        x = x if rng.random() < 0.7 else majorize_minimize(problem, x, tol=1e-4, max_iter=30).x
        assert problem.objective(x, problem.best_intercept(x)) >= solution.lower_bound - 1e-12


def test_the_search_is_the_same_to_the_bit_and_ends_at_its_limits():
    problem = grouped(1, 15, (3, 2, 4, 1, 2, 3), penalty=Log(0.1), lam=0.05)
    first, second = global_minimum(problem, max_nodes=60), global_minimum(problem, max_nodes=60)
    assert first.x.tobytes() == second.x.tobytes()
    assert (first.lower_bound, first.n_nodes) == (second.lower_bound, second.n_nodes)
    bounds = [global_minimum(problem, max_nodes=nodes).lower_bound for nodes in (1, 8, 60)]
    assert bounds == sorted(bounds)
    assert global_minimum(problem, time_limit=1e-9).n_nodes == 1
