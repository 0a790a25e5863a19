"""Problems in a relaxed mask that multiplies fixed weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convex_analysis.design import Design, Indices
from convex_analysis.losses import Loss
from convex_analysis.problems import validation
from convex_analysis.problems.problem import Problem

if TYPE_CHECKING:
    from concave_sparsity import Penalty


class MaskProblem(Problem):
    """Fit a relaxed mask m: minimise ``f(X (m * theta)) + lam sum_j r(|m_j|)`` over ``lower <= m <= upper``.

    Parameters
    ----------
    X
        Data, shape (n_samples, n_features): dense (C or Fortran order, float32 or float64) or
        scipy sparse (CSC kept, CSR converted once). Never densified, never multiplied by theta.
    y
        Targets, shape (n_samples,). For "logistic": labels -1 and 1, or 0 and 1.
    theta
        Fixed weights that the mask multiplies, shape (n_features,); ones by default.
    loss
        "linear": ``(1/2n) ||y - A m||^2``; "logistic": ``(1/n) sum log(1 + exp(-y_i a_i'm))``;
        "huber", "poisson", "gamma", "squared-hinge" or any `convex_analysis.losses.Loss`;
        ``A = X diag(theta)``.
    penalty
        Any `concave_sparsity.Penalty`.
    lam
        Strength of the penalty, not negative.
    lower, upper
        The box, scalars or one entry a feature; [0, 1] by default. The penalty acts on ``|m_j|``,
        so negative bounds are allowed and mean a signed mask.
    sample_weight
        Weight of each sample, not negative; divided by their sum (see `RegressionProblem`).
    fit_intercept
        Whether to fit an unpenalised intercept.
    ridge
        Strength of ``ridge/2 ||m||^2``, not negative, a scalar or one an entry of m.
    offset
        Known part of the linear predictor, shape (n_samples,).
    groups
        One entry of m for each group of weights: one label a feature, shape (n_features,), or a list of lists
        of the features' indices, which may not overlap. It is the same problem on the columns
        ``X_g theta_g``, in the order of the sorted labels, made once; all theorems hold as they stand.

    Raises
    ------
    ValueError, TypeError
        One sentence on what is wrong with the input.
    """

    def __init__(
        self,
        X: Any,
        y: Any,
        theta: Any = None,
        *,
        loss: str | Loss = "linear",
        penalty: Penalty | None = None,
        lam: float = 0.1,
        lower: Any = 0.0,
        upper: Any = 1.0,
        sample_weight: Any = None,
        fit_intercept: bool = False,
        ridge: Any = 0.0,
        offset: Any = None,
        groups: Any = None,
    ) -> None:
        X = validation.check_design(X)
        if theta is not None:
            theta = validation.check_vector(theta, "theta", X.shape[1], "feature")
        if groups is not None:
            X, theta = _columns_of_groups(X, theta, validation.check_groups(groups, X.shape[1])), None
        super().__init__(
            Design(X, theta),
            y,
            loss=loss,
            penalty=penalty,
            lam=lam,
            lower=lower,
            upper=upper,
            penalty_factor=np.ones(X.shape[1]),
            sample_weight=sample_weight,
            fit_intercept=fit_intercept,
            ridge=ridge,
            offset=offset,
        )


def _columns_of_groups(X: Any, theta: Any, group: Indices) -> Any:
    """Return the columns ``X_g theta_g``, dense or CSC as X is."""
    from scipy import sparse

    entries = np.ones(group.size) if theta is None else theta
    shape = (group.size, int(group.max()) + 1)
    sums = sparse.csc_array((entries, (np.arange(group.size), group)), shape=shape)
    if isinstance(X, np.ndarray):
        return np.asfortranarray(X @ sums)
    return validation.check_design(sparse.csc_matrix(X @ sums))
