"""What the classifiers share: labels, scores, probabilities, and how more than two classes are fitted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets

from convex_analysis.estimators.linear_model import Fitted, linear_predictor
from convex_analysis.losses.loss import Vector
from convex_analysis.solution import Solution, Status


class LogisticPrediction(ClassifierMixin):  # type: ignore[misc]
    """Scores, probabilities and labels of a linear classifier."""

    multi_class: str

    classes_: NDArray[Any]
    coef_: Vector
    intercept_: Vector
    n_iter_: NDArray[np.intp]
    stationarity_: Vector
    status_: tuple[Status, ...]
    solutions_: tuple[Solution, ...]

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
        """Return probabilities, shape (n_samples, n_classes).

        The softmax of the scores, or with ``multi_class="ovr"`` each class's own, scaled to sum to one.
        """
        scores = self.decision_function(X)
        return of_second_class(scores) if scores.ndim == 1 else self._shares(scores)

    def _shares(self, scores: Vector) -> Vector:
        """Return probabilities from linear predictors of more than two classes (last axis)."""
        return one_against_the_rest(scores) if self.multi_class == "ovr" else np.asarray(softmax(scores, -1))

    def predict_log_proba(self, X: Any) -> Vector:
        """Return the logarithms of the probabilities, shape (n_samples, n_classes)."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def _with_class_weight(self, y: Any, weights: Vector | None) -> Vector | None:
        """Return the weights for training: of the samples, times those of their classes."""
        if self.class_weight is None:
            return weights
        own: Vector = np.ones(len(y)) if weights is None else weights
        if self.class_weight != "balanced":
            of_class: Vector = compute_sample_weight(self.class_weight, y)
        else:
            encoded = np.searchsorted(self.classes_, y)
            total = np.bincount(encoded, own)
            of_class = (total.sum() / (total.size * total))[encoded]
        return own * of_class

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

    def _problems(self, X: Any, encoded: NDArray[np.intp], weights: Vector | None) -> list[Any]:
        """State the problems: of the second class for two, else of all, or of each against the rest."""
        if self.classes_.size > 2 and self.multi_class == "multinomial":
            return [self._problem(X, encoded, "multinomial", weights)]
        classes = [1] if self.classes_.size == 2 else range(self.classes_.size)
        targets = [np.where(encoded == k, 1.0, -1.0) for k in classes]
        return [self._problem(X, target, "logistic", weights) for target in targets]

    def _keep(self, found: Sequence[Fitted], dtype: Any) -> None:
        """Keep the solutions, one a problem."""
        solutions = [one.solution for one in found]
        self.solutions_ = tuple(solutions)
        self.coef_ = np.vstack([one.coef for one in found]).astype(dtype, copy=False)
        self.intercept_ = np.hstack([one.intercept for one in found])
        self.n_iter_ = np.array([one.n_iter for one in solutions])
        self.stationarity_ = np.array([one.stationarity for one in solutions])
        self.status_ = tuple(one.status for one in solutions)


def of_second_class(scores: Vector) -> Vector:
    """Return probabilities of two classes (a new last axis) from linear predictors of the second."""
    return np.stack((_sigmoid(-scores), _sigmoid(scores)), axis=-1)


def one_against_the_rest(scores: Vector) -> Vector:
    """Return probabilities from linear predictors of each class (last axis), scaled to sum to one."""
    own = _sigmoid(scores)
    total = own.sum(axis=-1, keepdims=True)
    # Where every class is all but excluded, the scores decide.
    shifted = np.exp(scores - scores.max(axis=-1, keepdims=True))
    lost = total < 1e-300
    probabilities: Vector = np.where(lost, shifted, own) / np.where(
        lost, shifted.sum(axis=-1, keepdims=True), total
    )
    return probabilities


def _sigmoid(z: Vector) -> Vector:
    """Return ``1 / (1 + exp(-z))`` without overflow."""
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1.0, e) / (1.0 + e)
