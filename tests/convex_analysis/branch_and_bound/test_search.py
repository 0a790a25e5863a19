"""`global_minimum` against brute force, its bound against every point, its limits and its refusals."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from concave_sparsity import L1, MCP, SCAD, Arctan, CappedL1, Exponential, Fraction, Log, Lq
from convex_analysis import (
    MaskProblem,
    RegressionProblem,
    global_minimum,
    majorize_minimize,
    reference,
    steering,
)
from convex_analysis.branch_and_bound import GlobalStatus
from convex_analysis.branch_and_bound.box_search import Search

PENALTIES = [
    L1(),
    Log(0.1),
    Log(0.01),
    Lq(0.5),
    MCP(1.0),
    MCP(0.3),
    SCAD(3.7, 0.2),
    CappedL1(0.4),
    Exponential(0.1),
    Arctan(0.3),
    Fraction(0.1),
]


def mask_problem(d, n, k, noise=0.1, seed=0, rho=0.5, **options):
    """Correlated Gaussian design, binary target with k ones."""
    rng = np.random.default_rng(seed)
    covariance = rho ** np.abs(np.subtract.outer(np.arange(d), np.arange(d)))
    X = rng.standard_normal((n, d)) @ np.linalg.cholesky(covariance).T
    mask = np.zeros(d)
    mask[rng.choice(d, k, replace=False)] = 1.0
    y = X @ mask + noise * rng.standard_normal(n)
    return MaskProblem(X, y, penalty=options.pop("penalty", Log(0.1)), **options), mask


def brute_force(problem, penalty):
    """Best point of a dense grid, and of majorize-minimize from its three best points."""
    axes = []
    steps = {1: 4001, 2: 151, 3: 41}[problem.n_features]
    for a, b in zip(problem.lower, problem.upper):
        axis = np.linspace(a, b, steps)
        axes.append(np.union1d(axis, [0.0]) if a < 0 < b else axis)
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
    z = grid @ problem.X.T
    if problem.fit_intercept:
        z = z + (problem.y - z).mean(axis=1, keepdims=True)
    values = problem.loss.value(z, problem.y).mean(axis=1)
    values += problem.lam * (penalty.value(np.abs(grid)) * problem.penalty_factor).sum(axis=1)
    best = values.min()
    for i in np.argsort(values, kind="stable")[:3]:
        best = min(best, majorize_minimize(problem, grid[i], tol=1e-6).objective)
    return best


@given(
    seed=st.integers(0, 10**6),
    penalty=st.sampled_from(PENALTIES),
    loss=st.sampled_from(["linear", "linear", "logistic", "huber"]),
    lam=st.sampled_from([0.003, 0.03, 0.3, 3.0]),
)
@settings(max_examples=80)
@pytest.mark.filterwarnings("ignore::convex_analysis.ConvergenceWarning")
def test_brute_force_finds_nothing_better(seed, penalty, loss, lam):
    rng = np.random.default_rng(seed)
    d, n = int(rng.integers(1, 4)), int(rng.integers(1, 8))
    X = rng.standard_normal((n, d)) if rng.random() < 0.7 else rng.integers(-1, 2, (n, d)).astype(float)
    y = rng.choice([-1.0, 1.0], n) if loss == "logistic" else 2.0 * rng.standard_normal(n)
    lower = np.where(rng.random(d) < 0.5, -rng.uniform(0, 2, d), rng.uniform(0, 0.3, d))
    problem = RegressionProblem(
        X,
        y,
        loss=loss,
        penalty=penalty,
        lam=lam,
        lower=lower,
        upper=np.maximum(lower, 0.0) + rng.uniform(0, 2, d),
        penalty_factor=np.where(rng.random(d) < 0.2, 0.0, rng.uniform(0.5, 2.0, d)),
        fit_intercept=loss == "linear" and rng.random() < 0.3,
    )
    solution = global_minimum(problem, max_nodes=20_000)
    best = brute_force(problem, penalty)
    assert solution.status == "optimal", solution.message
    assert solution.lower_bound <= best + 1e-12
    assert solution.objective <= best + 1e-6
    assert solution.gap == max(solution.objective - solution.lower_bound, 0.0) <= 1e-6


def test_a_concave_objective_has_its_minimum_at_a_vertex():
    rng = np.random.default_rng(3)
    X, y = 0.5 * rng.standard_normal((20, 9)), rng.standard_normal(20)
    # MCP(1) is 2t - t^2: with 2 lam above the largest eigenvalue, the objective is concave on the box.
    lam = 0.55 * float(np.linalg.eigvalsh(X.T @ X / 20)[-1])
    problem = MaskProblem(X, y, penalty=MCP(1.0), lam=0.01)
    problem = problem.with_lam(lam)
    best = min(problem.objective(np.array(v)) for v in itertools.product([0.0, 1.0], repeat=9))
    solution = global_minimum(problem)
    assert solution.lower_bound <= best <= solution.objective + 1e-9
    assert solution.objective <= best + 1e-6


@pytest.mark.parametrize(("loss", "signed"), [("linear", False), ("linear", True), ("logistic", False)])
def test_capped_l1_by_enumeration_of_its_convex_pieces(loss, signed):
    rng = np.random.default_rng(5)
    d, cap, lam = 4, 0.3, 0.05
    X = rng.standard_normal((12, d))
    y = X @ np.array([1.0, 0.0, 0.25, -0.6]) + 0.3 * rng.standard_normal(12)
    y = np.where(y > 0, 1.0, -1.0) if loss == "logistic" else y
    low = -1.0 if signed else 0.0
    problem = RegressionProblem(X, y, loss=loss, penalty=CappedL1(cap), lam=lam, lower=low, upper=1.0)
    # Up to the cap the penalty is |x| / cap, beyond it is constant: a convex problem a piece.
    pieces = [(max(low, -cap), cap, 1.0 / cap), (cap, 1.0, 0.0)] + ([(low, -cap, 0.0)] if signed else [])
    best = np.inf
    for choice in itertools.product(pieces, repeat=d):
        lower, upper, slope = (np.array(part) for part in zip(*choice))
        piece = reference.convex_step(problem.with_bounds(lower, upper), lam * slope, tolerance=1e-9)
        best = min(best, piece.value + lam * np.count_nonzero(slope == 0.0))
    solution = global_minimum(problem)
    assert solution.status == "optimal"
    assert abs(solution.objective - best) <= 2e-6
    assert solution.lower_bound <= best + 1e-8


@given(
    seed=st.integers(0, 10**6),
    penalty=st.sampled_from(PENALTIES),
    shape=st.sampled_from([(30, 12), (8, 12), (25, 20)]),
    max_nodes=st.sampled_from([1, 2, 5, 30]),
    kind=st.sampled_from(["mask", "signed", "logistic"]),
)
@settings(max_examples=60)
def test_the_bound_holds_at_every_point_however_early_the_search_stops(seed, penalty, shape, max_nodes, kind):
    rng = np.random.default_rng(seed)
    n, d = shape
    X = rng.standard_normal((n, d)) + rng.standard_normal((n, 1))
    truth = rng.integers(0, 2, d) * rng.uniform(0.2, 1.0, d)
    lower, upper = (-1.0, 1.5) if kind == "signed" else (0.0, 1.0)
    truth = truth * rng.choice([-1.0, 1.0], d) if kind == "signed" else truth
    y = X @ truth + 0.5 * rng.standard_normal(n)
    loss = "logistic" if kind == "logistic" else "linear"
    y = np.where(y > 0, 1.0, -1.0) if loss == "logistic" else y
    problem = RegressionProblem(X, y, loss=loss, penalty=penalty, lam=0.05, lower=lower, upper=upper)
    solution = global_minimum(problem, max_nodes=max_nodes)
    assert solution.n_nodes <= max_nodes
    assert solution.objective == problem.objective(solution.x, solution.intercept)
    assert (solution.status == "optimal") == (solution.gap <= 1e-6)
    points = [*rng.uniform(lower, upper, (20, d)), *rng.choice([lower, 0.0, upper], (20, d)), truth]
    points += [majorize_minimize(problem, rng.uniform(lower, upper, d), tol=1e-5).x for _ in range(3)]
    assert all(solution.lower_bound <= problem.objective(x) for x in points)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_sixty_features_at_a_lam_where_the_l1_bound_says_something(rho):
    problem, mask = mask_problem(60, 120, 10, noise=0.0, rho=rho, lam=0.1)
    mu = float(np.linalg.eigvalsh(problem.X.T @ problem.X / 120)[0])
    solution = global_minimum(problem.with_lam(0.45 * mu))
    assert solution.status is GlobalStatus.OPTIMAL
    assert solution.gap <= 1e-6
    assert np.array_equal(solution.x > 0.5, mask > 0.5)


def test_harder_problems_agree_with_a_search_that_shares_no_shortcut():
    """Without lent curvature, tightening and first-order conditions: the plain chord of T1."""
    from importlib import import_module

    module = import_module("convex_analysis.branch_and_bound.box_search")
    for seed, penalty in ((0, Log(0.1)), (1, MCP(0.5)), (2, Lq(0.5))):
        problem, _ = mask_problem(12, 14, 4, noise=0.5, seed=seed, rho=0.7, penalty=penalty, lam=0.05)
        quick = global_minimum(problem, gap=1e-5)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "tighten", lambda *arguments: None)
            patch.setattr(module, "exclude_nonstationary", lambda *arguments: None)
            patch.setattr(module, "holes", lambda penalty, scale, bend, lower, upper: (lower, lower))
            curvature = import_module("convex_analysis.branch_and_bound.relaxation").Curvature
            kind = import_module("convex_analysis.branch_and_bound.quadratic_relaxation").QuadraticRelaxation
            patch.setattr(kind, "curvature", lambda self, free, new=curvature: new(*np.zeros((3, 12)), 0))
            slow = global_minimum(problem, gap=1e-5)
        assert quick.status == slow.status == "optimal"
        assert slow.n_nodes > quick.n_nodes
        assert slow.lower_bound <= quick.objective + 1e-12
        assert quick.lower_bound <= slow.objective + 1e-12


def test_the_intercept_of_a_logistic_problem_is_minimised_too():
    rng = np.random.default_rng(2)
    X = rng.standard_normal((40, 5))
    y = np.where(X[:, 0] - 1.0 + 0.5 * rng.standard_normal(40) > 0, 1.0, -1.0)
    problem = RegressionProblem(
        X, y, loss="logistic", penalty=Log(0.1), lam=0.03, lower=-2.0, upper=2.0, fit_intercept=True
    )
    solution = global_minimum(problem)
    assert solution.status == "optimal"
    assert solution.intercept < -0.1
    for x in rng.uniform(-2, 2, (200, 5)) * rng.integers(0, 2, (200, 5)):
        for intercept in rng.normal(solution.intercept, 0.5, 3):
            assert solution.lower_bound <= problem.objective(x, intercept)


def test_sparse_single_precision_and_weighted_data_give_the_same_minimum():
    problem, _ = mask_problem(15, 25, 4, noise=0.3, lam=0.03)
    X = np.round(problem.X * 8) / 8  # exact in single precision
    weight = np.ones(25)
    weight[:5] = 2.0
    doubled = MaskProblem(
        np.vstack([X, X[:5]]), np.append(problem.y, problem.y[:5]), penalty=Log(0.1), lam=0.03
    )
    expected = global_minimum(doubled).objective
    for form in (X, sparse.csc_array(X), X.astype(np.float32)):
        weighted = MaskProblem(form, problem.y, penalty=Log(0.1), lam=0.03, sample_weight=weight)
        assert abs(global_minimum(weighted).objective - expected) <= 1e-6


def test_more_features_than_a_gram_matrix_is_formed_for(monkeypatch):
    problem, _ = mask_problem(40, 30, 4, noise=0.2, lam=0.05)
    expected = global_minimum(problem)
    monkeypatch.setattr(steering, "LARGEST_GRAM", 20)
    solution = global_minimum(problem)
    assert solution.status == "optimal"
    assert abs(solution.objective - expected.objective) <= 1e-6


@pytest.mark.parametrize("loss", ["linear", "logistic"])
def test_the_same_call_gives_the_same_result_to_the_bit(loss):
    problem, _ = mask_problem(30, 40, 6, noise=0.5, rho=0.8, lam=0.02)
    if loss == "logistic":
        y = np.where(problem.y > np.median(problem.y), 1.0, -1.0)
        problem = MaskProblem(problem.X, y, loss="logistic", penalty=Log(0.1), lam=0.02)
    first, second = global_minimum(problem, max_nodes=300), global_minimum(problem, max_nodes=300)
    assert first.x.tobytes() == second.x.tobytes()
    assert (first.objective, first.lower_bound, first.n_nodes) == (
        second.objective,
        second.lower_bound,
        second.n_nodes,
    )


def test_limits_end_the_search_with_an_honest_gap():
    problem, _ = mask_problem(80, 90, 12, noise=0.7, rho=0.9, lam=0.01)
    bounds = []
    for max_nodes in (1, 10, 100):
        solution = global_minimum(problem, max_nodes=max_nodes)
        assert solution.status == "limit"
        assert solution.n_nodes <= max_nodes
        assert solution.gap > 1e-6
        assert "asked 1e-06" in solution.message
        bounds.append(solution.lower_bound)
    assert bounds == sorted(bounds)
    timed = global_minimum(problem, time_limit=1e-9)
    assert timed.status == "limit"
    assert timed.n_nodes <= 5
    assert timed.lower_bound <= solution.objective


def test_an_unattainable_gap_is_reported_not_pretended():
    problem, _ = mask_problem(10, 20, 3, lam=0.02)
    solution = global_minimum(problem, gap=1e-18, max_nodes=2000)
    assert solution.gap < 1e-10
    assert (solution.status == "optimal") == (solution.gap <= 1e-18)


def test_a_box_that_is_a_point_and_lam_zero():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((6, 3)), rng.standard_normal(6)
    point = np.array([0.5, -0.2, 0.0])
    problem = RegressionProblem(X, y, penalty=Log(0.1), lam=0.1, lower=point, upper=point)
    solution = global_minimum(problem)
    assert solution.status == "optimal"
    np.testing.assert_array_equal(solution.x, point)
    free = RegressionProblem(X, y, penalty=Log(0.1), lam=0.0, lower=-9.0, upper=9.0)
    solution = global_minimum(free)
    assert solution.status == "optimal"
    np.testing.assert_allclose(solution.x, np.linalg.lstsq(X, y, rcond=None)[0], atol=1e-3)
    assert solution.gap <= 1e-6


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"gap": 0.0}, "gap must be a positive finite number"),
        ({"gap": np.nan}, "gap must be a positive finite number"),
        ({"max_nodes": 0}, "max_nodes must be at least 1"),
        ({"time_limit": 0.0}, "time_limit must be a positive number"),
    ],
)
def test_bad_arguments_are_refused_with_a_sentence(arguments, words):
    problem, _ = mask_problem(3, 5, 1)
    with pytest.raises(ValueError, match=words):
        global_minimum(problem, **arguments)


def test_an_infinite_box_is_refused_with_the_feature_and_the_remedy():
    X, y = np.eye(3), np.ones(3)
    problem = RegressionProblem(X, y, penalty=Log(0.1), lower=0.0, upper=[1.0, np.inf, 1.0])
    with pytest.raises(ValueError, match=r"feature 1 lies in \[0, inf\]: give the problem finite"):
        global_minimum(problem)


def test_the_progress_line_names_the_gap(capsys):
    problem, _ = mask_problem(20, 25, 4, noise=0.5, rho=0.8, lam=0.02)
    solution = global_minimum(problem, progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "gap" in shown.err
    assert f"{solution.n_nodes} nodes" in " ".join(shown.err.split())


def test_where_the_infimum_is_not_attained_the_bound_is_finite_all_the_same():
    # All labels are equal and the intercept is free: the loss tends to zero and never gets there.
    rng = np.random.default_rng(0)
    X = rng.integers(-3, 4, (7, 2)).astype(float)
    problem = MaskProblem(X, np.ones(7), loss="logistic", penalty=Lq(0.45), lam=0.0, fit_intercept=True)
    solution = global_minimum(problem, gap=1e-4)
    assert solution.status == "optimal"
    assert -1e-4 <= solution.lower_bound <= solution.objective <= 1e-4


@pytest.mark.parametrize("penalty", [Log(0.1), MCP(0.5), CappedL1(0.4)], ids=repr)
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_a_ridge_is_curvature_of_rows_added_to_the_data(penalty, fit_intercept):
    rng = np.random.default_rng(2)
    n, d = 8, 10
    X = rng.standard_normal((n, d))
    y = 2.0 * X[:, 0] - X[:, 3] + 0.3 * rng.standard_normal(n)
    ridge = np.where(np.arange(d) == 5, 0.0, rng.uniform(0.05, 0.3, d))
    parts = {"penalty": penalty, "lower": -3.0, "upper": 3.0}
    problem = RegressionProblem(X, y, lam=0.2, ridge=ridge, fit_intercept=fit_intercept, **parts)
    found = global_minimum(problem, gap=1e-5)
    assert found.status == "optimal"
    if not fit_intercept:
        rows = np.vstack([X, np.sqrt(n * np.diag(ridge))])
        share = n / (n + d)
        added = RegressionProblem(rows, np.append(y, np.zeros(d)), lam=0.2 * share, **parts)
        other = global_minimum(added, gap=1e-5 * share)
        assert found.objective == pytest.approx(other.objective / share, abs=2e-5)
    assert found.objective == pytest.approx(problem.objective(found.x, found.intercept), abs=1e-12)
    for _ in range(200):
        x = found.x + rng.standard_normal(d) * 10.0 ** rng.uniform(-3, 0)
        x = np.clip(np.where(rng.random(d) < 0.5, x, found.x), -3.0, 3.0)
        assert problem.objective(x, problem.best_intercept(x)) >= found.lower_bound
    with pytest.raises(ValueError, match="a ridge term with the linear loss"):
        global_minimum(RegressionProblem(X, np.sign(y), loss="logistic", ridge=0.1, lower=-1.0, upper=1.0))


def test_an_offset_is_known():
    rng = np.random.default_rng(0)
    X, offset = rng.standard_normal((20, 4)), rng.standard_normal(20)
    box = {"penalty": Log(0.1), "lam": 0.05, "lower": -2.0, "upper": 2.0, "fit_intercept": True}
    y = X @ [1.0, -1.0, 0.0, 0.0] + 0.3 * rng.standard_normal(20)
    with_offset = global_minimum(RegressionProblem(X, y, offset=offset, **box))
    without = global_minimum(RegressionProblem(X, y - offset, **box))
    assert with_offset.objective == pytest.approx(without.objective, abs=2e-6)
    assert with_offset.lower_bound <= without.objective
    labels = RegressionProblem(X, np.sign(y), loss="logistic", offset=offset, **box)
    found = global_minimum(labels, gap=1e-4)
    assert found.status is GlobalStatus.OPTIMAL
    for x in rng.uniform(-2.0, 2.0, (200, 4)):
        assert labels.objective(x, labels.best_intercept(x)) >= found.lower_bound


def test_probes_close_boxes_and_lose_no_minimum(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((14, 20))
    y = X @ np.where(np.arange(20) < 4, 1.0, 0.0) + 0.7 * rng.standard_normal(14)
    problem = RegressionProblem(X, y, penalty=CappedL1(0.4), lam=0.08, lower=-2.0, upper=2.0)
    plain = global_minimum(problem, gap=1e-3)
    closed = []
    probe = Search._probe
    monkeypatch.setattr(steering, "HARD", 500)
    monkeypatch.setattr(Search, "_probe", lambda *box: closed.append(not probe(*box)) or not closed[-1])
    probed = global_minimum(problem, gap=1e-3)
    assert plain.status is probed.status is GlobalStatus.OPTIMAL
    assert probed.objective == pytest.approx(plain.objective, abs=1e-3)
    assert sum(closed) > 10
    monkeypatch.setattr(steering, "HARD", 0)
    for limit in (5, 60, 200):  # the limit holds, and the bound holds at it
        early = global_minimum(problem, gap=1e-9, max_nodes=limit)
        assert early.n_nodes <= limit
        assert early.lower_bound <= plain.objective
