"""The one internal form of every problem: loss of ``A x``, a concave penalty of ``|x|``, a box."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from convex_analysis.design import Design
from convex_analysis.intercept import best_intercept
from convex_analysis.kernels.stationarity import box_violations
from convex_analysis.losses import Loss, loss_named
from convex_analysis.losses.loss import Vector
from convex_analysis.problems import validation
from convex_analysis.problems.axioms import require_axioms
from convex_analysis.problems.column_units import column_units

if TYPE_CHECKING:
    from concave_sparsity import Penalty


class Problem:
    """Minimise ``sum_i s_i phi((A x)_i + b, y_i) + lam sum_j factor_j r(|x_j|)`` over a box.

    ``A = X diag(theta)``; the sample weights ``s`` sum to one (1/n each unless given); ``phi`` is
    the loss, ``r`` the penalty; the intercept ``b`` is 0 unless ``fit_intercept``, and is never
    penalised. `MaskProblem` and `RegressionProblem` are the two ways to state such a problem; the
    solvers, theorems and branch and bound use this interface only.

    Attributes
    ----------
    design
        The operator A (`Design`), shared by all copies of the problem.
    y
        Targets as the loss wants them, shape (n_samples,), float64.
    row_weights
        Sample weights divided by their sum, shape (n_samples,).
    loss, penalty, lam
        Loss, penalty and its strength.
    penalty_factor
        Factor of the penalty for each feature, shape (n_features,).
    lower, upper
        The box, shape (n_features,) each; -inf and inf where there is no bound.
    fit_intercept
        Whether an unpenalised, unbounded intercept is fitted.
    units
        The penalty sees ``units_j x_j``: ones, except in what `normalised` returns.
    """

    design: Design
    y: Vector
    row_weights: Vector
    loss: Loss
    penalty: Penalty
    lam: float
    penalty_factor: Vector
    lower: Vector
    upper: Vector
    fit_intercept: bool
    units: Vector

    def __init__(
        self,
        X: Any,
        y: Any,
        *,
        scale: Any,
        loss: str | Loss,
        penalty: Penalty | None,
        lam: float,
        lower: Any,
        upper: Any,
        penalty_factor: Any,
        sample_weight: Any,
        fit_intercept: bool,
    ) -> None:
        X = validation.check_design(X)
        n_samples, n_features = X.shape
        self.loss = loss_named(loss)
        self.y = self.loss.check_targets(validation.check_vector(y, "y", n_samples, "sample"))
        if scale is not None:
            scale = validation.check_vector(scale, "theta", n_features, "feature")
        self.design = Design(X, scale)
        self.penalty = _check_penalty(penalty)
        self._slope_at_zero: float | None = None
        self._chord_slopes: Vector | None = None
        self.lam = validation.check_lam(lam)
        self.lower, self.upper = validation.check_bounds(lower, upper, n_features)
        factor = validation.check_penalty_factor(penalty_factor, n_features)
        self.penalty_factor = np.ones(n_features) if factor is None else factor
        weights = validation.check_sample_weight(sample_weight, n_samples)
        self.row_weights = np.full(n_samples, 1.0 / n_samples) if weights is None else weights
        self.fit_intercept = validation.check_flag(fit_intercept, "fit_intercept")
        self.units = np.ones(n_features)
        # What every copy made by with_lam, with_bounds or with_penalty may reuse (Gram matrices, norms).
        self.shared: dict[str, Any] = {}
        self._check_finite()
        self._check_range()

    @property
    def X(self) -> Any:
        """The data matrix as stored: dense or CSC, shape (n_samples, n_features)."""
        return self.design.X

    @property
    def n_samples(self) -> int:
        """Number of samples n."""
        return self.design.n_samples

    @property
    def n_features(self) -> int:
        """Number of features d."""
        return self.design.n_features

    @property
    def slope_at_zero(self) -> float:
        """Slope of the penalty at zero, inf for Lq; computed once (a user's penalty finds it numerically)."""
        if self._slope_at_zero is None:
            self._slope_at_zero = float(self.penalty.slope_at_zero)
        return self._slope_at_zero

    def chord_slopes(self, sizes: Vector) -> Vector:
        """Return ``r(t) / t`` at the sizes t, computed once: the caller always asks for the same ones."""
        if self._chord_slopes is None:
            self._chord_slopes = self.penalty.value(sizes) / sizes
        return self._chord_slopes

    @property
    def is_convex(self) -> bool:
        """Whether the penalty is a straight line (l1), or has no effect."""
        if self.lam == 0.0 or not self.penalty_factor.any():
            return True
        far = np.array([1e150])
        return bool(self.slope_at_zero <= float(self.penalty.derivative(far)[0]) * (1.0 + 1e-12))

    def with_lam(self, lam: float) -> Self:
        """Return the same problem at another lam; X and everything computed from it is shared."""
        other = copy.copy(self)
        other.lam = validation.check_lam(lam)
        return other

    def with_penalty(self, penalty: Penalty) -> Self:
        """Return the same problem with another penalty; X and everything computed from it is shared."""
        other = copy.copy(self)
        other.penalty = _check_penalty(penalty)
        other._slope_at_zero = other._chord_slopes = None
        return other

    def with_bounds(self, lower: Any, upper: Any) -> Self:
        """Return the same problem on another box; X and everything computed from it is shared."""
        other = copy.copy(self)
        other.lower, other.upper = validation.check_bounds(lower, upper, self.n_features)
        return other

    def with_sample_weight(self, sample_weight: Any) -> Self:
        """Return the same problem with other sample weights; X is shared, what depends on weights is not."""
        other = copy.copy(self)
        weights = validation.check_sample_weight(sample_weight, self.n_samples)
        other.row_weights = np.full(self.n_samples, 1.0 / self.n_samples) if weights is None else weights
        other.shared = {}
        return other

    def predictor(self, x: Vector, intercept: float = 0.0) -> Vector:
        """Return ``A x + intercept``, shape (n_samples,)."""
        z = self.design.matvec(validation.check_point(x, self.n_features))
        return z + intercept if intercept else z

    def data_fit(self, x: Vector, intercept: float = 0.0) -> float:
        """Return the weighted mean loss f at x."""
        return float(self.row_weights @ self.loss.value(self.predictor(x, intercept), self.y))

    def gradient(self, x: Vector, intercept: float = 0.0) -> Vector:
        """Return the gradient of the data fit in x, shape (n_features,)."""
        z = self.predictor(x, intercept)
        return self.design.rmatvec(self.row_weights * self.loss.derivative(z, self.y))

    def penalty_value(self, x: Vector) -> float:
        """Return ``lam sum_j factor_j r(|x_j|)``."""
        if self.lam == 0.0:
            return 0.0
        support = np.flatnonzero(x)
        value = self.penalty.value(self.units[support] * np.abs(np.asarray(x, dtype=np.float64)[support]))
        return self.lam * float(self.penalty_factor[support] @ value)

    def objective(self, x: Vector, intercept: float = 0.0) -> float:
        """Return data fit plus penalty at x (the box is not checked)."""
        return self.data_fit(x, intercept) + self.penalty_value(x)

    def weights(self, x: Vector) -> Vector:
        """Return ``lam factor_j r'(|x_j|)``, shape (n_features,): the weights of the l1 majorizer at x.

        An entry is inf where x_j = 0 and the penalty's slope at zero is infinite; it is 0 where
        lam or the factor is 0.
        """
        scale = self.lam * self.penalty_factor * self.units
        if not scale.any():
            return np.zeros(self.n_features)
        x = np.asarray(x, dtype=np.float64)
        slopes = np.full(self.n_features, self.slope_at_zero)
        support = np.flatnonzero(x)
        slopes[support] = self.penalty.derivative(self.units[support] * np.abs(x[support]))
        with np.errstate(invalid="ignore"):
            return np.where(scale > 0, scale * slopes, 0.0)

    def normalised(self) -> Self:
        """Return the problem in coordinates in which no column is far longer or shorter than the others.

        Coordinate j becomes ``x_j / units_j`` with units that are powers of two, so that nothing is
        rounded on the way there and back. A problem whose columns are within a factor of 1000
        of each other comes back as it is.
        """
        units = self._column_units()[0]
        if units is None:
            return self
        other = copy.copy(self)
        scale = units if self.design.scale is None else self.design.scale * units
        other.design = Design(self.design.X, scale)
        other.units = self.units * units
        other.lower, other.upper = self.lower / units, self.upper / units
        other.shared = {"units": (None, 1.0)}
        return other

    @property
    def squared_norms(self) -> Vector:
        """``sum_i s_i a_ij^2`` of the columns of A, shape (n_features,), once; inf or 0 out of range."""
        if "squared norms" not in self.shared:
            zero = np.zeros(self.n_samples)
            found = self.design.rmatvec_and_squared_norms(zero, self.row_weights)
            self.shared["squared norms"] = found[1]
        squares: Vector = self.shared["squared norms"]
        return squares

    def _column_units(self) -> tuple[Vector | None, float]:
        if "units" not in self.shared:
            self.shared["units"] = column_units(self)
        found: tuple[Vector | None, float] = self.shared["units"]
        return found

    def rounding(self) -> float:
        """Return the size that a gradient which is exactly zero may have after rounding."""
        b = self._zero_intercept()
        slopes = self.loss.derivative(np.zeros(self.n_samples), self.y)
        size = float(np.sqrt(self.row_weights @ (slopes * slopes))) + self.loss.smoothness * abs(b)
        longest = self._column_units()[1]
        longest = max(longest, 1.0) if self.fit_intercept else longest  # the intercept's column of ones
        return 16.0 * float(np.finfo(np.float64).eps) * longest * size

    def stationarity(self, x: Vector, intercept: float = 0.0) -> float:
        """Return the largest first-order violation at x, in units of the gradient; 0 means stationary.

        For each coordinate this is the distance from 0 to the subdifferential of the objective
        plus the normal cone of the box: how steeply the objective falls along a feasible
        direction. With an intercept, its gradient counts too. At ``x_j = 0`` with an infinite
        slope at zero there is no violation.
        """
        x = validation.check_point(x, self.n_features)
        z = self.predictor(x, intercept)
        slope = self.row_weights * self.loss.derivative(z, self.y)
        worst = float(np.max(self.violations(x, self.design.rmatvec(slope), self.weights(x))))
        return max(worst, abs(float(slope.sum()))) if self.fit_intercept else worst

    def violations(self, x: Vector, gradient: Vector, weights: Vector) -> Vector:
        """Return each coordinate's first-order violation for ``gradient'x + weights'|x|`` on the box."""
        violations = np.empty(self.n_features)
        box_violations(x, gradient, weights, self.lower, self.upper, violations)
        return violations

    def start_at_zero(self) -> tuple[Vector, float]:
        """Return the point of the box nearest to zero, and the best intercept there."""
        x = np.clip(0.0, self.lower, self.upper)
        return x, best_intercept(self, self.predictor(x)) if self.fit_intercept else 0.0

    def gradient_at_start(self) -> Vector:
        """Return the data fit's gradient at `start_at_zero`, computed once for all boxes that hold zero."""
        if (self.lower > 0.0).any() or (self.upper < 0.0).any():
            return self.gradient(*self.start_at_zero())
        if "gradient at zero" not in self.shared:
            self.shared["gradient at zero"] = self.gradient(np.zeros(self.n_features), self._zero_intercept())
        gradient: Vector = self.shared["gradient at zero"]
        return gradient

    def _zero_intercept(self) -> float:
        return best_intercept(self, np.zeros(self.n_samples)) if self.fit_intercept else 0.0

    def _check_finite(self) -> None:
        """Refuse NaN and infinity in X: they show in the gradient at zero, which is needed anyway."""
        z = np.full(self.n_samples, self._zero_intercept())
        rows = self.row_weights * self.loss.derivative(z, self.y)
        gradient, squares = self.design.rmatvec_and_squared_norms(rows, self.row_weights)
        if not np.isfinite(gradient).all():
            validation.require_finite(self.X.data if self.design.sparse else self.X, "X")
            raise ValueError(
                "The products of X (times theta) and y overflow: divide both by their largest size."
            )
        self.shared["gradient at zero"] = gradient
        self.shared["squared norms"] = squares

    def _check_range(self) -> None:
        """Refuse y whose loss overflows: no objective could be compared."""
        with np.errstate(over="ignore", invalid="ignore"):
            fit = float(
                self.row_weights @ self.loss.value(np.full(self.n_samples, self._zero_intercept()), self.y)
            )
        if not np.isfinite(fit):
            largest = float(np.abs(self.y).max())
            raise ValueError(
                f"y is as large as {largest:.3g}: its loss overflows; divide y by {largest:.1g}."
            )

    def lam_max(self) -> float:
        """Return the smallest lam at which the zero vector is stationary.

        That is ``max_j |grad_j f(0)| / (factor_j r'(0))`` over the penalised features (only a
        gradient that points into the box counts). With an infinite slope at zero (Lq), zero is
        stationary at every lam: there the slope 1 of l1 stands in, so that grids of lam keep their
        scale. Unpenalised features are held at zero; the intercept is fitted.

        Raises
        ------
        ValueError
            If the box excludes zero, or if no feature is penalised.
        """
        if (self.lower > 0).any() or (self.upper < 0).any():
            raise ValueError(
                "lam_max is where zero becomes a solution, but the box excludes zero: name lam yourself."
            )
        penalised = self.penalty_factor > 0
        if not penalised.any():
            raise ValueError(
                "lam_max needs a penalised feature, but every penalty_factor is zero: name lam yourself."
            )
        x = np.zeros(self.n_features)
        free = self.violations(x, self.gradient_at_start(), x)
        slope = self.slope_at_zero if np.isfinite(self.slope_at_zero) else 1.0
        return float(np.max(free[penalised] / self.penalty_factor[penalised])) / slope


def _check_penalty(penalty: Any) -> Any:
    from concave_sparsity import L1, Penalty

    if penalty is None:
        return L1()
    if not isinstance(penalty, Penalty):
        hint = " (an instance, not the class)" if isinstance(penalty, type) else ""
        hint = " (penalty_from_name makes one of a name)" if isinstance(penalty, str) else hint
        raise TypeError(f"penalty must be a concave_sparsity.Penalty{hint}, got {penalty!r}.")
    require_axioms(penalty)
    return penalty
