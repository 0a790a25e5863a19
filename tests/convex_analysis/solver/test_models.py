"""The models on sparse columns and on moments find what the model on a Gram matrix finds."""

import numpy as np
import pytest
from scipy import sparse

from concave_sparsity import L1, MCP, Log, Lq
from convex_analysis import RegressionProblem, majorize_minimize, path, steering
from convex_analysis.solver.model_columns import ColumnsModel, model_for
from convex_analysis.solver.model_gram import GramModel
from convex_analysis.solver.model_moments import MomentsModel

RNG = np.random.default_rng(0)
WIDE = sparse.random(120, 700, 0.05, random_state=RNG, format="csc")
SIGNAL = np.asarray(WIDE[:, :8].sum(axis=1)).ravel() + 0.1 * RNG.standard_normal(120)


@pytest.mark.parametrize("loss", ["linear", "logistic", "huber"])
@pytest.mark.parametrize("box", [(-np.inf, np.inf), (0.0, 1.0), (-0.5, np.inf)])
@pytest.mark.parametrize("settings", [{}, {"fit_intercept": True, "ridge": 0.05, "offset": 0.1 * SIGNAL}])
def test_sparse_columns_and_the_dense_gram_matrix_agree(loss, box, settings):
    y = np.sign(SIGNAL) if loss == "logistic" else SIGNAL
    settings = {"loss": loss, "lam": 0.003, "lower": box[0], "upper": box[1], **settings}
    thin, full = RegressionProblem(WIDE, y, **settings), RegressionProblem(WIDE.toarray(), y, **settings)
    assert isinstance(model_for(thin), ColumnsModel)
    assert isinstance(model_for(full), GramModel)
    one, other = majorize_minimize(thin, tol=1e-10), majorize_minimize(full, tol=1e-10)
    assert one.converged
    assert one.objective == pytest.approx(other.objective, rel=1e-10)
    assert one.gap <= 1e-9
    np.testing.assert_allclose(one.x, other.x, atol=1e-5)


@pytest.mark.parametrize("penalty", [Log(0.1), MCP(3.0)], ids=repr)
@pytest.mark.parametrize("refine", [False, True])
def test_concave_problems_on_sparse_columns(penalty, refine):
    problem = RegressionProblem(WIDE, SIGNAL, penalty=penalty, lam=0.003, fit_intercept=True)
    found = majorize_minimize(problem, refine=refine)
    assert found.converged
    assert problem.stationarity(found.x, found.intercept) <= found.tolerance * (1 + 1e-6)
    assert (np.diff(found.objectives) <= 1e-13 * np.abs(found.objectives[:-1])).all()


@pytest.mark.parametrize("refine", [False, True])
def test_no_gram_matrix_is_made_of_more_sparse_columns_than_fit(refine, monkeypatch):
    problem = RegressionProblem(WIDE, SIGNAL, penalty=MCP(3.0), lam=0.003, fit_intercept=True)
    sizes = []
    update = GramModel.update
    monkeypatch.setattr(
        GramModel, "update", lambda model, new, z: (sizes.append(new.size), update(model, new, z))[1]
    )
    assert majorize_minimize(problem, refine=refine).converged
    assert max(sizes) > 20, "no search on a Gram matrix to leave out"
    limit = 8 * 20**2
    monkeypatch.setattr(steering, "KEPT_BYTES", limit)
    sizes.clear()
    found = majorize_minimize(problem, refine=refine)
    assert found.converged
    assert problem.stationarity(found.x, found.intercept) <= found.tolerance * (1 + 1e-6)
    assert 8 * max(sizes, default=0) ** 2 <= limit


@pytest.mark.parametrize(
    "settings", [{}, {"fit_intercept": True, "ridge": 0.1}, {"lower": 0.0, "upper": 0.4}]
)
def test_moments_and_passes_over_the_data_agree(settings, monkeypatch):
    X = RNG.standard_normal((80, 12)) + 3.0
    y = X[:, :3].sum(axis=1) + RNG.standard_normal(80)
    problem = RegressionProblem(X, y, penalty=L1(), **settings)
    assert MomentsModel.serves(problem)
    quick = path(problem, n_lams=10, tol=1e-10)
    monkeypatch.setattr(MomentsModel, "serves", staticmethod(lambda problem: False))
    slow = path(problem, n_lams=10, tol=1e-10)
    for one, other in zip(quick, slow, strict=True):
        np.testing.assert_allclose(one.x, other.x, atol=1e-8)
        assert one.intercept == pytest.approx(other.intercept, abs=1e-7)
        assert one.objective == pytest.approx(other.objective, rel=1e-10)
        assert one.objective == pytest.approx(
            problem.with_lam(one.lam).objective(one.x, one.intercept), rel=1e-10
        )
        assert one.converged
        assert one.gap <= 1e-9


def test_an_infinite_slope_plays_no_part_where_nothing_is_charged():
    X = RNG.standard_normal((30, 4))
    settings = {"penalty": Lq(0.5), "lam": 0.1, "penalty_factor": np.zeros(4)}
    found = majorize_minimize(RegressionProblem(X, X[:, 0], **settings))
    np.testing.assert_allclose(found.x, [1.0, 0.0, 0.0, 0.0], atol=1e-8)
