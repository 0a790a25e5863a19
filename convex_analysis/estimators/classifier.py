"""Logistic regression with a concave penalty, two classes or more, as a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from convex_analysis.estimators.linear_model import (
    ALPHA_RULE,
    SHARED_RULES,
    ConcaveLinearModel,
    read_weights,
)
from convex_analysis.estimators.logistic_prediction import LogisticPrediction
from convex_analysis.estimators.penalties import PenaltyLike


class ConcaveClassifier(LogisticPrediction, ConcaveLinearModel):
    """Logistic regression with a concave penalty; multinomial for more than two classes.

    Minimises ``sum_i s_i log(1 + exp(-y_i (x_i'w + b))) + alpha sum_j factor_j r(|w_j|)`` over
    ``lower <= w <= upper``, with sample weights s that sum to one; for more than two classes
    ``-sum_i s_i log softmax(W x_i + b)`` of each sample's class, plus the penalty of all entries of W.

    Parameters
    ----------
    alpha
        Strength of the penalty, not negative. With ``penalty="l1"`` the model is
        ``sklearn.linear_model.LogisticRegression(l1_ratio=1, C=1 / (n_samples * alpha))``.
    penalty, penalty_parameters, l2, lower, upper, penalty_factor, fit_intercept, start, tol, max_iter
        As in `ConcaveRegressor`.
    multi_class
        "multinomial", or "ovr": more than two classes are fitted one against the rest.
    shared_support
        With more than two multinomial classes: whether the penalty acts on the norm of each feature's
        coefficients, ``r(||w_.j||)``, so that a feature stays or goes for all classes. No bounds then.
    class_weight
        Weights of the classes: a dict by label, or "balanced", inversely to how often they occur.
    warm_start
        Whether fit starts from the coefficients of the last fit, if the classes are as many.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        Labels, sorted.
    coef_ : array of shape (1, n_features) for two classes, else (n_classes, n_features)
        Coefficients.
    intercept_ : array of shape (1,) or (n_classes,)
        Intercepts.
    n_iter_ : array of shape (1,), or (n_classes,) with "ovr"
        Majorize-minimize steps of each fit.
    stationarity_ : array of shape (1,), or (n_classes,) with "ovr"
        First-order violation of each fit.
    status_ : tuple of Status
        How each fit ended.
    solutions_ : tuple of Solution
        The points with their certificates.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : array of shape (n_features,)
        Names of the features, where X has them.
    """

    _rules: ClassVar = {**ALPHA_RULE, **SHARED_RULES}

    def __init__(
        self,
        alpha: float = 0.1,
        *,
        penalty: PenaltyLike = "log",
        penalty_parameters: Mapping[str, Any] | None = None,
        l2: float = 0.0,
        lower: Any = -np.inf,
        upper: Any = np.inf,
        penalty_factor: Any = None,
        fit_intercept: bool = True,
        start: str | None = None,
        tol: float = 1e-8,
        max_iter: int = 1000,
        multi_class: str = "multinomial",
        shared_support: bool = False,
        class_weight: Any = None,
        warm_start: bool = False,
    ) -> None:
        self.alpha = alpha
        self.penalty = penalty
        self.penalty_parameters = penalty_parameters
        self.l2 = l2
        self.lower = lower
        self.upper = upper
        self.penalty_factor = penalty_factor
        self.fit_intercept = fit_intercept
        self.start = start
        self.tol = tol
        self.max_iter = max_iter
        self.multi_class = multi_class
        self.shared_support = shared_support
        self.class_weight = class_weight
        self.warm_start = warm_start

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X
            Data, shape (n_samples, n_features), dense or scipy sparse (CSC is used as it is).
        y
            Labels, shape (n_samples,), of two classes or more.
        sample_weight
            Weight of each sample, not negative; a weight of 2 equals a row that occurs twice.

        Raises
        ------
        ValueError, TypeError
            One sentence on what is wrong with a parameter or the data.

        Warns
        -----
        ConvergenceWarning
            If the solver stopped before ``tol``; the message gives both figures.
        """
        self._check_parameters()
        X, y = self._read(X, y)
        weights = read_weights(sample_weight, X.shape[0])
        encoded = self._read_labels(y, weights)
        problems = self._problems(X, encoded, self._with_class_weight(y, weights))
        of_each = self.classes_.size if self.classes_.size > 2 else 1
        last = self._last_coefficients((of_each, X.shape[1]))
        starts = [None] * of_each if last is None else last
        if len(problems) < of_each:
            starts = [last]
        alpha = float(self.alpha)
        found = [self._solve(self._at(one, alpha), start) for one, start in zip(problems, starts)]
        self._keep(found, X.dtype)
        return self
