"""The one internal form of every problem: loss of ``A x``, a concave penalty of ``|x|``, a box."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from concave_sparsity.axioms import require_axioms
from convex_analysis.datafit import DataFit
from convex_analysis.design import Design, Indices
from convex_analysis.losses import Loss, loss_named
from convex_analysis.losses.loss import Vector
from convex_analysis.problems import validation
from convex_analysis.regulariser import Grouped, Regulariser, Separable, Strength

if TYPE_CHECKING:
    from concave_sparsity import Penalty


class Problem:
    """Minimise ``sum_i s_i phi((A x)_i + o_i + b, y_i) + ridge/2 ||x||^2 + lam R(x)`` over a box.

    ``A = X diag(theta)``; the sample weights ``s`` sum to one (1/n each unless given); ``phi`` is
    the loss, ``o`` an offset; ``R(x) = sum_j factor_j r(|x_j|)`` with the penalty ``r``, or with groups
    ``sum_g factor_g r(||x_g||)``; the intercept ``b`` is 0 unless ``fit_intercept``, and is never
    penalised. `MaskProblem` and `RegressionProblem` are the two ways to state such a problem; the
    solvers, theorems and branch and bound use this interface only. A problem is never changed: ``with_...``
    return others, which share what is computed from the data.

    Attributes
    ----------
    fit
        The data fit (`DataFit`): design, targets, row weights, loss, offset, ridge.
    regulariser
        The penalty on coordinates or groups (`Regulariser`).
    design, y, row_weights, loss, fit_intercept, offset, ridge
        Those of the fit.
    penalty, lam
        Penalty and its strength.
    penalty_factor
        Factor of the penalty for each feature (that of its group), shape (n_features,).
    group
        Group of each feature, shape (n_features,), or None.
    lower, upper
        The box, shape (n_features,) each; -inf and inf where there is no bound.
    units
        The penalty sees ``units_j x_j``: ones, except in what `normalised` returns.
    """

    fit: DataFit
    lam: float
    penalty_factor: Vector
    group: Indices | None
    lower: Vector
    upper: Vector
    units: Vector

    def __init__(
        self,
        design: Design,
        y: Any,
        *,
        loss: str | Loss,
        penalty: Penalty | None,
        lam: float,
        lower: Any,
        upper: Any,
        penalty_factor: Vector,
        sample_weight: Any,
        fit_intercept: bool,
        ridge: Any,
        offset: Any,
        group: Indices | None = None,
    ) -> None:
        n_samples, n_features = design.n_samples, design.n_features
        loss = loss_named(loss)
        weights = validation.check_sample_weight(sample_weight, n_samples)
        self.fit = DataFit(
            design,
            loss.check_targets(validation.check_vector(y, "y", n_samples, "sample")),
            np.full(n_samples, 1.0 / n_samples) if weights is None else weights,
            loss,
            validation.check_flag(fit_intercept, "fit_intercept"),
            None if offset is None else validation.check_vector(offset, "offset", n_samples, "sample"),
            validation.check_ridge(ridge, n_features),
        )
        self._strength = Strength(_check_penalty(penalty))
        self.lam = validation.check_lam(lam)
        self.lower, self.upper = validation.check_bounds(lower, upper, n_features)
        self.penalty_factor = penalty_factor
        self.group = group
        self.units = np.ones(n_features)
        self._check_numbers()

    # ---- parts

    @property
    def regulariser(self) -> Regulariser:
        """The penalty on coordinates or groups."""
        if self._regulariser is None:
            scale = self.lam * self.penalty_factor
            if self.group is None:
                self._regulariser = Separable(self._strength, scale, self.units)
            else:
                self._regulariser = Grouped(self._strength, scale, self.units, self.group)
        return self._regulariser

    @property
    def penalty(self) -> Penalty:
        """The penalty r."""
        return self._strength.penalty

    @property
    def design(self) -> Design:
        """The operator A."""
        return self.fit.design

    @property
    def X(self) -> Any:
        """The data matrix as stored: dense or CSC, shape (n_samples, n_features)."""
        return self.fit.design.X

    @property
    def y(self) -> Vector:
        """Targets as the loss wants them, shape (n_samples,)."""
        return self.fit.y

    @property
    def row_weights(self) -> Vector:
        """Sample weights divided by their sum, shape (n_samples,)."""
        return self.fit.row_weights

    @property
    def sample_weight(self) -> Vector:
        """Weight of each sample divided by their sum: `row_weights`, once a sample if it has several rows."""
        return self.fit.row_weights

    @property
    def loss(self) -> Loss:
        """The loss phi."""
        return self.fit.loss

    @property
    def fit_intercept(self) -> bool:
        """Whether an unpenalised, unbounded intercept is fitted."""
        return self.fit.fit_intercept

    @property
    def offset(self) -> Vector | None:
        """Known part of the predictors, shape (n_samples,), or None."""
        return self.fit.offset

    @property
    def ridge(self) -> Vector | None:
        """Ridge coefficient of each feature, shape (n_features,), or None."""
        return self.fit.ridge

    @property
    def n_samples(self) -> int:
        """Number of samples n."""
        return self.fit.n_samples

    @property
    def n_features(self) -> int:
        """Number of features d."""
        return self.fit.n_features

    @property
    def squared_norms(self) -> Vector:
        """``sum_i s_i a_ij^2`` of the columns of A, shape (n_features,)."""
        return self.fit.squared_norms

    @property
    def slope_at_zero(self) -> float:
        """Slope of the penalty at zero, inf for Lq."""
        return self._strength.slope_at_zero

    @property
    def is_convex(self) -> bool:
        """Whether the penalty is a straight line (l1), or has no effect."""
        return self.lam == 0.0 or not self.penalty_factor.any() or self._strength.straight

    # ---- others that share the data

    def __repr__(self) -> str:
        kind = "sparse" if self.design.sparse else "dense"
        parts = [
            f"{self.n_samples} x {self.n_features} {kind} {self.loss!r}",
            repr(self.penalty),
            f"lam={self.lam:g}",
        ]
        if np.isfinite(self.lower).any() or np.isfinite(self.upper).any():
            parts.append(f"box {self.lower.min():g} to {self.upper.max():g}")
        if self.fit_intercept:
            parts.append("intercept")
        return f"{type(self).__name__}({', '.join(parts)})"

    def with_lam(self, lam: float) -> Self:
        """Return the same problem at another lam; X and everything computed from it is shared."""
        return self.with_parts(lam=validation.check_lam(lam))

    def with_penalty(self, penalty: Penalty) -> Self:
        """Return the same problem with another penalty; X and everything computed from it is shared."""
        return self.with_parts(_strength=Strength(_check_penalty(penalty)))

    def with_bounds(self, lower: Any, upper: Any) -> Self:
        """Return the same problem on another box; X and everything computed from it is shared."""
        low, high = validation.check_bounds(lower, upper, self.n_features)
        if self.group is not None:
            validation.refuse_bounds_of_groups(low, high)
            return self.with_parts()  # groups that are left out stay so
        return self.with_parts(lower=low, upper=high)

    def with_sample_weight(self, sample_weight: Any) -> Self:
        """Return the same problem with other sample weights; X is shared, what depends on weights is not."""
        weights = validation.check_sample_weight(sample_weight, self.n_samples)
        if weights is None:
            weights = np.full(self.n_samples, 1.0 / self.n_samples)
        return self.with_parts(fit=self.fit.with_row_weights(weights))

    def convex_step(self, weights: Vector, linear: Vector | None = None) -> Self:
        """Return the problem of one convex step: ``weights'|x| + linear'x`` in the place of the penalty.

        An infinite weight fixes its coordinate at zero.
        """
        lower, upper = self.lower, self.upper
        fixed = np.isinf(weights)
        if fixed.any():
            if (lower[fixed] > 0).any() or (upper[fixed] < 0).any():
                raise ValueError(
                    "An infinite weight fixes a coordinate at zero, but the box excludes zero there."
                )
            lower, upper = np.where(fixed, 0.0, lower), np.where(fixed, 0.0, upper)
            weights = np.where(fixed, 0.0, weights)
        fit = self.fit if linear is None else self.fit.with_linear(linear)
        step = self.with_parts(fit=fit, lower=lower, upper=upper)
        step._regulariser = self.regulariser.majorizer(weights)
        return step

    def normalised(self) -> Self:
        """Return the problem in coordinates in which no column is far longer or shorter than the others.

        Coordinate j becomes ``x_j / units_j`` with units that are powers of two, so that nothing is rounded
        on the way there and back; a group has one unit. A problem whose columns are within a factor of 1000
        of each other comes back as it is.
        """
        units = self.fit.column_units(self.regulariser.shared)[0]
        if units is None:
            return self
        return self.with_parts(
            fit=self.fit.scaled(units),
            units=self.units * units,
            lower=self.lower / units,
            upper=self.upper / units,
        )

    def with_parts(self, **fields: Any) -> Self:
        """Return a copy with some attributes set, unchecked; the regulariser is made anew."""
        other = object.__new__(type(self))  # a tenth of the time of copy.copy
        other.__dict__.update(self.__dict__, **fields)
        other._regulariser = None
        return other

    _regulariser: Regulariser | None = None

    # ---- values

    def predictor(self, x: Vector, intercept: float = 0.0) -> Vector:
        """Return ``A x + offset + intercept``, shape (n_samples,)."""
        z = self.fit.predictor(validation.check_point(x, self.n_features))
        return z + intercept if intercept else z

    def data_fit(self, x: Vector, intercept: float = 0.0) -> float:
        """Return the weighted mean loss plus the ridge term at x."""
        return self.fit.value(self.predictor(x, intercept), np.asarray(x, dtype=np.float64))

    def sample_losses(self, x: Vector, intercept: float = 0.0) -> Vector:
        """Return the loss of each sample at x, one entry a sample."""
        losses: Vector = self.loss.value(self.predictor(x, intercept), self.y)
        return losses

    def strata(self) -> Vector | None:
        """Return the class of each sample, for folds that have their share of each; None without classes."""
        return self.y if np.unique(self.y[self.row_weights > 0.0]).size == 2 else None

    def gradient(self, x: Vector, intercept: float = 0.0) -> Vector:
        """Return the gradient of the data fit in x, shape (n_features,)."""
        rows = self.fit.rows(self.predictor(x, intercept))
        return self.fit.gradient(rows, np.asarray(x, dtype=np.float64))

    def penalty_value(self, x: Vector) -> float:
        """Return ``lam R(x)``."""
        x = np.asarray(x, dtype=np.float64)
        return 0.0 if self.lam == 0.0 else self.regulariser.value(self.regulariser.entries(x))

    def objective(self, x: Vector, intercept: float = 0.0) -> float:
        """Return data fit plus penalty at x (the box is not checked)."""
        return self.data_fit(x, intercept) + self.penalty_value(x)

    def weights(self, x: Vector) -> Vector:
        """Return the weights of the l1 majorizer at x, ``lam factor_j r'(|x_j|)``, shape (n_features,).

        An entry is inf where x_j = 0 and the penalty's slope at zero is infinite; it is 0 where
        lam or the factor is 0. With groups, ``lam factor_g r'(||x_g||)`` for each feature of the group.
        """
        return self.regulariser.weights(self.regulariser.entries(np.asarray(x, dtype=np.float64)))

    def stationarity(self, x: Vector, intercept: float = 0.0) -> float:
        """Return the largest first-order violation at x, in units of the gradient; 0 means stationary.

        For each coordinate (or group) this is the distance from 0 to the subdifferential of the objective
        plus the normal cone of the box: how steeply the objective falls along a feasible
        direction. With an intercept, its gradient counts too. At ``x_j = 0`` with an infinite
        slope at zero there is no violation.
        """
        x = validation.check_point(x, self.n_features)
        rows = self.fit.rows(self.predictor(x, intercept))
        worst = float(np.max(self.violations(x, self.fit.gradient(rows, x), self.weights(x))))
        return max(worst, abs(float(rows.sum()))) if self.fit_intercept else worst

    def violations(self, x: Vector, gradient: Vector, weights: Vector) -> Vector:
        """Return each coordinate's first-order violation for ``gradient'x + weights'|x|`` on the box."""
        violations = np.empty(self.n_features)
        self.regulariser.violations(x, gradient, weights, self.lower, self.upper, violations)
        return violations

    def best_intercept(self, x: Vector) -> float:
        """Return the best intercept at x, 0 without one."""
        return self.fit.best_intercept(self.predictor(x))

    def start_at_zero(self) -> tuple[Vector, float]:
        """Return the point of the box nearest to zero, and the best intercept there."""
        x = np.clip(0.0, self.lower, self.upper)
        return x, self.best_intercept(x) if x.any() else self.fit.intercept_at_zero

    def gradient_at_start(self) -> Vector:
        """Return the data fit's gradient at `start_at_zero`, computed once for all boxes that hold zero."""
        if (self.lower > 0.0).any() or (self.upper < 0.0).any():
            return self.gradient(*self.start_at_zero())
        return self.fit.gradient_at_zero

    def rounding(self) -> float:
        """Return the size that a gradient which is exactly zero may have after rounding."""
        return self.fit.rounding(self.fit.column_units(self.regulariser.shared)[1])

    def require_plain(self, what: str, *, ridge: bool = False, offset: bool = False) -> None:
        """Refuse what theorems and branch and bound do not know: unbounded curvature, ridge, offset.

        Parameters
        ----------
        what
            Who asks.
        ridge, offset
            Whether it knows them.

        Raises
        ------
        ValueError
            With the part that is not known, and the remedy where there is one.
        """
        steep = self.group is None and not np.isfinite(self.loss.smoothness)
        unknown = {
            "several responses": self.sample_weight.size < self.n_samples,
            "a ridge term": self.ridge is not None and not ridge,
            "an offset": self.offset is not None and not offset,
            f"the {self.loss.name} loss, whose curvature is unbounded": steep,
        }
        for part, there in unknown.items():
            if there:
                raise ValueError(f"{what} does not know {part}: leave it out.")

    def _check_numbers(self) -> None:
        """Refuse NaN and infinity in X, which show in the gradient at zero, and y whose loss overflows."""
        with np.errstate(over="ignore", invalid="ignore"):
            gradient = self.fit.gradient_at_zero
        if not np.isfinite(gradient).all():
            validation.require_finite(self.X.data if self.design.sparse else self.X, "X")
            if self.offset is not None and not np.isfinite(self.loss.smoothness):
                raise ValueError(
                    f"The {self.loss.name} loss overflows at an offset of {np.abs(self.offset).max():.3g}: "
                    "offsets are logarithms, of the exposure for counts; centre them, or fit an intercept."
                )
            raise ValueError(
                "The products of X (times theta) and y overflow: divide both by their largest size."
            )
        if not np.isfinite(self.fit.loss_at_zero):
            largest = float(np.abs(self.y).max())
            raise ValueError(
                f"y is as large as {largest:.3g}: its loss overflows; divide y by {largest:.1g}."
            )

    def lam_max(self) -> float:
        """Return the smallest lam at which the zero vector is stationary.

        That is ``max_j |grad_j f(0)| / (factor_j r'(0))`` over the penalised features (only a
        gradient that points into the box counts; with groups, the norm of its part). With an infinite slope
        at zero (Lq), zero is stationary at every lam: there the slope 1 of l1 stands in, so that grids of lam
        keep their scale. Unpenalised features are held at zero; the intercept is fitted.

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
    require_axioms(penalty, 10.0, 1e6)  # far enough for coefficients in any sensible unit
    return penalty
