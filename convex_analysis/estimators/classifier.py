"""Logistic regression with a concave penalty, two classes or more, as a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from convex_analysis.estimators.linear_model import (
    ALPHA_RULE,
    SHARED_RULES,
    ConcaveLinearModel,
    linear_predictor,
    read_weights,
)
from convex_analysis.estimators.penalties import PenaltyLike
from convex_analysis.losses.loss import Vector
from convex_analysis.solution import Solution, Status


class LogisticPrediction(ClassifierMixin):  # type: ignore[misc]
    """Scores, probabilities and labels of a linear classifier fitted one class against the rest."""

    classes_: NDArray[Any]
    coef_: Vector
    intercept_: Vector

    def decision_function(self, X: Any) -> Vector:
        """Return linear predictors, (n_samples, n_classes); for two classes of the second, (n_samples,)."""
        scores = linear_predictor(self._read_for_prediction(X), self.coef_, self.intercept_)
        return scores[:, 0] if self.coef_.shape[0] == 1 else scores

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the labels predicted, shape (n_samples,)."""
        scores = self.decision_function(X)
        chosen = (scores > 0).astype(np.intp) if scores.ndim == 1 else scores.argmax(axis=1)
        labels: NDArray[Any] = self.classes_[chosen]
        return labels

    def predict_proba(self, X: Any) -> Vector:
        """Return probabilities, shape (n_samples, n_classes): one against the rest, scaled to sum to one."""
        scores = self.decision_function(X)
        own = _sigmoid(scores)
        if scores.ndim == 1:
            return np.column_stack((_sigmoid(-scores), own))
        total = own.sum(axis=1, keepdims=True)
        # Where every class is all but excluded, the scores decide.
        lost = total[:, 0] < 1e-300
        if lost.any():
            shifted = np.exp(scores[lost] - scores[lost].max(axis=1, keepdims=True))
            own[lost], total[lost] = shifted, shifted.sum(axis=1, keepdims=True)
        probabilities: Vector = own / total
        return probabilities

    def predict_log_proba(self, X: Any) -> Vector:
        """Return the logarithms of the probabilities, shape (n_samples, n_classes)."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def _read_labels(self, y: Any, weights: Vector | None) -> NDArray[np.intp]:
        """Keep the classes and return each sample's index among them.

        Raises
        ------
        ValueError
            If there are fewer than two classes, or if a class has no weight.
        """
        check_classification_targets(y)
        self.classes_, encoded = np.unique(y, return_inverse=True)
        if self.classes_.size < 2:
            raise ValueError(
                f"{type(self).__name__} needs samples of at least two classes; all are of one class, "
                f"{self.classes_[0]!r}."
            )
        if weights is not None and weights.shape == encoded.shape and weights.dtype.kind in "fiub":
            total = np.bincount(encoded, weights)
            if (total > 0).any() and (total == 0).any():
                empty = self.classes_[total == 0][0]
                raise ValueError(
                    f"all samples of class {empty!r} have sample_weight 0: leave the class out or weigh it."
                )
        return encoded

    def _binary_targets(self, encoded: NDArray[np.intp]) -> list[Vector]:
        """Return targets -1 and 1: of the second class for two, else of each class against the rest."""
        classes = [1] if self.classes_.size == 2 else range(self.classes_.size)
        return [np.where(encoded == k, 1.0, -1.0) for k in classes]


class ConcaveClassifier(LogisticPrediction, ConcaveLinearModel):
    """Logistic regression with a concave penalty; more than two classes are fitted one against the rest.

    Minimises ``sum_i s_i log(1 + exp(-y_i (x_i'w + b))) + alpha sum_j factor_j r(|w_j|)`` over
    ``lower <= w <= upper`` for each class, with sample weights s that sum to one.

    Parameters
    ----------
    alpha
        Strength of the penalty, not negative. With ``penalty="l1"`` and two classes the model is
        ``sklearn.linear_model.LogisticRegression(l1_ratio=1, C=1 / (n_samples * alpha))``.
    penalty, penalty_parameters, lower, upper, penalty_factor, fit_intercept, start, tol, max_iter
        As in `ConcaveRegressor`.
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
    n_iter_ : array of shape (1,) or (n_classes,)
        Majorize-minimize steps of each fit.
    stationarity_ : array of shape (1,) or (n_classes,)
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

    n_iter_: NDArray[np.intp]
    stationarity_: Vector
    status_: tuple[Status, ...]
    solutions_: tuple[Solution, ...]

    def __init__(
        self,
        alpha: float = 0.1,
        *,
        penalty: PenaltyLike = "mcp",
        penalty_parameters: Mapping[str, Any] | None = None,
        lower: Any = -np.inf,
        upper: Any = np.inf,
        penalty_factor: Any = None,
        fit_intercept: bool = True,
        start: str = "l1",
        tol: float = 1e-6,
        max_iter: int = 1000,
        warm_start: bool = False,
    ) -> None:
        self.alpha = alpha
        self.penalty = penalty
        self.penalty_parameters = penalty_parameters
        self.lower = lower
        self.upper = upper
        self.penalty_factor = penalty_factor
        self.fit_intercept = fit_intercept
        self.start = start
        self.tol = tol
        self.max_iter = max_iter
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
        sklearn.exceptions.ConvergenceWarning
            If the solver stopped before ``tol``; the message gives both figures.
        """
        self._check_parameters()
        X, y = validate_data(self, X, y, accept_sparse="csc", dtype=(np.float64, np.float32))
        weights = read_weights(sample_weight, X.shape[0])
        targets = self._binary_targets(self._read_labels(y, weights))
        starts = self._last_coefficients((len(targets), X.shape[1]))
        found = [
            self._solve(self._problem(X, target, "logistic", float(self.alpha), weights), start)
            for target, start in zip(targets, starts)
        ]
        self._keep(found)
        return self

    def _last_coefficients(self, shape: tuple[int, int]) -> Sequence[Vector | None]:
        last = getattr(self, "coef_", None) if self.warm_start else None
        return list(last) if last is not None and last.shape == shape else [None] * shape[0]

    def _keep(self, found: list[Solution]) -> None:
        self.solutions_ = tuple(found)
        self.coef_ = np.array([one.x for one in found])
        self.intercept_ = np.array([one.intercept for one in found])
        self.n_iter_ = np.array([one.n_iter for one in found])
        self.stationarity_ = np.array([one.stationarity for one in found])
        self.status_ = tuple(one.status for one in found)


def _sigmoid(z: Vector) -> Vector:
    """Return ``1 / (1 + exp(-z))`` without overflow."""
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1.0, e) / (1.0 + e)
