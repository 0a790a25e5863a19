import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from concave_sparsity import SCAD
from convex_analysis import ConcaveClassifier, ConcaveClassifierCV

pytestmark = pytest.mark.filterwarnings("ignore::convex_analysis.GridEdgeWarning")


@pytest.fixture(scope="module")
def cancer() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_breast_cancer(return_X_y=True)
    return StandardScaler().fit_transform(X[:250]), y[:250]


@pytest.fixture(scope="module")
def iris() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(X), load_iris().target_names[y]


@pytest.mark.parametrize("which", ["cancer", "iris"])
def test_scores_are_held_out_log_losses(which, request) -> None:
    X, y = request.getfixturevalue(which)
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    alphas = [0.1, 0.03, 0.01]
    model = ConcaveClassifierCV(alphas=alphas, cv=folds, penalty="l1").fit(X, y)
    assert model.scores_.shape == model.accuracy_path_.shape == (3, 3)
    for f, (train, test) in enumerate(folds.split(X, y)):
        for a, alpha in enumerate(alphas):
            alone = ConcaveClassifier(alpha, penalty="l1").fit(X[train], y[train])
            expected = -log_loss(y[test], alone.predict_proba(X[test]), labels=model.classes_)
            np.testing.assert_allclose(model.scores_[a, f], expected, rtol=1e-4)
            np.testing.assert_allclose(model.accuracy_path_[a, f], alone.score(X[test], y[test]))
    assert model.alpha_ == model.alphas_[model.scores_.mean(axis=1).argmax()]
    whole = ConcaveClassifier(model.alpha_, penalty="l1").fit(X, y)
    np.testing.assert_allclose(model.coef_, whole.coef_, atol=1e-5)


@pytest.mark.filterwarnings("ignore::convex_analysis.ConvergenceWarning")  # some folds are separable
def test_concave_is_sparser_at_like_accuracy(cancer) -> None:
    X, y = cancer
    lasso = ConcaveClassifierCV(penalty="l1", n_alphas=10, cv=3).fit(X, y)
    scad = ConcaveClassifierCV(
        penalty=SCAD.classical, penalty_parameters={"a": 8.0}, n_alphas=10, cv=3, alpha_min_ratio=0.05
    ).fit(X, y)
    assert np.count_nonzero(scad.coef_) <= np.count_nonzero(lasso.coef_)
    assert scad.score(X, y) > 0.9


def test_many_classes(iris) -> None:
    X, y = iris
    model = ConcaveClassifierCV(n_alphas=5, cv=3).fit(X, y)
    assert model.coef_.shape == (3, 4)
    assert model.predict_proba(X).shape == (150, 3)
    assert len(model.solutions_) == len(model.status_) == 1
    assert model.score(X, y) > 0.9
    assert isinstance(model.alpha_, float)


def test_sparse_equals_dense(cancer) -> None:
    X, y = cancer
    X = np.where(np.abs(X) > 0.7, X, 0.0)
    dense = ConcaveClassifierCV(n_alphas=4, cv=3, penalty="l1").fit(X, y)
    loose = ConcaveClassifierCV(n_alphas=4, cv=3, penalty="l1").fit(sparse.csr_matrix(X), y)
    np.testing.assert_allclose(dense.scores_, loose.scores_, rtol=1e-4)
    np.testing.assert_allclose(dense.coef_, loose.coef_, atol=1e-5)


def test_weights_count_in_training_and_in_judgement(cancer) -> None:
    X, y = cancer
    weight = np.ones(y.size)
    weight[::5] = 0.0
    keep = weight > 0
    where = np.flatnonzero(keep)
    place = {index: i for i, index in enumerate(where)}
    folds = list(StratifiedKFold(3).split(X, y))
    kept = [tuple(np.array([place[i] for i in part if i in place]) for part in fold) for fold in folds]
    settings = {"alphas": [0.1, 0.02], "penalty": "l1"}
    weighted = ConcaveClassifierCV(cv=folds, **settings).fit(X, y, sample_weight=weight)
    left_out = ConcaveClassifierCV(cv=kept, **settings).fit(X[keep], y[keep])
    np.testing.assert_allclose(weighted.scores_, left_out.scores_, rtol=1e-4)
    np.testing.assert_allclose(weighted.coef_, left_out.coef_, atol=1e-5)


def test_faults_get_a_sentence(cancer) -> None:
    X, y = cancer
    with pytest.raises(ValueError, match="one class"):
        ConcaveClassifierCV().fit(X, np.zeros(y.size))
    with pytest.raises(ValueError, match="selection"):
        ConcaveClassifierCV(selection="worst").fit(X, y)
