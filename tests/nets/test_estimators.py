"""Tickets as scikit-learn estimators: its own checks, a Pipeline, a grid, the same seed the same result."""

import pickle

import numpy as np
import pytest
from sklearn.datasets import load_iris, make_regression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from nets import TicketClassifier, TicketRegressor

QUICK = {"hidden": (20,), "density": 0.5, "epochs": 30}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        pair
        for e in (TicketClassifier(**QUICK), TicketRegressor(**QUICK))
        for pair in estimator_checks_generator(e)
    ],
    ids=lambda value: getattr(getattr(value, "func", value), "__name__", type(value).__name__),
)
def test_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


def test_classifier_in_a_pipeline():
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    train_x, test_x, train_y, test_y = train_test_split(X, names, random_state=0, stratify=y)
    pipeline = make_pipeline(StandardScaler(), TicketClassifier((30,), density=0.3, epochs=40))
    assert pipeline.fit(train_x, train_y).score(test_x, test_y) > 0.9
    classifier = pipeline[-1]
    assert classifier.ticket_.density == pytest.approx(0.3, abs=0.01)
    zeros = sum(int((p == 0).sum()) for p in classifier.network_.parameters() if p.dim() == 2)
    assert zeros >= classifier.ticket_.total - classifier.ticket_.kept
    shares = pipeline.predict_proba(test_x)
    assert np.allclose(shares.sum(1), 1)
    assert (pipeline.predict(test_x) == classifier.classes_[shares.argmax(1)]).all()
    again = pickle.loads(pickle.dumps(pipeline))
    assert np.array_equal(again.predict_proba(test_x), shares)
    assert np.array_equal(pipeline.fit(train_x, train_y).predict_proba(test_x), shares)


def test_regressor_and_grid():
    X, y = make_regression(150, 6, n_informative=3, noise=0.1, random_state=0)
    regressor = TicketRegressor(**QUICK).fit(X, y)
    assert regressor.score(X, y) > 0.95
    assert regressor.predict(X).shape == y.shape
    both = TicketRegressor(**QUICK).fit(X, np.stack([y, -y], axis=1))
    assert both.predict(X[:4]).shape == (4, 2)
    search = GridSearchCV(TicketRegressor((10,), epochs=3), {"density": [0.3, 1.0]}, cv=2).fit(X, y)
    assert search.best_params_["density"] in (0.3, 1.0)


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="y has one class only"):
        TicketClassifier().fit(np.zeros((5, 2)), np.zeros(5))
