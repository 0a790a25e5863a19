"""What users of scikit-learn expect of every estimator: searches, groups, scoring, weights, warnings."""

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import ConvergenceWarning as SklearnConvergenceWarning
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import ElasticNet, LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_validate

import convex_analysis
from concave_sparsity import MCP, Log
from convex_analysis import (
    ConcaveClassifier,
    ConcaveClassifierCV,
    ConcaveRegressor,
    ConcaveRegressorCV,
    GridEdgeWarning,
    majorize_minimize,
)

pytestmark = pytest.mark.filterwarnings("ignore::convex_analysis.GridEdgeWarning")
RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 12))
Y = X[:, :2] @ [3.0, 0.5] + 0.3 * RNG.standard_normal(60)
LABELS = np.where(Y > 0.3, "yes", "no")


@pytest.mark.parametrize(
    "model",
    [
        ConcaveRegressor(0.1),
        ConcaveRegressorCV(n_alphas=5),
        ConcaveClassifier(0.01),
        ConcaveClassifierCV(n_alphas=5),
    ],
)
def test_select_from_model_keeps_every_nonzero_coefficient(model) -> None:
    y = LABELS if "Classifier" in type(model).__name__ else Y
    fitted = clone(model).fit(X, y)
    kept = SelectFromModel(model).fit(X, y).get_support()
    np.testing.assert_array_equal(kept, np.ravel(fitted.coef_) != 0.0)
    assert kept.sum() > (0 if "Classifier" in type(model).__name__ else 1)
    assert type(model).__name__ == type(model).__qualname__


def test_a_search_over_the_parameters_of_a_frozen_penalty() -> None:
    penalty = Log(0.1)
    search = GridSearchCV(ConcaveRegressor(0.1, penalty=penalty), {"penalty__eps": [0.01, 1.0]}).fit(X, Y)
    assert search.best_estimator_.penalty in (Log(0.01), Log(1.0))
    assert penalty == Log(0.1)
    named = GridSearchCV(ConcaveRegressor(0.1, penalty="mcp"), {"penalty__gamma": [1.0, 3.0]}).fit(X, Y)
    assert named.best_params_["penalty__gamma"] in (1.0, 3.0)
    shaped = ConcaveRegressor(0.1, penalty=MCP.classical).set_params(penalty__gamma=4.0)
    assert shaped.penalty_parameters == {"gamma": 4.0}
    assert ConcaveRegressor(penalty=Log(0.3)).get_params()["penalty__eps"] == 0.3
    assert ConcaveRegressor(penalty="log").get_params()["penalty__eps"] == Log().eps
    assert "penalty__eps" not in ConcaveRegressor(penalty=Log(0.3)).get_params(deep=False)
    both = ConcaveRegressor(penalty="log").set_params(penalty="mcp", penalty__gamma=2.0)
    assert (both.penalty, both.penalty_parameters) == ("mcp", {"gamma": 2.0})
    for penalty in (Log(0.1), "log"):
        with pytest.raises(ValueError, match="penalty__gamma cannot be set"):
            ConcaveRegressor(penalty=penalty).set_params(penalty__gamma=1.0)


@pytest.mark.parametrize("kind", [ConcaveRegressorCV, ConcaveClassifierCV])
def test_groups_reach_the_splitter(kind) -> None:
    y = LABELS if kind is ConcaveClassifierCV else Y
    groups = np.repeat(np.arange(10), 6)
    folds = list(GroupKFold(5).split(X, y, groups))
    expected = kind(n_alphas=4, cv=folds).fit(X, y)
    given = kind(n_alphas=4, cv=GroupKFold(5)).fit(X, y, groups=groups)
    np.testing.assert_array_equal(given.scores_, expected.scores_)
    with pytest.raises(ValueError, match="groups"):
        kind(n_alphas=4, cv=GroupKFold(5)).fit(X, y)
    with sklearn.config_context(enable_metadata_routing=True):
        routed = kind(n_alphas=4, cv=GroupKFold(5)).fit(X, y, groups=groups)
        np.testing.assert_array_equal(routed.scores_, expected.scores_)
        outer = cross_validate(
            kind(n_alphas=3, cv=GroupKFold(2)), X, y, cv=GroupKFold(3), params={"groups": groups},
            return_estimator=True,
        )  # fmt: skip
        assert outer["estimator"][0].scores_.shape == (3, 2)


