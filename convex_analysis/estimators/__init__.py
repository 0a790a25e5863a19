"""scikit-learn estimators: thin layers over the problems and the solver of this package."""

from __future__ import annotations

from convex_analysis.estimators.classifier import ConcaveClassifier
from convex_analysis.estimators.classifier_cv import ConcaveClassifierCV
from convex_analysis.estimators.regressor import ConcaveRegressor
from convex_analysis.estimators.regressor_cv import ConcaveRegressorCV

__all__ = ["ConcaveClassifier", "ConcaveClassifierCV", "ConcaveRegressor", "ConcaveRegressorCV"]
