"""Problems in a relaxed mask that multiplies fixed weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convex_analysis.losses import Loss
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
        "huber", or any `convex_analysis.losses.Loss`; ``A = X diag(theta)``.
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
    ) -> None:
        super().__init__(
            X,
            y,
            scale=theta,
            loss=loss,
            penalty=penalty,
            lam=lam,
            lower=lower,
            upper=upper,
            penalty_factor=None,
            sample_weight=sample_weight,
            fit_intercept=fit_intercept,
        )