def test_scoring_chooses_alpha() -> None:
    folds = KFold(3)
    model = ConcaveClassifierCV(n_alphas=5, cv=folds, scoring="roc_auc", penalty="l1").fit(X, LABELS)
    assert model.scores_.shape == (5, 3)
    train, test = next(folds.split(X))
    alone = ConcaveClassifier(model.alphas_[2], penalty="l1").fit(X[train], LABELS[train])
    expected = roc_auc_score(LABELS[test], alone.decision_function(X[test]))
    assert model.scores_[2, 0] == pytest.approx(expected, abs=1e-6)
    assert model.alpha_ == model.alphas_[model.scores_.mean(axis=1).argmax()]
    absolute = ConcaveRegressorCV(n_alphas=5, scoring="neg_mean_absolute_error").fit(X, Y)
    assert (absolute.scores_ < 0.0).all()
    assert (absolute.mse_path_ > 0.0).all()
    assert absolute.alpha_ == absolute.alphas_[absolute.scores_.mean(axis=1).argmax()]


@pytest.mark.parametrize("weight", ["balanced", {"yes": 3.0, "no": 0.5}])
def test_class_weight(weight) -> None:
    sample = np.linspace(0.5, 1.5, 60)
    own = ConcaveClassifier(0.02, penalty="l1", class_weight=weight).fit(X, LABELS, sample_weight=sample)
    if weight == "balanced":  # by the weights of the samples, so that rows of weight zero change nothing
        total = sample.sum()
    else:
        total = (sample * sklearn.utils.compute_sample_weight(weight, LABELS)).sum()
    peer = LogisticRegression(
        l1_ratio=1.0, C=1.0 / (0.02 * total), solver="saga", tol=1e-10, max_iter=100_000, class_weight=weight
    ).fit(X, LABELS, sample_weight=sample)
    np.testing.assert_allclose(own.coef_, peer.coef_, atol=1e-4)
    chosen = ConcaveClassifierCV(alphas=[0.02, 0.01], class_weight=weight, penalty="l1").fit(X, LABELS)
    alone = ConcaveClassifier(chosen.alpha_, penalty="l1", class_weight=weight).fit(X, LABELS)
    np.testing.assert_allclose(chosen.coef_, alone.coef_, atol=1e-5)


def test_coefficient_paths() -> None:
    model = ConcaveRegressorCV(n_alphas=6).fit(X, Y)
    assert model.coef_path_.shape == (6, 12)
    assert model.intercept_path_.shape == (6,)
    at = int(np.flatnonzero(model.alphas_ == model.alpha_)[0])
    np.testing.assert_array_equal(model.coef_path_[at], model.coef_)
    assert not model.coef_path_[0].any()
    three = ConcaveClassifierCV(n_alphas=4, cv=3).fit(X, np.digitize(Y, [-1.0, 1.0]))
    assert three.coef_path_.shape == (4, 3, 12)
    assert three.intercept_path_.shape == (4, 3)


def test_a_number_of_alphas() -> None:
    assert ConcaveRegressorCV(alphas=7).fit(X, Y).alphas_.shape == (7,)
    np.testing.assert_array_equal(
        ConcaveRegressorCV(alphas=7).fit(X, Y).alphas_, ConcaveRegressorCV(n_alphas=7).fit(X, Y).alphas_
    )
    np.testing.assert_array_equal(ConcaveRegressorCV(alphas=[0.5, 0.1]).fit(X, Y).alphas_, [0.5, 0.1])


