"""Regression and classification problems in signed weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convex_analysis.losses import Loss
from convex_analysis.problems.problem import Problem

if TYPE_CHECKING:
    from concave_sparsity import Penalty


class RegressionProblem(Problem):
    """Fit signed weights: minimise ``f(X x + b) + lam sum_j factor_j r(|x_j|)`` over ``lower <= x <= upper``.

    Parameters
    ----------
    X
        Data, shape (n_samples, n_features): dense (C or Fortran order, float32 or float64) or
        scipy sparse (CSC kept, CSR converted once). Never densified.
    y
        Targets, shape (n_samples,). For "logistic": labels -1 and 1, or 0 and 1.
    loss
        "linear": ``(1/2n) ||y - X x||^2``; "logistic": ``(1/n) sum log(1 + exp(-y_i x_i'x))``;
        "huber", or any `convex_analysis.losses.Loss`.
    penalty
        Any `concave_sparsity.Penalty`; L1 by default.
    lam
        Strength of the penalty, not negative.
    lower, upper
        Bounds of the weights, scalars or one entry a feature; none by default.
    penalty_factor
        Factor of lam for each feature, shape (n_features,), not negative; 0 leaves a feature
        unpenalised. Used as given, not rescaled.
    sample_weight
        Weight of each sample, shape (n_samples,), not negative. The data fit is
        ``sum_i w_i phi_i / sum_i w_i``: a weight of 2 equals a row that occurs twice, and common
        factors have no effect. This is scikit-learn's ``Lasso(alpha=lam)``, and its
        ``LogisticRegression`` with ``C = 1 / (lam * sum_i w_i)``.
    fit_intercept
        Whether to fit an intercept, neither penalised nor bounded.

    Raises
    ------
    ValueError, TypeError
        One sentence on what is wrong with the input.
    """

    def __init__(
        self,
        X: Any,
        y: Any,
        *,
        loss: str | Loss = "linear",
        penalty: Penalty | None = None,
        lam: float = 0.1,
        lower: Any = -np.inf,
        upper: Any = np.inf,
        penalty_factor: Any = None,
        sample_weight: Any = None,
        fit_intercept: bool = False,
    ) -> None:
        super().__init__(
            X,
            y,
            scale=None,
            loss=loss,
            penalty=penalty,
            lam=lam,
            lower=lower,
            upper=upper,
            penalty_factor=penalty_factor,
            sample_weight=sample_weight,
            fit_intercept=fit_intercept,
        )
