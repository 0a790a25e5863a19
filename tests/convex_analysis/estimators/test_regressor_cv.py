import pickle

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LassoCV
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from concave_sparsity import MCP
from convex_analysis import ConcaveClassifierCV, ConcaveRegressor, ConcaveRegressorCV
from convex_analysis.losses import Gamma, Logistic, Poisson, SquaredHinge

pytestmark = pytest.mark.filterwarnings("ignore::convex_analysis.GridEdgeWarning")


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 40))
    return X, X[:, :4] @ np.array([3.0, -2.0, 1.5, 1.0]) + 0.5 * rng.standard_normal(60) + 2.0


def test_equals_lasso_cv_with_the_l1_penalty(data) -> None:
    X, y = data
    alphas = np.geomspace(1.0, 0.01, 12)
    folds = KFold(4, shuffle=True, random_state=0)
    own = ConcaveRegressorCV(alphas=alphas[::-1], cv=folds, penalty="l1").fit(X, y)
    peer = LassoCV(alphas=alphas, cv=folds, tol=1e-10, max_iter=100_000).fit(X, y)
    np.testing.assert_allclose(own.alphas_, peer.alphas_)
    np.testing.assert_allclose(own.mse_path_, peer.mse_path_, rtol=1e-5)
    np.testing.assert_allclose(own.mse_path_, 2 * own.loss_path_)
    assert own.alpha_ == peer.alpha_
    np.testing.assert_allclose(own.coef_, peer.coef_, atol=1e-6)


def test_concave_keeps_fewer_features_and_predicts_better_than_lasso(data) -> None:
    X, y = data
    test = np.random.default_rng(1).standard_normal((1000, 40))
    truth = test[:, :4] @ np.array([3.0, -2.0, 1.5, 1.0]) + 2.0
    lasso = ConcaveRegressorCV(penalty="l1", n_alphas=20).fit(X, y)
    mcp = ConcaveRegressorCV(penalty=MCP.classical, penalty_parameters={"gamma": 3.0}, n_alphas=20).fit(X, y)
    assert np.count_nonzero(mcp.coef_) < np.count_nonzero(lasso.coef_)
    assert np.mean((mcp.predict(test) - truth) ** 2) < np.mean((lasso.predict(test) - truth) ** 2)
    assert set(range(4)) <= set(np.flatnonzero(mcp.coef_))


def test_refit_is_stationary_at_the_alpha_chosen(data) -> None:
    X, y = data
    model = ConcaveRegressorCV(penalty="log", n_alphas=10, cv=3).fit(X, y)
    assert model.alphas_.shape == (10,)
    assert model.mse_path_.shape == (10, 3)
    assert model.alpha_ == model.alphas_[model.loss_path_.mean(axis=1).argmin()]
    assert model.solution_.lam == model.alpha_
    assert model.stationarity_ <= model.solution_.tolerance
    alone = ConcaveRegressor(model.alpha_, penalty="log").fit(X, y)
    assert model.solution_.objective <= alone.solution_.objective * (1 + 1e-2)


def test_one_standard_error_is_sparser(data) -> None:
    X, y = data
    best = ConcaveRegressorCV(penalty="l1", n_alphas=20).fit(X, y)
    sparser = ConcaveRegressorCV(penalty="l1", n_alphas=20, selection="one-standard-error").fit(X, y)
    assert sparser.alpha_ > best.alpha_
    assert np.count_nonzero(sparser.coef_) < np.count_nonzero(best.coef_)


def test_jobs_and_sparse_make_no_difference(data) -> None:
    X, y = data
    X = np.where(np.abs(X) > 1.0, X, 0.0)
    settings = {"n_alphas": 5, "cv": 3}
    plain = ConcaveRegressorCV(**settings).fit(X, y)
    parallel = ConcaveRegressorCV(n_jobs=2, **settings).fit(X, y)
    np.testing.assert_array_equal(plain.mse_path_, parallel.mse_path_)
    np.testing.assert_array_equal(plain.coef_, parallel.coef_)
    # With a concave penalty rounding may lead a path to another local minimum.
    plain = ConcaveRegressorCV(penalty="l1", **settings).fit(X, y)
    loose = ConcaveRegressorCV(penalty="l1", **settings).fit(sparse.csr_array(X), y)
    np.testing.assert_allclose(plain.mse_path_, loose.mse_path_, rtol=1e-5)
    np.testing.assert_allclose(plain.coef_, loose.coef_, atol=1e-6)


