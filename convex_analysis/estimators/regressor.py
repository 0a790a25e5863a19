"""Linear and robust regression with a concave penalty, as a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import RegressorMixin

from convex_analysis.estimators.linear_model import (
    ALPHA_RULE,
    LOSS_RULE,
    SHARED_RULES,
    ConcaveLinearModel,
    Fitted,
    linear_predictor,
    read_weights,
)
from convex_analysis.estimators.penalties import PenaltyLike
from convex_analysis.losses import Loss, loss_named
from convex_analysis.losses.loss import Vector
from convex_analysis.solution import Solution, Status


class LinearPrediction(RegressorMixin):  # type: ignore[misc]
    """Predictions and attributes of a fitted linear model."""

    loss: str | Loss
    coef_: Vector
    intercept_: Any
    n_iter_: int
    stationarity_: float
    status_: Status
    solution_: Solution
    _one_column: bool = False  # y in fit had the shape (n_samples, 1)

    def predict(self, X: Any) -> Vector:
        """Return predictions of the shape of y in fit: means, where the loss has a link (`Loss.mean`)."""
        z = linear_predictor(self._read_for_prediction(X), self.coef_, self.intercept_)
        return loss_named(self.loss).mean(z)

    def __sklearn_tags__(self) -> Any:
        """Add to scikit-learn's tags that y may have several columns."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _keep(self, fits: Sequence[Fitted], dtype: Any) -> None:
        """Keep the solution (of the one problem)."""
        found = fits[0].solution
        self.solution_ = found
        coef, self.intercept_ = fits[0].coef.astype(dtype, copy=False), fits[0].intercept
        self.coef_ = coef
        if self._one_column and coef.ndim == 1:
            self.coef_, self.intercept_ = coef[None], np.array([self.intercept_])
        self.n_iter_, self.stationarity_, self.status_ = found.n_iter, found.stationarity, found.status


class ConcaveRegressor(LinearPrediction, ConcaveLinearModel):
    """Regression with a concave penalty: sparse, with little shrinkage of the coefficients that stay.

    Minimises ``sum_i s_i phi(x_i'w + b, y_i) + alpha sum_j factor_j r(|w_j|)`` over
    ``lower <= w <= upper``, with sample weights s that sum to one, by majorize-minimize.

    Parameters
    ----------
    alpha
        Strength of the penalty, not negative. With ``penalty="l1"`` the model is
        ``sklearn.linear_model.Lasso(alpha)``.
    penalty
        A `concave_sparsity.Penalty`; the name of one ("l1", "log", "lq", "mcp", "scad",
        "capped-l1", "exponential", "arctan", "fraction"); or a function
        ``(alpha, **penalty_parameters) -> Penalty`` for penalties that have alpha in their shape:
        ``penalty=MCP.classical`` and ``penalty=SCAD.classical`` are MCP and SCAD as in ncvreg.
    penalty_parameters
        Parameters of the named penalty or of the function, for example ``{"eps": 0.1}``.
    l2
        Strength of a ridge besides, ``l2 / 2 ||w||^2``: scikit-learn's ``ElasticNet(a, l1_ratio=q)`` has
        ``alpha = a q`` and ``l2 = a (1 - q)``.
    loss
        "linear" (half the squared error), "huber" (delta 1), "poisson" or "gamma" (logarithmic link), or a
        `convex_analysis.losses.Loss` such as ``Huber(1.35)``.
    lower, upper
        Bounds of the coefficients, scalars or one number a feature.
    penalty_factor
        Factor of alpha for each feature; 0 leaves a feature unpenalised, inf leaves it out. Ones by default.
    fit_intercept
        Whether to fit an intercept, neither penalised nor bounded.
    start
        Where the run starts: None for the solver's own choice, "l1", "zero", "dense" or "multi" (see
        `majorize_minimize`).
    shared_support
        With targets of shape (n_samples, k), which are fitted together: whether the penalty acts on the norm
        of each feature's k coefficients, ``r(||w_.j||)``, so that a feature stays or goes for all targets
        (with ``penalty="l1"``: ``sklearn.linear_model.MultiTaskLasso(alpha)``; no bounds then), or on
        each coefficient.
    tol
        Stationarity asked for, relative to the largest gradient at zero.
    max_iter
        Largest number of majorize-minimize steps.
    warm_start
        Whether fit starts from the coefficients of the last fit. With a penalty of infinite slope
        at zero ("lq" without smoothing) coefficients that are zero stay zero.

    Attributes
    ----------
    coef_ : array of shape (n_features,), or (k, n_features) for k targets
        Coefficients, in the precision of X; exactly zero off the support, inside the bounds to the last bit.
    intercept_ : float, or array of shape (k,)
        Intercept, 0.0 without one.
    n_iter_ : int
        Majorize-minimize steps.
    stationarity_ : float
        First-order violation at the coefficients, in units of the gradient.
    status_ : Status
        How the run ended; ``str(status_)`` is a sentence.
    solution_ : Solution
        The point with all its certificates (duality gap, bound of global suboptimality).
    n_features_in_ : int
        Number of features.
    feature_names_in_ : array of shape (n_features,)
        Names of the features, where X has them.

    See Also
    --------
    ConcaveRegressorCV : chooses alpha by cross-validation.

    Examples
    --------
    >>> import numpy as np
    >>> from convex_analysis import ConcaveRegressor
    >>> X = np.eye(4)[:, :3]
    >>> y = np.array([3.0, 0.1, -2.0, 0.0])
    >>> ConcaveRegressor(alpha=0.1, penalty="mcp", fit_intercept=False).fit(X, y).coef_
    array([ 3.,  0., -2.])
    """

    _rules: ClassVar = {**ALPHA_RULE, **LOSS_RULE, **SHARED_RULES}

    def __init__(
        self,
        alpha: float = 0.1,
        *,
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
        warm_start: bool = False,
    ) -> None:
        self.alpha = alpha
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
        self.warm_start = warm_start

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X
            Data, shape (n_samples, n_features), dense or scipy sparse (CSC is used as it is).
        y
            Targets, shape (n_samples,) or (n_samples, k).
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
        X, y = self._read(X, y, y_numeric=True, multi_output=True)
        weights = read_weights(sample_weight, X.shape[0])
        problem = self._at(self._problem(X, y, self.loss, weights), float(self.alpha))
        self._one_column = y.ndim == 2 and y.shape[1] == 1
        last = self._last_coefficients((*y.shape[1:], X.shape[1]))
        self._keep([self._solve(problem, last)], X.dtype)
        return self
