"""First-order conditions exclude points, never a global minimiser."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from concave_sparsity import L1, MCP, SCAD, CappedL1, Exponential, Log, Lq
from convex_analysis import RegressionProblem
from convex_analysis.branch_and_bound.envelope import envelope
from convex_analysis.branch_and_bound.exclusion import exclude_nonstationary, holes, leave_holes
from convex_analysis.branch_and_bound.loss_relaxation import LossRelaxation
from convex_analysis.branch_and_bound.quadratic_relaxation import QuadraticRelaxation


def exclude(problem, relaxation, lower, upper, cutoff):
    d = problem.n_features
    curvature = relaxation.curvature(np.ones(d, dtype=bool))
    minorant = envelope(
        problem.penalty, relaxation.scale, lower, upper, np.broadcast_to(curvature.spare, lower.shape)
    )
    start = np.clip(0.0, lower, upper)
    bounds = relaxation.solve(minorant, lower, upper, start, cutoff, np.full(len(lower), 1e-6))
    low, high = lower.copy(), upper.copy()
    reach = np.broadcast_to(curvature.reach, lower.shape)
    exclude_nonstationary(
        reach, relaxation, problem.penalty, bounds, cutoff, (problem.lower, problem.upper), low, high
    )
    return low, high, bounds


@given(
    seed=st.integers(0, 10**6),
    penalty=st.sampled_from([Log(0.1), Lq(0.5), MCP(0.4), SCAD(3.7, 0.2), CappedL1(0.4)]),
    lam=st.sampled_from([0.01, 0.1, 1.0]),
    loss=st.sampled_from(["linear", "logistic", "huber"]),
)
@settings(max_examples=60)
def test_the_best_point_of_a_fine_grid_is_kept(seed, penalty, lam, loss):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((6, 2))
    y = rng.choice([-1.0, 1.0], 6) if loss == "logistic" else rng.standard_normal(6)
    lower = rng.choice([-1.0, 0.0, 0.2], 2)
    problem = RegressionProblem(X, y, loss=loss, penalty=penalty, lam=lam, lower=lower, upper=1.0)
    axes = [np.union1d(np.linspace(a, 1.0, 201), [0.0, 0.4]) for a in lower]
    axes = [axis[axis >= a] for axis, a in zip(axes, lower)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    values = problem.loss.value(grid @ X.T, problem.y).mean(axis=1)
    values = values + lam * penalty.value(np.abs(grid)).sum(axis=1)
    best = values.argmin()
    kind = QuadraticRelaxation if loss == "linear" else LossRelaxation
    relaxation = kind(problem, np.arange(2), np.zeros(2))
    # Boxes around the minimiser, from the whole down to a small one.
    for width in (3.0, 0.5, 0.1):
        low = np.maximum(lower, grid[best] - width * rng.random(2))[None]
        high = np.minimum(1.0, grid[best] + width * rng.random(2))[None]
        after_low, after_high, bounds = exclude(problem, relaxation, low, high, values[best] + 1e-3)
        assert bounds.bound[0] <= values[best] + 1e-12
        # The true minimiser lies within a grid step of the best grid point.
        if ((low < grid[best] - 0.01) | (low == lower)).all() and (
            (high > grid[best] + 0.01) | (high == 1.0)
        ).all():
            assert (after_low[0] <= grid[best] + 0.01).all()
            assert (after_high[0] >= grid[best] - 0.01).all()


def test_a_node_without_stationary_point_is_emptied_and_a_useless_feature_is_set_to_zero():
    X = np.eye(2) * np.sqrt(2.0)
    problem = RegressionProblem(
        X, np.array([np.sqrt(2.0), 0.0]), penalty=Log(0.1), lam=0.05, lower=-1.0, upper=1.0
    )
    relaxation = QuadraticRelaxation(problem, np.arange(2), np.zeros(2))
    # Near zero the first feature pays to grow; the second pays nowhere.
    lower, upper = np.array([[0.3, -0.01]]), np.array([[0.5, 0.01]])
    low, high, _ = exclude(problem, relaxation, lower, upper, cutoff=0.165)
    assert low[0, 0] > high[0, 0]
    assert low[0, 1] == high[0, 1] == 0.0


@given(
    seed=st.integers(0, 10**6),
    penalty=st.sampled_from(
        [L1(), Log(0.1), Lq(0.5), MCP(0.4), SCAD(3.7, 0.2), CappedL1(0.4), Exponential(0.1)]
    ),
    scale=st.sampled_from([0.01, 0.1, 1.0]),
)
@settings(max_examples=100)
def test_no_minimiser_along_a_coordinate_lies_in_a_hole(seed, penalty, scale):
    rng = np.random.default_rng(seed)
    bend, lower, upper = 10.0 ** rng.uniform(-1, 1), float(rng.choice([0.0, 0.1])), rng.uniform(0.2, 3.0)
    ends = np.array([lower]), np.array([upper])
    near, far = holes(penalty, np.array([scale]), np.array([bend]), *ends)
    assert lower <= near[0] <= far[0] <= upper
    targets = rng.uniform(-1.0, 4.0, 500)
    found = penalty.prox(targets, scale / bend, lower, upper)
    assert not ((found > near[0] + 1e-9) & (found < far[0] - 1e-9)).any()


def test_holes_are_as_wide_as_the_penalty_jumps():
    one = np.ones(1)
    near, far = holes(CappedL1(0.4), 0.14 * one, one, 0.0 * one, 3.0 * one)
    np.testing.assert_allclose([near[0], far[0]], [0.4 - 0.175, 0.4 + 0.175], atol=1e-2)
    near, far = holes(L1(), one, one, 0.0 * one, one)
    assert near[0] == far[0]
    near, far = holes(Log(0.1), 0.1 * one, one, 0.0 * one, 3.0 * one)
    jump = Log(0.1).prox(np.linspace(0.3, 0.5, 4001), 0.1)
    assert near[0] == 0.0
    assert 0.95 * jump[jump > 0][0] <= far[0] <= jump[jump > 0][0] + 1e-9


def test_boxes_leave_holes_on_both_sides():
    right, left = (np.array([0.2]), np.array([0.5])), (np.array([0.0]), np.array([0.3]))
    lower, upper = np.array([[-1.0], [0.3], [-0.2], [0.3]]), np.array([[0.4], [0.9], [0.1], [0.4]])
    leave_holes(right, left, lower, upper)
    np.testing.assert_array_equal(lower.ravel(), [-1.0, 0.5, 0.0, 0.5])
    np.testing.assert_array_equal(upper.ravel(), [0.2, 0.9, 0.1, 0.2])  # the last box is empty
