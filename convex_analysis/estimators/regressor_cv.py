"""Regression with a concave penalty whose strength is chosen by cross-validation."""

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
from convex_analysis.estimators.linear_model import LOSS_RULE, SHARED_RULES, read_weights
from convex_analysis.estimators.penalties import PenaltyLike
from convex_analysis.estimators.regressor import LinearPrediction
from convex_analysis.losses import Loss, loss_named
from convex_analysis.losses.loss import Vector


class ConcaveRegressorCV(LinearPrediction, AlphaChoice):
    """`ConcaveRegressor` with alpha chosen by cross-validation on a path of falling alphas.

    Each alpha starts from the solution of the one before, on every fold and at last on all samples:
    with a concave penalty such a path reaches better minima than one alpha alone.

    Parameters
    ----------
    alphas
        Alphas to try, or how many; by default ``n_alphas`` of them, from the least at which all
        coefficients are zero down to ``alpha_min_ratio`` times that.
    n_alphas, alpha_min_ratio
        The default grid.
    cv
        Folds: a number, a scikit-learn splitter, or pairs of indices; five without shuffling by default.
    selection
        "best": the least mean held-out loss; "one-standard-error": the largest alpha whose held-out
        loss is within one standard error of it (fewer features).
    scoring
        What alpha is chosen by in place of the held-out loss: a name or a function, as in scikit-learn.
    n_jobs
        Folds solved at the same time, as in scikit-learn.
    penalty, penalty_parameters, l2, loss, lower, upper, penalty_factor, fit_intercept, start
    shared_support, tol, max_iter
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
        What alpha is chosen by, larger is better: the scorer's values, or minus the held-out loss.
    mse_path_ : array of shape (n_alphas, n_folds)
        Squared error on each fold's held-out samples.
    loss_path_ : array of shape (n_alphas, n_folds)
        The loss itself there (half the squared error for "linear").
    coef_, intercept_, n_iter_, stationarity_, status_, solution_, n_features_in_, feature_names_in_
        As in `ConcaveRegressor`, at the alpha chosen.
    """

    _rules: ClassVar = {**CHOICE_RULES, **LOSS_RULE, **SHARED_RULES}
    _classifies: ClassVar = False

    scores_: Vector
    mse_path_: Vector
    loss_path_: Vector

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
        loss: str | Loss = "linear",
        lower: Any = -np.inf,
        upper: Any = np.inf,
        penalty_factor: Any = None,
        fit_intercept: bool = True,
        start: str | None = None,
        shared_support: bool = True,
        tol: float = 1e-8,
        max_iter: int = 1000,
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
        self.loss = loss
        self.lower = lower
        self.upper = upper
        self.penalty_factor = penalty_factor
        self.fit_intercept = fit_intercept
        self.start = start
        self.shared_support = shared_support
        self.tol = tol
        self.max_iter = max_iter

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, groups: Any = None, **params: Any) -> Self:
        """Choose alpha and fit the model.

        Parameters
        ----------
        X
            Data, shape (n_samples, n_features), dense or scipy sparse.
        y
            Targets, shape (n_samples,) or (n_samples, k).
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
        X, y = self._read(X, y, y_numeric=True, multi_output=True)
        y = np.asarray(y, dtype=np.float64)
        self._one_column = y.ndim == 2 and y.shape[1] == 1
        y = y[:, 0] if self._one_column else y
        loss = loss_named(self.loss)
        weights = read_weights(sample_weight, X.shape[0])
        rows = X.tocsr() if hasattr(X, "tocsr") else X

        problem = self._problem(X, y, self.loss, weights)

        def judge(found: list[Solutions], test: NDArray[np.intp], weights: Vector | None) -> Vector:
            z = path_predictor(rows[test], found[0])
            # Labels of one target as its loss wants them.
            coded = np.broadcast_to((problem.y if y.ndim == 1 else y)[test][:, None], z.shape)
            losses, squares = loss.value(z, coded), (loss.mean(z) - y[test][:, None]) ** 2
            if z.ndim == 3:
                losses, squares = losses.sum(axis=2), squares.mean(axis=2)
            return np.column_stack((weighted_mean(losses, weights), weighted_mean(squares, weights)))

        passed = params if groups is None else {**params, "groups": groups}
        solutions, table = self._choose_alpha((rows, y), [problem], y, (weights, weights), judge, passed)
        self.scores_ = -table[:, :, 0]
        self.loss_path_, self.mse_path_ = table[:, :, -2], table[:, :, -1]
        self._keep(solutions, X.dtype)
        if self._one_column:
            self.coef_path_, self.intercept_path_ = self.coef_path_[:, None], self.intercept_path_[:, None]
        return self
