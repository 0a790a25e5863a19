import pickle

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import GammaRegressor, Lasso, MultiTaskLasso, PoissonRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from concave_sparsity import L1, MCP, Log
from convex_analysis import ConcaveRegressor, ConcaveRegressorCV, RegressionProblem, Status, majorize_minimize
from convex_analysis.losses import Huber


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 30))
    coef = np.zeros(30)
    coef[[2, 7, 11]] = [3.0, -2.0, 1.5]
    return X, X @ coef + 0.1 * rng.standard_normal(60) + 4.0, coef


def test_equals_lasso_with_the_l1_penalty(data) -> None:
    X, y, _ = data
    own = ConcaveRegressor(0.2, penalty="l1", tol=1e-10).fit(X, y)
    lasso = Lasso(0.2, tol=1e-12, max_iter=100_000).fit(X, y)
    np.testing.assert_allclose(own.coef_, lasso.coef_, atol=1e-8)
    np.testing.assert_allclose(own.intercept_, lasso.intercept_, atol=1e-8)
    np.testing.assert_allclose(own.predict(X), lasso.predict(X), atol=1e-7)


def test_equals_lasso_with_sample_weights(data) -> None:
    X, y, _ = data
    weight = np.random.default_rng(1).uniform(0.5, 3.0, y.size)
    own = ConcaveRegressor(0.2, penalty=L1(), tol=1e-10).fit(X, y, sample_weight=weight)
    lasso = Lasso(0.2, tol=1e-12, max_iter=100_000).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(own.coef_, lasso.coef_, atol=1e-8)


def test_concave_finds_the_support_with_less_shrinkage_than_l1(data) -> None:
    X, y, coef = data
    concave = ConcaveRegressor(0.3, penalty="mcp").fit(X, y)
    lasso = ConcaveRegressor(0.3, penalty="l1").fit(X, y)
    assert set(np.flatnonzero(concave.coef_)) == {2, 7, 11}
    assert np.abs(concave.coef_ - coef).max() < 0.2 * np.abs(lasso.coef_ - coef).max()
    assert concave.score(X, y) > 0.99


def test_is_a_thin_layer_over_the_solver(data) -> None:
    X, y, _ = data
    model = ConcaveRegressor(0.3, penalty=Log(0.5), lower=-1.0, upper=2.0, tol=1e-9).fit(X, y)
    problem = RegressionProblem(X, y, penalty=Log(0.5), lam=0.3, lower=-1.0, upper=2.0, fit_intercept=True)
    found = majorize_minimize(problem, tol=1e-9)
    np.testing.assert_array_equal(model.coef_, found.x)
    assert model.intercept_ == found.intercept
    assert model.n_iter_ == found.n_iter >= 1
    assert model.stationarity_ == found.stationarity == model.solution_.stationarity
    assert model.status_ is Status.CONVERGED
    assert (model.coef_ >= -1.0).all()
    assert (model.coef_ <= 2.0).all()
    assert model.n_features_in_ == 30


def test_classical_penalty_by_function(data) -> None:
    X, y, _ = data
    by_function = ConcaveRegressor(
        0.3, penalty=MCP.classical, penalty_parameters={"gamma": 3.0}, fit_intercept=False
    ).fit(X, y)
    problem = RegressionProblem(X, y, penalty=MCP.classical(0.3, 3.0), lam=1.0)
    np.testing.assert_allclose(by_function.coef_, majorize_minimize(problem, tol=1e-8).x, atol=1e-8)


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array, sparse.csc_array])
def test_sparse_equals_dense(data, form) -> None:
    X, y, _ = data
    X = np.where(np.abs(X) > 1.0, X, 0.0)
    dense = ConcaveRegressor(0.1, tol=1e-10).fit(X, y)
    model = ConcaveRegressor(0.1, tol=1e-10).fit(form(X), y)
    np.testing.assert_allclose(model.coef_, dense.coef_, atol=1e-8)
    np.testing.assert_allclose(model.predict(form(X)), dense.predict(X), atol=1e-7)


def test_huber_resists_an_outlier(data) -> None:
    X, y, coef = data
    y = y.copy()
    y[0] += 1000.0
    robust = ConcaveRegressor(0.1, loss="huber").fit(X, y)
    assert np.abs(robust.coef_ - coef).max() < 0.5
    assert np.abs(ConcaveRegressor(0.1).fit(X, y).coef_ - coef).max() > 2.0
    same = ConcaveRegressor(0.1, loss=Huber(1.0)).fit(X, y)
    np.testing.assert_array_equal(same.coef_, robust.coef_)


def test_bounds_and_penalty_factor_a_feature(data) -> None:
    X, y, _ = data
    lower = np.full(30, -np.inf)
    lower[7] = 0.0
    factor = np.ones(30)
    factor[0] = 0.0
    model = ConcaveRegressor(0.5, lower=lower, penalty_factor=factor).fit(X, y)
    assert model.coef_[7] == 0.0
    assert model.coef_[0] != 0.0
    with pytest.raises(ValueError, match=r"shape \(30,\)"):
        ConcaveRegressor(lower=np.zeros(3)).fit(X, y)


def test_warm_start_continues_from_the_last_coefficients(data) -> None:
    X, y, _ = data
    model = ConcaveRegressor(0.3, penalty="log", warm_start=True).fit(X, y)
    first = model.coef_
    model.fit(X, y)
    assert model.n_iter_ <= 2
    np.testing.assert_allclose(model.coef_, first, atol=1e-6)
    model.fit(X[:, :10], y)
    assert model.coef_.shape == (10,)


