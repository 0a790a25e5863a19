import pickle

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from concave_sparsity import MCP
from convex_analysis import ConcaveClassifier, RegressionProblem, Status, majorize_minimize


@pytest.fixture(scope="module")
def cancer() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_breast_cancer(return_X_y=True)
    return StandardScaler().fit_transform(X), y


@pytest.fixture(scope="module")
def iris() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(X), load_iris().target_names[y]


def test_equals_logistic_regression_with_the_l1_penalty(cancer) -> None:
    X, y = cancer
    own = ConcaveClassifier(0.02, penalty="l1", tol=1e-10).fit(X, y)
    peer = LogisticRegression(
        l1_ratio=1.0, C=1 / (0.02 * y.size), solver="saga", tol=1e-10, max_iter=100_000
    ).fit(X, y)
    assert own.coef_.shape == peer.coef_.shape == (1, X.shape[1])
    assert own.intercept_.shape == peer.intercept_.shape == (1,)
    np.testing.assert_allclose(own.coef_, peer.coef_, atol=1e-5)
    np.testing.assert_allclose(own.intercept_, peer.intercept_, atol=1e-5)
    np.testing.assert_allclose(own.predict_proba(X), peer.predict_proba(X), atol=1e-5)
    np.testing.assert_array_equal(own.predict(X), peer.predict(X))


def test_is_a_thin_layer_over_the_solver(cancer) -> None:
    X, y = cancer
    model = ConcaveClassifier(0.05, penalty=MCP(2.0)).fit(X, y)
    problem = RegressionProblem(
        X, 2.0 * y - 1.0, loss="logistic", penalty=MCP(2.0), lam=0.05, fit_intercept=True
    )
    found = majorize_minimize(problem)
    np.testing.assert_allclose(model.coef_[0], found.x, rtol=1e-6)
    assert model.status_ == (Status.CONVERGED,)
    assert model.n_iter_.tolist() == [found.n_iter]
    assert model.stationarity_.tolist() == [found.stationarity]
    assert np.count_nonzero(model.coef_) < 10
    assert model.score(X, y) > 0.93


def test_many_classes_one_against_the_rest(iris) -> None:
    X, y = iris
    model = ConcaveClassifier(0.01, penalty="log", multi_class="ovr").fit(X, y)
    assert model.coef_.shape == (3, 4)
    assert model.intercept_.shape == model.n_iter_.shape == model.stationarity_.shape == (3,)
    assert model.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    scores = model.decision_function(X)
    assert scores.shape == (150, 3)
    for k, label in enumerate(model.classes_):
        alone = ConcaveClassifier(0.01, penalty="log").fit(X, y == label)
        np.testing.assert_array_equal(alone.coef_[0], model.coef_[k])
        np.testing.assert_allclose(alone.decision_function(X), scores[:, k])
    probabilities = model.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    np.testing.assert_array_equal(model.predict(X), model.classes_[probabilities.argmax(axis=1)])
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(probabilities))
    assert model.score(X, y) > 0.9


def test_many_classes_together_as_in_scikit_learn(iris) -> None:
    X, y = iris
    model = ConcaveClassifier(0.05, penalty="l1", tol=1e-10).fit(X, y)
    peer = LogisticRegression(
        l1_ratio=1.0, C=1.0 / (0.05 * y.size), solver="saga", tol=1e-11, max_iter=100_000
    ).fit(X, y)
    assert model.coef_.shape == peer.coef_.shape
    assert model.intercept_.shape == peer.intercept_.shape
    assert model.n_iter_.shape == model.stationarity_.shape == (1,)
    np.testing.assert_allclose(model.coef_, peer.coef_, atol=1e-6)
    np.testing.assert_allclose(model.intercept_, peer.intercept_, atol=1e-6)
    np.testing.assert_allclose(model.predict_proba(X), peer.predict_proba(X), atol=1e-6)
    np.testing.assert_array_equal(model.predict(X), peer.predict(X))
    warm = ConcaveClassifier(0.05, penalty="log", warm_start=True).fit(X, y)
    first = warm.coef_
    assert warm.fit(X, y).n_iter_[0] <= 1
    np.testing.assert_allclose(warm.coef_, first, atol=1e-6)
    shared = ConcaveClassifier(0.05, penalty="log", shared_support=True).fit(X, y)
    kept = shared.coef_ != 0.0
    np.testing.assert_array_equal(kept.any(axis=0), kept.all(axis=0))
    assert 0 < kept.any(axis=0).sum() < 4
    # The first class is separated from the others, and far out nothing holds the coefficients.
    with pytest.warns(ConvergenceWarning, match="No minimiser exists") as caught:
        ConcaveClassifier(0.02, penalty="mcp", shared_support=True).fit(X, y)
    assert "max_iter" not in str(caught[0].message)
    together = (
        model.score(X, y),
        ConcaveClassifier(0.05, penalty="l1", multi_class="ovr").fit(X, y).score(X, y),
    )
    assert together[0] >= together[1]


