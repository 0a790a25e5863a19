"""What a run promises: steps counted and exact, ended from outside, certificates only when read."""

import pickle
import time
import warnings

import numpy as np
import pytest
from scipy import sparse
from threadpoolctl import ThreadpoolController

from concave_sparsity import L1, MCP, SCAD, Log, Lq
from convex_analysis import (
    ConvergenceWarning,
    MaskProblem,
    RegressionProblem,
    Status,
    global_minimum,
    majorize_minimize,
    path,
)
from convex_analysis.solver.active_set import ActiveSet
from convex_analysis.threads import one_thread, threads_for


def data(n=60, d=200, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    return X, X[:, :6].sum(axis=1) + 0.3 * rng.standard_normal(n)


@pytest.mark.parametrize("loss", ["linear", "logistic", "huber"])
@pytest.mark.parametrize("penalty", [L1(), Log(0.05), MCP(3.0)], ids=repr)
def test_every_step_has_its_exact_objective(loss, penalty):
    X, y = data()
    problem = RegressionProblem(
        X, np.sign(y) if loss == "logistic" else y, loss=loss, penalty=penalty, lam=0.02, fit_intercept=True
    )
    seen = []
    found = majorize_minimize(
        problem, callback=lambda p: seen.append((p.n_iter, problem.objective(p.x, p.intercept)))
    )
    assert found.objectives.size == found.n_iter + 1
    assert (np.diff(found.objectives) <= 1e-13 * np.abs(found.objectives[:-1])).all()
    for step, objective in seen:
        assert found.objectives[step] == pytest.approx(objective, rel=1e-12)
    for k in range(1, found.n_iter + 1):  # where a run is cut, it ends at that step's objective
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            cut = majorize_minimize(problem, max_iter=k)
        assert bool(told) == (not cut.converged)  # stationary, it may be cut before the exchanges
        assert cut.n_iter <= k
        assert cut.objectives.size == cut.n_iter + 1
        assert cut.objective == pytest.approx(problem.objective(cut.x, cut.intercept), rel=1e-12)


def test_one_step_is_one():
    X, y = data()
    with pytest.warns(ConvergenceWarning):
        found = majorize_minimize(RegressionProblem(X, y, penalty=Log(0.05), lam=0.02), "zero", max_iter=1)
    assert found.n_iter == 1
    assert found.objectives.size == 2


def test_a_callback_stops_the_run_and_the_path():
    X, y = data()
    problem = RegressionProblem(X, y, penalty=Log(0.05), lam=0.02)
    with pytest.warns(ConvergenceWarning, match="callback stopped"):
        found = majorize_minimize(problem, callback=lambda p: True)
    assert found.status is Status.STOPPED
    lams = []
    with pytest.warns(ConvergenceWarning):
        cut = path(problem, n_lams=8, callback=lambda p: (lams.append(p.lam), len(set(lams)) == 3)[1])
    assert len(cut) == 3
    assert len(cut.lams) == 3


@pytest.mark.parametrize("penalty", [Log(0.05), Lq(0.5)], ids=repr)
def test_a_callback_stops_runs_from_several_starts_and_what_follows(penalty):
    problem = RegressionProblem(*data(), penalty=penalty, lam=0.05)
    for solver in (lambda asked: majorize_minimize(problem, "multi", callback=asked), lambda asked: path(
        problem, n_lams=8, callback=asked
    )):  # fmt: skip
        for last in (1, 2, 3):
            calls = []

            def asked(progress, calls=calls, last=last):
                calls.append(progress)
                return len(calls) == last

            with pytest.warns(ConvergenceWarning):
                found = solver(asked)
            assert len(calls) == last
            assert (found if hasattr(found, "status") else found[-1]).status is Status.STOPPED


def test_a_time_limit_ends_the_run():
    X, y = data()
    problem = RegressionProblem(X, y, penalty=Log(0.05), lam=0.02)
    with pytest.warns(ConvergenceWarning, match="time limit"):
        found = majorize_minimize(problem, time_limit=0)
    assert found.status is Status.TIME_LIMIT
    with pytest.warns(ConvergenceWarning, match="time limit"):
        assert len(path(problem, n_lams=20, time_limit=0.0)) == 1


def test_certificates_are_computed_when_read_and_pickled_without_the_data():
    X, y = data(100, 1000)
    found = majorize_minimize(RegressionProblem(X, y, penalty=MCP(3.0), lam=0.1))
    assert "gap" not in vars(found.certificate)
    kept = pickle.dumps(found)
    assert len(kept) < X.nbytes / 10
    again = pickle.loads(kept)
    assert again.gap == found.gap
    assert again.suboptimality_bound == found.suboptimality_bound


def test_no_refinement_ends_at_the_first_stationary_point():
    X, y = data(60, 200, 3)
    problem = RegressionProblem(X, y, penalty=Log(0.02), lam=0.05)
    first, better = majorize_minimize(problem, refine=False), majorize_minimize(problem)
    assert first.converged
    assert better.objective <= first.objective + 1e-12
    assert (path(problem, n_lams=3, refine=False)[-1]).converged


def test_no_penalty_and_more_columns_than_rows_is_quick():
    X, y = data(30, 400)
    problem = RegressionProblem(X, y, lam=0.0, fit_intercept=True)
    assert majorize_minimize(problem).suboptimality_bound >= 0.0  # compiled by now
    begun = time.process_time()
    found = majorize_minimize(problem)
    assert found.converged
    assert found.objective <= 1e-15
    assert found.suboptimality_bound <= 1e-15
    assert time.process_time() - begun < 1.0  # it took ten times as long


@pytest.mark.parametrize("penalty", [MCP.classical(0.0835), SCAD.classical(0.0835)], ids=repr)
def test_huber_with_flat_penalties_does_not_stall(penalty):
    rng = np.random.RandomState(1)
    X, y = rng.randn(50, 10), rng.randn(50)
    found = majorize_minimize(RegressionProblem(X, y, loss="huber", penalty=penalty, lam=1.0), tol=1e-10)
    assert found.status is Status.CONVERGED


def test_the_intercept_of_tiny_targets_is_found():
    X, y = data(40, 5)
    one = majorize_minimize(
        RegressionProblem(X, 1e-14 * (y + 3.0), loss="huber", lam=0.0, fit_intercept=True)
    )
    other = majorize_minimize(RegressionProblem(X, y + 3.0, lam=0.0, fit_intercept=True))
    assert one.intercept == pytest.approx(1e-14 * other.intercept, rel=1e-6)


def test_a_path_on_badly_scaled_columns_reuses_what_it_computed(monkeypatch):
    from convex_analysis.design import Design

    X, y = data()
    problem = RegressionProblem(X * 10.0 ** np.linspace(-4, 4, 200), y, penalty=L1())
    passes = []
    original = Design.rmatvec
    monkeypatch.setattr(Design, "rmatvec", lambda self, v: (passes.append(1), original(self, v))[1])
    path(problem, n_lams=10)
    one = len(passes)
    passes.clear()
    path(RegressionProblem(X, y, penalty=L1()), n_lams=10)
    assert one <= 1.5 * len(passes) + 10


def test_a_certificate_never_makes_a_sparse_design_dense(monkeypatch):
    from convex_analysis.design import Design

    rng = np.random.default_rng(0)
    X = sparse.random(2000, 300, 0.01, random_state=rng, format="csc")
    y = np.asarray(X @ rng.standard_normal(300)) + 0.1 * rng.standard_normal(2000)
    problem = RegressionProblem(X, y, penalty=MCP.classical(1e-5), lam=1.0, fit_intercept=True)
    found = majorize_minimize(problem, refine=False)
    assert found.support.size > 100

    def refuse(self, columns):
        raise AssertionError("columns were made dense")

    monkeypatch.setattr(Design, "columns", refuse)
    assert found.gap >= 0.0
    assert found.suboptimality_bound >= 0.0


def test_threads_are_limited_during_a_solve_and_given_back():
    libraries = [lib for lib in ThreadpoolController().lib_controllers if lib.user_api == "blas"]
    before = [lib.num_threads for lib in libraries]
    seen = []
    X, y = data()
    with ThreadpoolController().limit(limits=2, user_api="blas"):
        allowed = [lib.num_threads for lib in libraries]
        majorize_minimize(
            RegressionProblem(X, y, penalty=MCP(3.0), lam=0.1),
            callback=lambda p: seen.append([lib.num_threads for lib in libraries]),
        )
        assert all(count == 1 for counts in seen for count in counts)
        assert seen
        with one_thread(), threads_for(1e12):
            assert [lib.num_threads for lib in libraries] == allowed
        with one_thread(), one_thread(), threads_for(10.0):
            assert all(lib.num_threads == 1 for lib in libraries)
        assert [lib.num_threads for lib in libraries] == allowed
    assert [lib.num_threads for lib in libraries] == before


@pytest.mark.parametrize("seed", range(12))
def test_labels_that_are_wrong_by_a_large_margin_do_not_hold_the_run(seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((24, 16)) * 10.0 ** rng.integers(-4, 5, 16)
    lower = np.where(rng.random(16) < 0.5, 0.2, -np.inf)  # where the run begins: exp(-margin) is zero
    problem = RegressionProblem(
        X, np.where(rng.random(24) < 0.5, 1.0, -1.0), loss="logistic", lower=lower, penalty=MCP(3.0)
    )
    problem = problem.with_lam(0.1 * float(np.abs(problem.gradient_at_start()).max()))
    assert majorize_minimize(problem).status in (Status.CONVERGED, Status.NO_MINIMISER)


@pytest.mark.parametrize("seed", range(8))
def test_groups_with_hubers_loss_reach_the_tolerance(seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((35, 18))
    y = X[:, 0] + rng.standard_cauchy(35)
    problem = RegressionProblem(X, y, loss="huber", lam=1e-3, groups=rng.integers(0, 9, 18))
    assert majorize_minimize(problem).converged


def test_a_time_limit_holds_for_the_starts_too(monkeypatch):
    """The rough l1 run that finds a start, and the other starts of "multi"."""
    X = np.random.default_rng(0).standard_normal((50, 30))
    problem = RegressionProblem(X, X[:, 0] > 0.2, loss="logistic", penalty=Log(0.1), lam=0.02)
    steps = []
    plain = ActiveSet._step
    monkeypatch.setattr(ActiveSet, "_step", lambda run, most: steps.append(1) or plain(run, most))
    for start in (None, "multi", "l1", "dense"):
        with pytest.warns(ConvergenceWarning, match="time limit"):
            found = majorize_minimize(problem, start, time_limit=0.0)
        assert found.status is Status.TIME_LIMIT
    bounded = MaskProblem(X, X[:, 0], penalty=Log(0.1), lam=0.02)
    late = global_minimum(bounded, time_limit=1e-9)  # its first points; the root has a relaxation of its own
    assert late.lower_bound <= late.objective == bounded.objective(late.x)
    assert not steps