@pytest.mark.filterwarnings("default::convex_analysis.GridEdgeWarning")
def test_the_edge_of_the_grid_is_told_with_the_remedy() -> None:
    cancer, y = load_breast_cancer(return_X_y=True)
    with pytest.warns(GridEdgeWarning, match="the best alpha is the smallest of its grid.*alpha_min_ratio"):
        ConcaveClassifierCV(penalty="l1", n_alphas=6, cv=3, tol=1e-4).fit(cancer / cancer.max(axis=0), y)
    with pytest.warns(GridEdgeWarning, match="give smaller alphas"):
        ConcaveRegressorCV(alphas=[4.0, 3.0, 2.0], penalty="l1").fit(X, Y)
    problem = convex_analysis.RegressionProblem(X, Y)
    with pytest.warns(GridEdgeWarning, match="the best lam is the smallest.*smaller lams"):
        convex_analysis.cross_validate(problem, [2.0, 1.5, 1.0])


def test_rows_without_weight_change_no_fold() -> None:
    more = np.vstack([X, 5.0 + RNG.standard_normal((23, 12))])
    targets = np.append(Y, RNG.standard_normal(23))
    weight = np.append(np.ones(60), np.zeros(23))
    for cv in (None, 4, KFold(3, shuffle=True, random_state=0)):
        plain = ConcaveRegressorCV(n_alphas=4, cv=cv).fit(X, Y)
        padded = ConcaveRegressorCV(n_alphas=4, cv=cv).fit(more, targets, sample_weight=weight)
        np.testing.assert_allclose(padded.loss_path_, plain.loss_path_, rtol=1e-8)
        np.testing.assert_allclose(padded.coef_, plain.coef_, atol=1e-8)


def test_the_default_start_and_tolerance_are_the_solvers() -> None:
    model = ConcaveRegressor(0.05, fit_intercept=False).fit(X, Y)
    assert model.start is None
    problem = convex_analysis.RegressionProblem(X, Y, penalty=Log(), lam=0.05)
    np.testing.assert_array_equal(model.coef_, majorize_minimize(problem).x)


def test_single_precision_in_is_single_precision_out() -> None:
    for model, y in ((ConcaveRegressor(0.1), Y), (ConcaveClassifier(0.01), LABELS)):
        fitted = model.fit(X.astype(np.float32), y)
        assert fitted.coef_.dtype == np.float32
        assert clone(model).fit(X, y).coef_.dtype == np.float64
    assert ConcaveRegressorCV(n_alphas=3).fit(X.astype(np.float32), Y).coef_path_.dtype == np.float32


def test_an_early_stop_warns_in_scikit_learns_class() -> None:
    assert issubclass(convex_analysis.ConvergenceWarning, SklearnConvergenceWarning)


def test_a_star_brings_the_estimators_and_hides_no_names_of_others() -> None:
    names: dict[str, object] = {}
    exec("from convex_analysis import *", names)  # what users type
    assert {"ConcaveRegressor", "ConcaveClassifierCV", "RegressionProblem", "majorize_minimize"} <= set(names)
    hidden = {"path", "Path", "solve", "cross_validate", "ConvergenceWarning", "reference", "losses"}
    assert not hidden & set(names)
    for name in hidden:
        assert getattr(convex_analysis, name) is not None


def test_messages_use_the_callers_names() -> None:
    with pytest.raises(ValueError, match="give alphas yourself"):
        ConcaveRegressorCV(lower=0.5).fit(X, Y)
    with pytest.raises(ValueError, match="alphas must be"):
        ConcaveRegressorCV(alphas=[np.inf]).fit(X, Y)


def test_l2_is_the_ridge_of_the_elastic_net() -> None:
    own = ConcaveRegressor(0.06, penalty="l1", l2=0.14, tol=1e-10).fit(X, Y)
    peer = ElasticNet(alpha=0.2, l1_ratio=0.3, tol=1e-12, max_iter=100_000).fit(X, Y)
    np.testing.assert_allclose(own.coef_, peer.coef_, atol=1e-7)
    assert own.intercept_ == pytest.approx(peer.intercept_, abs=1e-7)
    shrunk = ConcaveClassifierCV(n_alphas=3, l2=1.0).fit(X, LABELS)
    assert np.abs(shrunk.coef_).max() < np.abs(ConcaveClassifierCV(n_alphas=3).fit(X, LABELS).coef_).max()
    with pytest.raises(ValueError, match="l2 of ConcaveRegressor must be"):
        ConcaveRegressor(l2=-1.0).fit(X, Y)