def test_bounds_huber_pipeline_pickle(data) -> None:
    X, y = data
    y = y.copy()
    y[:3] += 100.0
    model = make_pipeline(
        StandardScaler(),
        ConcaveRegressorCV(n_alphas=8, cv=3, loss="huber", lower=0.0, penalty="mcp", tol=1e-5),
    ).fit(X, y)
    assert (model[-1].coef_ >= 0.0).all()
    assert model[-1].coef_[0] > 2.0
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


def test_scores_in_an_outer_cross_validation(data) -> None:
    X, y = data
    assert cross_val_score(ConcaveRegressorCV(n_alphas=8, cv=3), X, y, cv=3).min() > 0.9


def test_one_warning_for_all_early_stops(data) -> None:
    X, y = data
    with pytest.warns(ConvergenceWarning, match=r"\d+ of \d+ runs .* Stationarity") as caught:
        ConcaveRegressorCV(n_alphas=4, cv=2, max_iter=1, tol=1e-14).fit(X, y)
    assert sum("Stationarity" in str(one.message) for one in caught) == 1


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"alphas": []}, ValueError, "alphas"),
        ({"alphas": [1.0, -1.0]}, ValueError, "alphas"),
        ({"alphas": "many"}, TypeError, "alphas"),
        ({"n_alphas": 0}, ValueError, "n_alphas"),
        ({"alpha_min_ratio": 0.0}, ValueError, "alpha_min_ratio"),
        ({"alpha_min_ratio": 2.0}, ValueError, "alpha_min_ratio"),
        ({"selection": "worst"}, ValueError, "selection"),
        ({"cv": 1}, ValueError, "cv"),
        ({"lower": 0.5}, ValueError, "excludes zero"),
    ],
)
def test_wrong_parameters_get_a_sentence(data, settings, error, words) -> None:
    with pytest.raises(error, match=words):
        ConcaveRegressorCV(**settings).fit(*data)


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
@pytest.mark.parametrize("estimator", [ConcaveRegressorCV, ConcaveClassifierCV])
def test_weights_equal_repetition(seed, estimator) -> None:
    """Data equal but for rounding lead every path to the same minima, and these are told to rounding."""
    rng = np.random.default_rng(seed)
    X, y, weight = rng.random((15, 30)), rng.integers(0, 2, 15), rng.integers(0, 5, 15)
    times = np.r_[weight, np.ones(30, dtype=int)]
    whole, labels = np.vstack([X, X, X]), np.r_[y, y, y]
    group = np.repeat([0, 1, 2], 15)
    rows = np.repeat(np.arange(45), times)

    def folds(group):
        return [(np.flatnonzero(group != k), np.flatnonzero(group == k)) for k in range(3)]

    weighted = estimator(n_alphas=5, cv=folds(group)).fit(whole, labels, sample_weight=times)
    repeated = estimator(n_alphas=5, cv=folds(group[rows])).fit(whole[rows], labels[rows])
    assert weighted.alpha_ == pytest.approx(repeated.alpha_, rel=1e-12)
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("loss", [Poisson(), Gamma(), Logistic(), SquaredHinge()], ids=repr)
def test_held_out_losses_of_any_loss_are_those_of_single_fits(loss) -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 4))
    z = X[:, 0]
    y = {
        "poisson": rng.poisson(np.exp(z)).astype(float),
        "gamma": np.exp(z) * rng.gamma(2.0, 0.5, 60),
    }.get(loss.name, (z + 0.5 * rng.standard_normal(60) > 0).astype(float))
    found = ConcaveRegressorCV(loss=loss, penalty="l1", alphas=[0.05, 0.02], cv=3).fit(X, y)
    coded = loss.check_targets(y)
    for k, (train, test) in enumerate(KFold(3).split(X)):
        for i, alpha in enumerate(found.alphas_):
            one = ConcaveRegressor(alpha, loss=loss, penalty="l1").fit(X[train], y[train])
            z = X[test] @ one.coef_ + one.intercept_
            assert found.loss_path_[i, k] == pytest.approx(loss.value(z, coded[test]).mean(), rel=1e-5)
            square = np.mean((one.predict(X[test]) - y[test]) ** 2)
            assert found.mse_path_[i, k] == pytest.approx(square, rel=1e-5)
