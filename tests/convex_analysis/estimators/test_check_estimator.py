"""scikit-learn's own checks of an estimator."""

from typing import Any

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from convex_analysis import ConcaveClassifier, ConcaveClassifierCV, ConcaveRegressor, ConcaveRegressorCV

pytestmark = pytest.mark.filterwarnings("ignore::convex_analysis.GridEdgeWarning")

SHORT: dict[str, Any] = {"n_alphas": 4, "cv": 3}  # a shorter path and fewer folds: same code, less time


@parametrize_with_checks(
    [ConcaveRegressor(), ConcaveClassifier(), ConcaveRegressorCV(**SHORT), ConcaveClassifierCV(**SHORT)]
)
def test_scikit_learn_check(estimator: Any, check: Any) -> None:
    check(estimator)
