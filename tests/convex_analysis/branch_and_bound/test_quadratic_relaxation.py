"""What the quadratic relaxation says of the data fit's curvature holds along every direction."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from concave_sparsity import Log
from convex_analysis import RegressionProblem
from convex_analysis.branch_and_bound.loss_relaxation import LossRelaxation
from convex_analysis.branch_and_bound.quadratic_relaxation import QuadraticRelaxation


@given(
    seed=st.integers(0, 10**6),
    n=st.integers(2, 12),
    fit_intercept=st.booleans(),
    kind=st.sampled_from(["normal", "integer", "duplicated", "scaled"]),
)
def test_spare_curvature_stiffness_and_reach_hold_along_random_directions(seed, n, fit_intercept, kind):
    rng = np.random.default_rng(seed)
    d = 6
    X = rng.standard_normal((n, d))
    if kind == "integer":
        X = rng.integers(-1, 2, (n, d)).astype(float)
    elif kind == "duplicated":
        X[:, 3] = X[:, 0]
    elif kind == "scaled":
        X = X * 10.0 ** rng.integers(-4, 5, d)
    y = rng.standard_normal(n)
    problem = RegressionProblem(
        X, y, penalty=Log(0.1), lam=0.1, lower=-1.0, upper=1.0, fit_intercept=fit_intercept
    )
    relaxation = QuadraticRelaxation(problem, np.arange(d), np.zeros(d))
    free = rng.random(d) < 0.7
    curvature = relaxation.curvature(free)
    assert curvature.n_free == free.sum()
    for h in rng.standard_normal((30, d)) * free:
        z = X @ h
        z = z - z.mean() if fit_intercept else z
        size = 1e-12 * float(z @ z) / n
        rest = float(z @ z) / n - float(curvature.spare @ h**2)
        assert rest >= -size
        # The rest, (G - spare), is what bounds both the coordinates and the gradient.
        assert (curvature.stiffness * h**2 <= rest + size).all()
        change = X.T @ z / n
        assert (np.abs(change) <= curvature.reach * np.sqrt(0.5 * max(rest, 0.0)) * (1 + 1e-6) + 1e-9)[
            free
        ].all()


@given(seed=st.integers(0, 10**6), loss=st.sampled_from(["logistic", "huber", "linear"]))
def test_the_reach_of_any_loss_bounds_the_change_of_the_gradient(seed, loss):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((9, 4))
    y = rng.choice([-1.0, 1.0], 9) if loss == "logistic" else 2.0 * rng.standard_normal(9)
    weight = rng.uniform(0.1, 2.0, 9)
    problem = RegressionProblem(
        X, y, loss=loss, penalty=Log(0.1), lower=-3.0, upper=3.0, sample_weight=weight
    )
    reach = LossRelaxation(problem, np.arange(4), np.zeros(4)).curvature(np.ones(4, dtype=bool)).reach
    for a, b in rng.uniform(-3, 3, (30, 2, 4)):
        slope, other = problem.gradient(a), problem.gradient(b)
        excess = max(problem.data_fit(b) - problem.data_fit(a) - float(slope @ (b - a)), 0.0)
        assert (np.abs(other - slope) <= reach * np.sqrt(excess) + 1e-9).all()


def test_fixed_coordinates_count_as_data_and_penalty():
    rng = np.random.default_rng(4)
    X, y = rng.standard_normal((8, 5)), rng.standard_normal(8)
    problem = RegressionProblem(X, y, penalty=Log(0.1), lam=0.1, lower=-1.0, upper=1.0, fit_intercept=True)
    fixed = np.array([0.4, 9.0, -0.3, 9.0, 0.0])
    free = np.array([1, 3])
    relaxation = QuadraticRelaxation(problem, free, fixed)
    point = rng.uniform(-1, 1, 2)
    whole = fixed.copy()
    whole[free] = point
    intercept = float((y - X @ whole).mean())
    residual = relaxation.factor @ point - relaxation.target
    value = relaxation.base + 0.5 * residual @ residual
    value += problem.lam * float(problem.penalty.value(np.abs(point)).sum())
    assert abs(value - problem.objective(whole, intercept)) <= 1e-12