def test_probabilities_stay_finite_where_every_class_is_excluded() -> None:
    model = ConcaveClassifier(multi_class="ovr").fit(np.eye(3), ["a", "b", "c"])
    model.coef_ = np.array([[-1e4, 0, 0], [-2e4, 0, 0], [-3e4, 0, 0]])
    probabilities = model.predict_proba([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    assert probabilities[0].argmax() == 0


def test_sample_weight_equals_repetition(iris) -> None:
    X, y = iris
    times = np.random.default_rng(0).integers(1, 4, y.size)
    weighted = ConcaveClassifier(0.02, tol=1e-10).fit(X, y, sample_weight=times)
    repeated = ConcaveClassifier(0.02, tol=1e-10).fit(np.repeat(X, times, axis=0), np.repeat(y, times))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-6)


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_array])
def test_sparse_equals_dense(iris, form) -> None:
    X, y = iris
    X = np.where(np.abs(X) > 0.7, X, 0.0)
    dense = ConcaveClassifier(0.02, tol=1e-10).fit(X, y)
    model = ConcaveClassifier(0.02, tol=1e-10).fit(form(X), y)
    np.testing.assert_allclose(model.coef_, dense.coef_, atol=1e-7)
    np.testing.assert_allclose(model.predict_proba(form(X)), dense.predict_proba(X), atol=1e-7)


def test_separable_data_are_solved(iris) -> None:
    X, y = iris
    model = ConcaveClassifier(0.001, penalty="l1").fit(X, y == "setosa")
    assert model.score(X, y == "setosa") == 1.0
    assert np.isfinite(model.coef_).all()


def test_warm_start(cancer) -> None:
    X, y = cancer
    model = ConcaveClassifier(0.02, penalty="log", warm_start=True).fit(X, y)
    first = model.coef_
    model.fit(X, y)
    assert model.n_iter_[0] <= 2
    np.testing.assert_allclose(model.coef_, first, atol=1e-5)
    model.fit(X, np.arange(y.size) % 3)
    assert model.coef_.shape == (3, X.shape[1])


def test_warns_once_a_class_with_the_figures(cancer) -> None:
    X, y = cancer
    with pytest.warns(ConvergenceWarning, match=r"Stationarity .* tolerance"):
        ConcaveClassifier(0.001, penalty="log", max_iter=1, tol=1e-12).fit(X, y)


def test_faults_get_a_sentence(cancer) -> None:
    X, y = cancer
    with pytest.raises(ValueError, match="one class"):
        ConcaveClassifier().fit(X, np.ones(y.size))
    with pytest.raises(ValueError, match=r"class .* sample_weight 0"):
        ConcaveClassifier().fit(X, y, sample_weight=y)
    with pytest.raises(ValueError, match="weight"):
        ConcaveClassifier().fit(X, y, sample_weight=np.zeros(y.size))
    with pytest.raises(ValueError, match="Unknown label type"):
        ConcaveClassifier().fit(X, X[:, 0])
    with pytest.raises(TypeError, match="loss"):
        ConcaveClassifier(loss="logistic")


@pytest.mark.filterwarnings("ignore::convex_analysis.ConvergenceWarning")  # some labels are separable
def test_pipeline_grid_search_clone_pickle(iris) -> None:
    X, y = iris
    pipeline = make_pipeline(StandardScaler(), ConcaveClassifier(penalty="mcp"))
    search = GridSearchCV(pipeline, {"concaveclassifier__alpha": [0.001, 0.1]}, cv=3).fit(X, y)
    assert search.best_score_ > 0.9
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    np.testing.assert_array_equal(again.predict_proba(X), search.predict_proba(X))
    np.testing.assert_array_equal(clone(again).fit(X, y).predict(X), search.predict(X))