def test_warns_with_the_figures_when_it_stops_early(data) -> None:
    X, y, _ = data
    with pytest.warns(ConvergenceWarning, match=r"Stationarity .* tolerance .* Increase max_iter") as caught:
        model = ConcaveRegressor(0.05, penalty="log", start="zero", max_iter=1, tol=1e-12).fit(X, y)
    assert len(caught) == 1
    assert model.status_ is Status.ITERATION_LIMIT
    assert model.stationarity_ > model.solution_.tolerance


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"alpha": -1.0}, ValueError, "alpha .* at least 0"),
        ({"alpha": "big"}, TypeError, "alpha"),
        ({"tol": 0.0}, ValueError, "tol"),
        ({"max_iter": 0}, ValueError, "max_iter"),
        ({"max_iter": 10.0}, TypeError, "max_iter"),
        ({"loss": "absolute"}, ValueError, "loss"),
        ({"penalty": "mpc"}, ValueError, "mpc"),
        ({"penalty": MCP}, TypeError, "penalty"),
        ({"penalty": "mcp", "penalty_parameters": {"eps": 1}}, TypeError, "eps"),
        ({"fit_intercept": 1}, TypeError, "fit_intercept"),
        ({"start": "anywhere"}, ValueError, "start"),
        ({"lower": 1.0, "upper": 0.0}, ValueError, "lower"),
    ],
)
def test_wrong_parameters_get_a_sentence(data, settings, error, words) -> None:
    X, y, _ = data
    with pytest.raises(error, match=words):
        ConcaveRegressor(**settings).fit(X, y)


def test_wrong_data_get_a_sentence(data) -> None:
    X, y, _ = data
    with pytest.raises(NotFittedError):
        ConcaveRegressor().predict(X)
    with pytest.raises(ValueError, match="NaN"):
        ConcaveRegressor().fit(np.where(X > 2, np.nan, X), y)
    with pytest.raises(ValueError, match="sample_weight"):
        ConcaveRegressor().fit(X, y, sample_weight=-np.ones(y.size))
    with pytest.raises(ValueError, match="features"):
        ConcaveRegressor().fit(X, y).predict(X[:, :5])


def test_pipeline_grid_search_clone_pickle(data) -> None:
    X, y, _ = data
    pipeline = make_pipeline(StandardScaler(), ConcaveRegressor(penalty="mcp"))
    search = GridSearchCV(
        pipeline,
        {
            "concaveregressor__alpha": [0.01, 0.3],
            "concaveregressor__penalty": ["mcp", Log(0.2), MCP.classical],
        },
        cv=3,
    ).fit(X, y)
    assert search.best_score_ > 0.98
    best = search.best_estimator_
    again = pickle.loads(pickle.dumps(best))
    np.testing.assert_array_equal(again.predict(X), best.predict(X))
    copied = clone(best)
    assert copied.get_params()["concaveregressor__penalty"] == best.get_params()["concaveregressor__penalty"]
    np.testing.assert_array_equal(copied.fit(X, y).predict(X), best.predict(X))


def test_integers_lists_and_float32(data) -> None:
    model = ConcaveRegressor(0.01, fit_intercept=False).fit([[1, 0], [0, 1], [1, 1]], [1, 2, 3])
    np.testing.assert_allclose(model.coef_, [1, 2], atol=0.05)
    X, y, _ = data
    single = ConcaveRegressor(0.3).fit(X.astype(np.float32), y.astype(np.float32))
    np.testing.assert_allclose(single.coef_, ConcaveRegressor(0.3).fit(X, y).coef_, atol=1e-4)


@pytest.mark.parametrize(("loss", "peer"), [("poisson", PoissonRegressor), ("gamma", GammaRegressor)])
def test_losses_with_a_link_predict_means(data, loss, peer) -> None:
    X, y = data[:2]
    rng = np.random.default_rng(0)
    mean = np.exp(0.3 * (y - y.mean()) / y.std())
    y = rng.poisson(mean).astype(float) if loss == "poisson" else mean * rng.gamma(2.0, 0.5, mean.size)
    weights = rng.integers(1, 3, y.size).astype(float)
    theirs = peer(alpha=0.1, tol=1e-10, max_iter=1000).fit(X, y, weights)
    ours = ConcaveRegressor(0.0, l2=0.1, loss=loss).fit(X, y, weights)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-5)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-4)


def test_several_targets_together() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 8))
    Y = X[:, :2] @ rng.standard_normal((2, 3)) + 0.2 * rng.standard_normal((60, 3)) + [1.0, 2.0, 3.0]
    model = ConcaveRegressor(0.2, penalty="l1", tol=1e-11).fit(X, Y)
    peer = MultiTaskLasso(0.2, tol=1e-12).fit(X, Y)
    assert model.coef_.shape == (3, 8)
    np.testing.assert_allclose(model.coef_, peer.coef_, atol=1e-7)
    np.testing.assert_allclose(model.predict(X), peer.predict(X), atol=1e-6)
    apart = ConcaveRegressor(0.2, penalty="mcp", shared_support=False).fit(X, Y)
    for k in range(3):
        alone = ConcaveRegressor(0.2, penalty="mcp").fit(X, Y[:, k])
        np.testing.assert_allclose(apart.coef_[k], alone.coef_, atol=1e-5)
    chosen = ConcaveRegressorCV(n_alphas=8, cv=3, penalty="mcp").fit(X, Y)
    assert chosen.coef_path_.shape == (8, 3, 8)
    assert chosen.intercept_path_.shape == (8, 3)
    assert chosen.mse_path_.shape == (8, 3)
    np.testing.assert_array_equal((chosen.coef_ != 0.0).all(axis=0), np.arange(8) < 2)
