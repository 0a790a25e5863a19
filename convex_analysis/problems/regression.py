"""Regression and classification problems in signed weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convex_analysis.design import Design
from convex_analysis.losses import Loss
from convex_analysis.problems import validation
from convex_analysis.problems.problem import Problem

if TYPE_CHECKING:
    from concave_sparsity import Penalty


class RegressionProblem(Problem):
    """Signed weights in a box: minimise ``f(X x + o + b) + ridge/2 ||x||^2 + lam sum_j factor_j r(|x_j|)``.

    Parameters
    ----------
    X
        Data, shape (n_samples, n_features): dense (C or Fortran order, float32 or float64) or
        scipy sparse (CSC kept, CSR converted once). Never densified.
    y
        Targets, shape (n_samples,). For "logistic": labels -1 and 1, or 0 and 1.
    loss
        "linear": ``(1/2n) ||y - X x||^2``; "logistic": ``(1/n) sum log(1 + exp(-y_i x_i'x))``;
        "huber"; "poisson" and "gamma" with a log link; "squared-hinge"; or any
        `convex_analysis.losses.Loss`.
    penalty
        Any `concave_sparsity.Penalty`; L1 by default.
    lam
        Strength of the penalty, not negative.
    lower, upper
        Bounds of the weights, scalars or one entry a feature; none by default.
    penalty_factor
        Factor of lam for each feature, shape (n_features,), not negative; 0 leaves a feature
        unpenalised, inf leaves it out. Used as given, not rescaled. With groups, one a group, shape
        (n_groups,), in the order of their sorted labels; by default the root of the group's size.
    sample_weight
        Weight of each sample, shape (n_samples,), not negative. The data fit is
        ``sum_i w_i phi_i / sum_i w_i``: a weight of 2 equals a row that occurs twice, and common
        factors have no effect. This is scikit-learn's ``Lasso(alpha=lam)``, and its
        ``LogisticRegression`` with ``C = 1 / (lam * sum_i w_i)``.
    fit_intercept
        Whether to fit an intercept, neither penalised nor bounded.
    ridge
        Strength of ``ridge/2 ||x||^2``, not negative, a scalar or one a feature. scikit-learn's
        ``ElasticNet(alpha, l1_ratio)`` has ``lam = alpha l1_ratio``, ``ridge = alpha (1 - l1_ratio)``.
    offset
        Known part of the linear predictor, shape (n_samples,): for counts the logarithm of the exposure.
    groups
        The penalty acts on the Euclidean norm of each group: ``lam sum_g factor_g r(||x_g||)``. One label a
        feature, shape (n_features,), or a list of lists of the features' indices, which may not overlap; no
        bounds then.

    Raises
    ------
    ValueError, TypeError
        One sentence on what is wrong with the input.

    See Also
    --------
    from_moments : least squares from ``X'X / n`` and ``X'y / n`` alone.
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
        ridge: Any = 0.0,
        offset: Any = None,
        groups: Any = None,
    ) -> None:
        X = validation.check_design(X)
        d = X.shape[1]
        group = None
        if groups is None:
            factor, lower, upper = validation.exclude_columns(penalty_factor, lower, upper, d)
            factor = np.ones(d) if factor is None else factor
        else:
            group = validation.check_groups(groups, d)
            factor, lower, upper = validation.exclude_groups(penalty_factor, lower, upper, group)
        super().__init__(
            Design(X),
            y,
            loss=loss,
            penalty=penalty,
            lam=lam,
            lower=lower,
            upper=upper,
            penalty_factor=factor,
            sample_weight=sample_weight,
            fit_intercept=fit_intercept,
            ridge=ridge,
            offset=offset,
            group=group,
        )

    @classmethod
    def from_moments(
        cls,
        gram: Any,
        correlations: Any,
        *,
        mean_square: float | None = None,
        penalty: Penalty | None = None,
        lam: float = 0.1,
        lower: Any = -np.inf,
        upper: Any = np.inf,
        penalty_factor: Any = None,
    ) -> RegressionProblem:
        """Return least squares given by moments: minimise ``x'G x / 2 - c'x + lam sum_j factor_j r(|x_j|)``.

        For data with far more samples than features, or that no longer exist. The problem has as many
        samples as G has rank, and everything that a problem with data has: paths, certificates, theorems.

        Parameters
        ----------
        gram
            Second moments ``G = X'X / n`` of the features, shape (n_features, n_features): symmetric,
            positive semidefinite. Add a ridge to its diagonal for ridge regression.
        correlations
            ``c = X'y / n``, shape (n_features,), in the range of G, as moments of data are.
        mean_square
            ``y'y / n``. Where given, the data fit is that of the data, ``(1/2n) ||y - X x||^2``; without, it
            is less by a constant and its minimum is zero.
        penalty, lam, lower, upper, penalty_factor
            As for the problem with data.

        Raises
        ------
        ValueError
            If the moments are not those of any data.
        """
        G = validation.check_design(gram)
        if not isinstance(G, np.ndarray):
            G = G.toarray()
        if G.shape[0] != G.shape[1]:
            raise ValueError(f"gram must be square, got shape {G.shape}: pass X.T @ X / n.")
        validation.require_finite(G, "gram")
        c = validation.check_vector(correlations, "correlations", len(G), "feature")
        size = float(np.abs(G).max())
        if float(np.abs(G - G.T).max()) > 1e-6 * size:
            raise ValueError("gram is not symmetric: pass X.T @ X / n.")
        values, vectors = np.linalg.eigh(0.5 * (G + G.T).astype(np.float64))
        rounding = len(G) * float(np.finfo(G.dtype).eps) * size
        if values[0] < -10.0 * rounding:
            raise ValueError(
                f"gram has the negative eigenvalue {values[0]:.3g}: no data have such moments; add a ridge."
            )
        there = values > rounding
        roots, inner = np.sqrt(values[there]), vectors[:, there].T @ c
        lost = float(np.linalg.norm(c - vectors[:, there] @ inner))
        if lost > 1e-6 * float(np.linalg.norm(c)):
            raise ValueError(
                f"correlations leave the range of gram by {lost:.3g}, so the fit has no minimum: both must "
                "be moments of the same data; or add a ridge to gram."
            )
        X, y = roots[:, None] * vectors[:, there].T, inner / roots
        if mean_square is not None:
            rest = validation.check_lam(mean_square) - float(y @ y)
            if rest < -1e-6 * mean_square:
                raise ValueError(
                    f"mean_square = {mean_square:g} is less than the features explain, {float(y @ y):g}: "
                    "pass y'y / n of the data that correlations are from."
                )
            X, y = np.vstack([X, np.zeros(len(c))]), np.append(y, np.sqrt(max(rest, 0.0)))
        if not len(X):
            X, y = np.zeros((1, len(c))), np.zeros(1)
        factor = np.sqrt(len(X))
        return cls(
            np.asfortranarray(factor * X), factor * y, penalty=penalty, lam=lam, lower=lower, upper=upper,
            penalty_factor=penalty_factor,
        )  # fmt: skip
