"""Logistic regression with a concave penalty whose strength is chosen by cross-validation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from convex_analysis.estimators.alpha_choice import (
    CHOICE_RULES,
    AlphaChoice,
    Solutions,
    path_predictor,
    weighted_mean,
)
from convex_analysis.estimators.linear_model import SHARED_RULES, read_weights
from convex_analysis.estimators.logistic_prediction import LogisticPrediction, of_second_class
from convex_analysis.estimators.penalties import PenaltyLike
from convex_analysis.losses.loss import Vector


class ConcaveClassifierCV(LogisticPrediction, AlphaChoice):
    """`ConcaveClassifier` with alpha chosen by cross-validation, one alpha for all classes.

    Parameters
    ----------
    alphas
        Alphas to try, or how many; by default ``n_alphas`` of them, from the least at which all
        coefficients of all classes are zero down to ``alpha_min_ratio`` times that.
    n_alphas, alpha_min_ratio
        The default grid.
    cv
        Folds: a number, a scikit-learn splitter, or pairs of indices; five stratified ones by default.
    selection
        "best": the least mean held-out log-loss; "one-standard-error": the largest alpha whose
        held-out log-loss is within one standard error of it (fewer features).
    scoring
        What alpha is chosen by in place of the held-out loss: a name or a function, as in scikit-learn.
    n_jobs
        Folds solved at the same time, as in scikit-learn.
    multi_class, shared_support
        As in `ConcaveClassifier`.
    class_weight
        As in `ConcaveClassifier`; held-out samples are judged by their own weights alone.
    penalty, penalty_parameters, l2, lower, upper, penalty_factor, fit_intercept, start, tol, max_iter
        As in `ConcaveRegressor`.

    Attributes
    ----------
    alpha_ : float
        The alpha chosen.
    alphas_ : array of shape (n_alphas,)
        Alphas tried, falling.
    coef_path_, intercept_path_ : arrays of shape (n_alphas, ...)
        Coefficients and intercepts at each alpha, on all samples.
    scores_ : array of shape (n_alphas, n_folds)
        What alpha is chosen by: the scorer's values, or minus the log-loss, on each fold's held-out samples.
    accuracy_path_ : array of shape (n_alphas, n_folds)
        Share of each fold's held-out samples that are classified rightly.
    classes_, coef_, intercept_, n_iter_, stationarity_, status_, solutions_, n_features_in_
        As in `ConcaveClassifier`, at the alpha chosen.
    """

    _rules: ClassVar = {**CHOICE_RULES, **SHARED_RULES}
    _classifies: ClassVar = True

    scores_: Vector
    accuracy_path_: Vector

    def __init__(
        self,
        *,
        alphas: Any = None,
        n_alphas: int = 50,
        alpha_min_ratio: float = 0.01,
        cv: Any = None,
        selection: str = "best",
        scoring: Any = None,
        n_jobs: int | None = None,
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
    ) -> None:
        self.alphas = alphas
        self.n_alphas = n_alphas
        self.alpha_min_ratio = alpha_min_ratio
        self.cv = cv
        self.selection = selection
        self.scoring = scoring
        self.n_jobs = n_jobs
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

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, groups: Any = None, **params: Any) -> Self:
        """Choose alpha and fit the model.

        Parameters
        ----------
        X
            Data, shape (n_samples, n_features), dense or scipy sparse.
        y
            Labels, shape (n_samples,), of two classes or more.
        sample_weight
            Weight of each sample, not negative, in training and in held-out losses.
        groups
            Group of each sample, shape (n_samples,), for splitters that keep groups together.
        **params
            Other metadata for the splitter and the scorer, where scikit-learn's metadata routing is enabled.

        Raises
        ------
        ValueError, TypeError
            One sentence on what is wrong with a parameter or the data.

        Warns
        -----
        ConvergenceWarning
            Once, if the solver stopped before ``tol`` anywhere; the message gives the worst figures.
        GridEdgeWarning
            If the best alpha is the smallest of the grid.
        """
        self._check_parameters()
        X, y = self._read(X, y)
        weights = read_weights(sample_weight, X.shape[0])
        encoded = self._read_labels(y, weights)
        trained = self._with_class_weight(y, weights)
        rows = X.tocsr() if hasattr(X, "tocsr") else X

        def judge(found: list[Solutions], test: NDArray[np.intp], weights: Vector | None) -> Vector:
            each = [path_predictor(rows[test], path) for path in found]
            scores = each[0] if each[0].ndim == 3 else np.stack(each, axis=2)
            truth = encoded[test]
            shares = of_second_class(scores[:, :, 0]) if scores.shape[2] == 1 else self._shares(scores)
            own = np.take_along_axis(shares, truth[:, None, None], axis=2)[:, :, 0]
            smallest = np.finfo(np.float64).tiny
            log_loss = weighted_mean(-np.log(np.maximum(own, smallest)), weights)
            right = weighted_mean((shares.argmax(axis=2) == truth[:, None]).astype(np.float64), weights)
            return np.column_stack((log_loss, right))

        problems = self._problems(X, encoded, trained)
        passed = params if groups is None else {**params, "groups": groups}
        solutions, table = self._choose_alpha((rows, y), problems, encoded, (trained, weights), judge, passed)
        self.scores_, self.accuracy_path_ = -table[:, :, 0], table[:, :, -1]
        self._keep(solutions, X.dtype)
        return self
