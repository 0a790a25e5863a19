"""Problems with several responses: multinomial logistic and multi-task regression."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from convex_analysis.datafit import DataFit
from convex_analysis.design import Design
from convex_analysis.losses import Loss, Multinomial
from convex_analysis.losses.loss import Vector
from convex_analysis.problems import validation
from convex_analysis.problems.problem import Problem
from convex_analysis.stacked_design import StackedDesign

if TYPE_CHECKING:
    from concave_sparsity import Penalty

_RAREST = 1e-12  # share of a class without weight: its best intercept would be minus infinity


class _FitOfResponses(DataFit):
    @cached_property
    def _slope_size(self) -> float:
        """Size of the losses' derivatives before the intercepts are fitted: digits are lost from there."""
        slopes = self.loss.derivative(np.zeros(self.n_samples), self.y)
        return float(np.sqrt(self.row_weights @ (slopes * slopes)))


class MultiResponseProblem(Problem):
    """One linear predictor for each of k responses: minimise the losses of ``X w_r + b_r`` plus a penalty.

    ``sum_i s_i sum_r phi(z_ir, y_ir) + ridge/2 ||W||^2 + lam R(W)``, or for the multinomial loss
    ``-sum_i s_i log softmax(z_i)`` of the class of sample i. ``R(W) = sum_rj factor_j r(|w_rj|)``, or with a
    shared support ``sum_j factor_j r(||w_.j||)``: one norm a feature over the responses. It is one problem in
    the vector of all coefficients (response by response, intercepts last), which every solver here takes;
    `coefficients` unpacks it. The theorems and branch and bound know one response.

    Parameters
    ----------
    X
        Data, shape (n, n_features), dense or scipy sparse; stored once, whatever k.
    Y
        Targets, shape (n, k). For "multinomial" the class of each sample, shape (n,).
    loss
        "multinomial", or any loss of a single predictor by name or as a `Loss`: "linear" is
        ``(1/2n) ||Y - X W'||^2``, scikit-learn's ``MultiTaskLasso(alpha=lam)`` with a shared support.
    penalty, lam, ridge
        As in `RegressionProblem`.
    shared_support
        Whether the penalty acts on the norm of each feature's k coefficients, which are then zero together.
    penalty_factor
        Factor of lam for each feature, shape (n_features,); ones by default, inf leaves a feature out.
    lower, upper
        Bounds of the coefficients, scalars or one a feature; none with a shared support.
    sample_weight
        Weight of each sample, shape (n,), not negative; divided by their sum.
    fit_intercept
        Whether to fit an intercept for each response, neither penalised nor bounded.

    Attributes
    ----------
    classes
        Labels of the classes, sorted, shape (k,); None without.

    Raises
    ------
    ValueError, TypeError
        One sentence on what is wrong with the input.
    """

    @property
    def design(self) -> StackedDesign:
        """The operator of all responses."""
        design: Any = self.fit.design
        return design  # type: ignore[no-any-return]

    def __init__(
        self,
        X: Any,
        Y: Any,
        *,
        loss: str | Loss = "linear",
        penalty: Penalty | None = None,
        lam: float = 0.1,
        shared_support: bool = False,
        lower: Any = -np.inf,
        upper: Any = np.inf,
        penalty_factor: Any = None,
        sample_weight: Any = None,
        fit_intercept: bool = False,
        ridge: Any = 0.0,
    ) -> None:
        X = validation.check_design(X)
        n, d = X.shape
        self.classes: Any = None
        if loss == "multinomial":
            self.classes, encoded = np.unique(np.asarray(Y), return_inverse=True)
            if encoded.shape != (n,):
                raise ValueError(f"Y must hold the class of each sample, shape ({n},); got {encoded.shape}.")
            if self.classes.size < 2:
                raise ValueError("The multinomial loss needs samples of at least two classes.")
            targets = (encoded[:, None] == np.arange(self.classes.size)).astype(np.float64)
            loss = Multinomial(self.classes.size)
        else:
            targets = np.asarray(Y)
            if targets.ndim != 2 or len(targets) != n or targets.shape[1] == 0:
                raise ValueError(
                    f"Y must have shape ({n}, k), one column a response; got {targets.shape}. "
                    "For one response state a RegressionProblem."
                )
        k = targets.shape[1]
        # One class's intercept is redundant.
        self._intercepts = 0 if not fit_intercept else k - int(self.classes is not None)
        group = None
        if validation.check_flag(shared_support, "shared_support"):
            validation.refuse_bounds_of_groups(*validation.check_bounds(lower, upper, d))
            group = np.concatenate([np.tile(np.arange(d), k), d + np.arange(self._intercepts)])
        # An infinite factor has become the box [0, 0], for all responses.
        factor, low, high = validation.exclude_columns(penalty_factor, lower, upper, d)
        low, high = validation.check_bounds(low, high, d)
        stacked = partial(_stacked, k, self._intercepts)
        ridges = validation.check_ridge(ridge, d)
        weights = validation.check_sample_weight(sample_weight, n)
        self._weight = np.full(n, 1.0 / n) if weights is None else weights
        self._fits_intercept = validation.check_flag(fit_intercept, "fit_intercept")
        super().__init__(
            StackedDesign(Design(X), k, self._intercepts),
            targets.T.ravel(),
            loss=loss,
            penalty=penalty,
            lam=lam,
            lower=stacked(low, -np.inf),
            upper=stacked(high, np.inf),
            penalty_factor=stacked(np.ones(d) if factor is None else factor, 0.0),
            sample_weight=None,
            fit_intercept=False,
            ridge=0.0 if ridges is None else stacked(ridges, 0.0),
            offset=None,
            group=group,
        )
        self.fit = self._fit_of(self._weight)
        self._check_numbers()

    @property
    def sample_weight(self) -> Vector:
        """Weight of each sample divided by their sum, shape (n,)."""
        return self._weight

    @property
    def responses(self) -> int:
        """Number of responses k."""
        return self.design.responses

    def with_sample_weight(self, sample_weight: Any) -> Self:
        """Return the same problem with other sample weights; X is shared, what depends on weights is not."""
        weights = validation.check_sample_weight(sample_weight, self._weight.size)
        if weights is None:
            weights = np.full(self._weight.size, 1.0 / self._weight.size)
        return self.with_parts(fit=self._fit_of(weights), _weight=weights)

    def with_bounds(self, lower: Any, upper: Any) -> Self:
        """Return the same problem on another box: scalars or one a feature; intercepts have no bounds."""
        low, high = validation.check_bounds(lower, upper, self.design.base.n_features)
        if self.group is not None:
            validation.refuse_bounds_of_groups(low, high)
            return self.with_parts()
        stacked = partial(_stacked, self.responses, self._intercepts)
        return self.with_parts(lower=stacked(low, -np.inf), upper=stacked(high, np.inf))

    def coefficients(self, x: Vector) -> tuple[Vector, Vector]:
        """Return the coefficients, shape (k, n_features), and the intercepts, shape (k,), of a point.

        The intercepts of the multinomial loss, which a common constant leaves as good, sum to zero.
        """
        W, b = self.design.unstacked(validation.check_point(x, self.n_features))
        b = b + self._null.reshape(self.responses, -1)[:, 0]
        return W.copy(), b - b.mean() if self.classes is not None else b

    def point(self, coefficients: Vector, intercepts: Vector) -> Vector:
        """Return the point with these coefficients and intercepts: the way back from `coefficients`."""
        if not self._intercepts:
            return coefficients.ravel().copy()
        b = intercepts - self._null.reshape(self.responses, -1)[:, 0]
        free = b - b[-1] if self.classes is not None else b
        return np.concatenate([coefficients.ravel(), free[: self._intercepts]])

    def sample_losses(self, x: Vector, intercept: float = 0.0) -> Vector:
        """Return the loss of each sample at x, summed over its responses, shape (n,)."""
        losses: Vector = super().sample_losses(x, intercept).reshape(self.responses, -1).sum(axis=0)
        return losses

    def strata(self) -> Vector | None:
        """Return the class of each sample, None without classes."""
        return None if self.classes is None else self._targets.argmax(axis=0).astype(np.float64)

    @property
    def _targets(self) -> Vector:
        return self.y.reshape(self.responses, -1)

    @property
    def _null(self) -> Vector:
        """The predictors of the model without features: an offset, so that paths begin at it."""
        return np.zeros(self.n_samples) if self.fit.offset is None else self.fit.offset

    def _fit_of(self, weights: Vector) -> DataFit:
        """Return the data fit with these weights; its offset is the best intercept of each response."""
        design, loss, ridge = self.design, self.fit.loss, self.fit.ridge
        offset = None
        if self._fits_intercept:
            if self.classes is not None:
                null = np.log(np.maximum(self._targets @ weights, _RAREST))
            else:
                fits = [DataFit(design.base, y, weights, loss, fit_intercept=True) for y in self._targets]
                null = np.array([fit.intercept_at_zero for fit in fits])
            offset = np.repeat(null, weights.size)
        rows = np.tile(weights, design.responses)
        return _FitOfResponses(design, self.y, rows, loss, offset=offset, ridge=ridge)


def _stacked(responses: int, intercepts: int, values: Vector, of_intercepts: float) -> Vector:
    """Return one value a feature for each response, then one for each intercept."""
    return np.concatenate([np.tile(values, responses), np.full(intercepts, of_intercepts)])
