"""scikit-learn's own checks of an estimator."""

from typing import Any

from sklearn.utils.estimator_checks import parametrize_with_checks

from convex_analysis import ConcaveClassifier, ConcaveClassifierCV, ConcaveRegressor, ConcaveRegressorCV

SHORT: dict[str, Any] = {"n_alphas": 4, "cv": 3}  # a shorter path and fewer folds: same code, less time


def expected_to_fail(estimator: Any) -> dict[str, str]:
    """Say where weighted and repeated data, equal but for rounding, may end in different local minima."""
    if isinstance(estimator, ConcaveRegressorCV | ConcaveClassifierCV):
        reason = "rounding may lead a path of concave problems to another local minimum"
        return {f"check_sample_weight_equivalence_on_{kind}_data": reason for kind in ("dense", "sparse")}
    return {}


@parametrize_with_checks(
    [ConcaveRegressor(), ConcaveClassifier(), ConcaveRegressorCV(**SHORT), ConcaveClassifierCV(**SHORT)],
    expected_failed_checks=expected_to_fail,
)
def test_scikit_learn_check(estimator: Any, check: Any) -> None:
    check(estimator)
