"""The data fit of a problem: loss of ``A x + offset + b`` with row weights, a ridge term; its one owner."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self, cast

import numpy as np

from convex_analysis import steering
from convex_analysis.design import Design, Indices
from convex_analysis.losses.loss import Loss, Vector

# What changes with the units of the columns.
_OF_COLUMNS = ("_first_pass", "squared_norms", "coordinate_curvature", "largest_entries", "_units", "_scaled")
# Columns this far apart, or this far from length one, are brought together (binary exponents).
_WIDEST = 10
_FARTHEST = 30
# Squares beyond these exponents lose digits or overflow: then the largest entry stands for the norm.
_SAFE = 480


@dataclass(frozen=True, eq=False)
class DataFit:
    """``f(x, b) = sum_i s_i phi((A x)_i + o_i + b, y_i) + linear'x + sum_j ridge_j x_j^2 / 2``.

    What is computed from the data (norms, the gradient at zero) is computed once and shared by all problems
    that share the fit.

    Parameters
    ----------
    design
        The operator A.
    y
        Targets as the loss wants them, shape (n_samples,).
    row_weights
        Row weights s, shape (n_samples,), of sum one.
    loss
        The loss phi.
    fit_intercept
        Whether there is an intercept b, else it is 0.
    offset
        Known part o of the predictors, shape (n_samples,), or None.
    ridge
        Ridge coefficient of each coordinate, shape (n_features,), or None.
    linear
        Coefficients of an added linear term, shape (n_features,), or None.
    """

    design: Design
    y: Vector
    row_weights: Vector
    loss: Loss
    fit_intercept: bool = False
    offset: Vector | None = None
    ridge: Vector | None = None
    linear: Vector | None = None

    @property
    def n_samples(self) -> int:
        """Number of samples n."""
        return self.design.n_samples

    @property
    def n_features(self) -> int:
        """Number of features d."""
        return self.design.n_features

    @property
    def quadratic(self) -> bool:
        """Whether the Hessian is the same everywhere."""
        return self.loss.quadratic

    # ---- values and derivatives; z are predictors with offset and intercept

    def predictor(self, x: Vector) -> Vector:
        """Return ``A x + offset``, shape (n_samples,): what the intercept is added to."""
        z = self.design.matvec(x)
        return z if self.offset is None else z + self.offset

    def value(self, z: Vector, x: Vector) -> float:
        """Return f at a point with predictors z."""
        return self.loss_value(z) + self.separable_value(x)

    def loss_value(self, z: Vector) -> float:
        """Return the weighted loss at predictors z."""
        return float(self.row_weights @ self.loss.value(z, self.y))

    def separable_value(self, x: Vector, columns: Indices | slice = slice(None)) -> float:
        """Return the linear and the ridge term of some coordinates."""
        value = 0.0
        if self.linear is not None:
            value += float(self.linear[columns] @ x)
        if self.ridge is not None:
            value += 0.5 * float(self.ridge[columns] @ (x * x))
        return value

    def rows(self, z: Vector) -> Vector:
        """Return the derivative in each predictor, ``s_i phi'(z_i, y_i)``."""
        rows: Vector = self.row_weights * self.loss.derivative(z, self.y)
        return rows

    def gradient(self, rows: Vector, x: Vector) -> Vector:
        """Return the gradient in x where the derivatives in the predictors are known."""
        return self._complete(self.design.rmatvec(rows), x, slice(None))

    def restricted_gradient(self, rows: Vector, x: Vector, columns: Indices) -> Vector:
        """Return some entries of the gradient; ``x`` holds the same entries of the point."""
        return self._complete(self.design.restricted_rmatvec(columns, rows), x, columns)

    def _complete(self, gradient: Vector, x: Vector, columns: Indices | slice) -> Vector:
        if self.linear is not None:
            gradient += self.linear[columns]
        if self.ridge is not None:
            gradient += self.ridge[columns] * x
        return gradient

    def row_curvature(self, z: Vector) -> Vector:
        """Return the curvature of the quadratic model in each predictor, ``s_i phi''(z_i, y_i)`` or above.

        Far out a loss may be steep without any curvature left (a wrong label at a large margin): there a
        little is put in its place, or no column of such rows could move.
        """
        curvature = self.loss.curvature(z, self.y)
        if not self.quadratic:
            slopes = np.abs(self.loss.derivative(z, self.y))
            curvature = np.maximum(curvature, steering.STRAIGHT * slopes / (1.0 + np.abs(z)))
        return self.row_weights * curvature

    def metric(self, z: Vector) -> Vector:
        """Return what `hessian_product` needs of the predictors z, shape (n_samples,)."""
        loss = self.loss
        curvature = loss.curvature(z, self.y) if loss.responses > 1 else loss.second_derivative(z, self.y)
        return self.row_weights * curvature

    def hessian_product(self, metric: Vector, v: Vector) -> Vector:
        """Return the Hessian of the losses in the predictors, times v: ``metric v``, unless responses couple.

        With coupled responses it is ``diag(h) - h h' / sum(h)`` of each sample, h its entries of the metric.
        """
        if self.loss.responses == 1:
            return metric * v
        h = metric.reshape(self.loss.responses, -1)
        weighted = h * v.reshape(h.shape)
        total = np.maximum(h.sum(axis=0), np.finfo(np.float64).tiny)
        product: Vector = (weighted - h * (weighted.sum(axis=0) / total)).ravel()
        return product

    def best_intercept(self, z: Vector, start: float | None = None) -> float:
        """Minimise over b at predictors z without intercept, by safeguarded Newton steps; 0 without one.

        They begin at ``start``, by default at minus the mean offset. Where there is no minimiser (logistic
        data of one class) the result is a point of small gradient.
        """
        if not self.fit_intercept:
            return 0.0
        s, y, loss = self.row_weights, self.y, self.loss
        if loss.quadratic:
            return float(s @ (y - z)) / float(s.sum())
        b = self._first_intercept if start is None else start
        value = self.loss_value(z + b)
        rows = self.rows(z + b)
        slope, negligible = float(rows.sum()), 1e-15 * float(np.abs(rows).sum())
        for _ in range(100):
            curvature = float(s @ loss.curvature(z + b, y))
            if curvature <= 1e-10 * abs(slope):  # steep and straight
                curvature = float(self.row_curvature(z + b).sum())
            if abs(slope) <= negligible or curvature <= 0.0:
                break
            farthest = steering.FARTHEST_STEP * (1.0 + abs(b))
            step = float(np.clip(-slope / curvature, -farthest, farthest))
            rounding = 1e-14 * abs(value)
            for _ in range(50):
                trial = self.loss_value(z + (b + step))
                if trial <= value + rounding:
                    break
                step *= 0.5
            else:
                break
            next_slope = float(self.rows(z + (b + step)).sum())
            # Where the value is flat to rounding, only the slope tells progress.
            if b + step == b or (trial >= value - rounding and abs(next_slope) >= abs(slope)):
                break
            b, value, slope = b + step, trial, next_slope
        return b

    # ---- duality

    def dual_part(self, nu: Vector) -> float:
        """Return ``-sum_i s_i phi*(-nu_i / s_i) - offset'nu``: what a dual value owes to the losses."""
        s, y = self.row_weights, self.y
        shift = 0.0 if self.offset is None else float(self.offset @ nu)
        counted = s > 0
        if not counted.all():
            if (nu[~counted] != 0).any():
                return -np.inf
            nu, s, y = nu[counted], s[counted], y[counted]
        return -float(s @ self.loss.conjugate(-nu / s, y)) - shift

    # ---- what the data say once and for all

    @cached_property
    def squared_norms(self) -> Vector:
        """``sum_i s_i a_ij^2`` of the columns of A, shape (n_features,); inf or 0 out of range."""
        return self._first_pass[1]

    @cached_property
    def coordinate_curvature(self) -> Vector:
        """Second derivative in each coordinate where the loss is quadratic, shape (n_features,)."""
        return self.squared_norms if self.ridge is None else self.squared_norms + self.ridge

    @cached_property
    def intercept_at_zero(self) -> float:
        """The best intercept at the point zero."""
        return self.best_intercept(self._predictor_at_zero)

    @property
    def gradient_at_zero(self) -> Vector:
        """Gradient at the point zero with its best intercept, shape (n_features,); not to be changed."""
        gradient = self._first_pass[0]
        return gradient if self.linear is None else gradient + self.linear

    @cached_property
    def loss_at_zero(self) -> float:
        """The weighted loss at the point zero with its best intercept."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self.loss_value(self._predictor_at_zero + self.intercept_at_zero)

    @cached_property
    def largest_entries(self) -> Vector:
        """Largest size of an entry of each column of A, shape (n_features,)."""
        return self.design.largest_entries()

    @cached_property
    def _first_pass(self) -> tuple[Vector, Vector]:
        """The gradient of the losses at zero and the squared norms, in one pass over X."""
        rows = self.rows(self._predictor_at_zero + self.intercept_at_zero)
        return self.design.rmatvec_and_squared_norms(rows, self.row_weights)

    @property
    def _predictor_at_zero(self) -> Vector:
        return np.zeros(self.n_samples) if self.offset is None else self.offset

    def rounding(self, longest: float) -> float:
        """Return the size that a gradient which is exactly zero may have after rounding.

        ``longest`` is the norm of the longest column.
        """
        longest = max(longest, 1.0) if self.fit_intercept else longest  # the intercept's column of ones
        return 16.0 * float(np.finfo(np.float64).eps) * longest * self._slope_size

    @cached_property
    def _slope_size(self) -> float:
        """Size of the losses' derivatives at zero, before the intercept is fitted."""
        first = self._first_intercept
        z = self._predictor_at_zero + first
        slopes = self.loss.derivative(z, self.y)
        steepness = float(np.max(self.loss.second_derivative(z, self.y), initial=0.0))
        moved = abs(first) + abs(self.intercept_at_zero - first)
        return float(np.sqrt(self.row_weights @ (slopes * slopes))) + steepness * moved

    @cached_property
    def _first_intercept(self) -> float:
        """Minus the mean offset where an intercept can take it up: far from it a log link overflows."""
        if self.offset is None or not self.fit_intercept:
            return 0.0
        return -float(self.row_weights @ self.offset)

    def with_linear(self, linear: Vector | None) -> Self:
        """Return the fit with another linear term; what was computed from the data is kept."""
        other = self._changed(linear=linear)
        other.__dict__.pop("_scaled", None)
        return other

    def with_ridge(self, ridge: Vector | None) -> Self:
        """Return the fit with another ridge term; what was computed from the data is kept."""
        other = self._changed(ridge=ridge)
        for name in ("coordinate_curvature", "_scaled"):
            other.__dict__.pop(name, None)
        return other

    def with_row_weights(self, row_weights: Vector) -> DataFit:
        """Return the fit with other row weights; nothing computed is kept."""
        design, y, loss = self.design, self.y, self.loss
        return DataFit(design, y, row_weights, loss, self.fit_intercept, self.offset, self.ridge, self.linear)

    # ---- coordinates in which all columns have about the same length

    def column_units(self, shared: Callable[[Indices], Indices]) -> tuple[Vector | None, float]:
        """Return a power of two for each column, its norm times which is about one, and the longest norm.

        The norm is ``sqrt(sum_i s_i a_ij^2)``. None in the place of the units where the norms are within a
        factor of 1000 of each other and not far from one; a zero column has the unit one. ``shared`` gives
        the exponents of a group one value (`Regulariser.shared`). Made once.
        """
        if self._units is not None:
            return self._units
        norms = np.sqrt(self.squared_norms)
        exponents = np.where(norms > 0.0, np.frexp(norms)[1], 0)
        unsafe = (norms == 0.0) | ~np.isfinite(norms) | (np.abs(exponents) > _SAFE)
        if unsafe.any():
            largest = self.largest_entries
            exponents[unsafe] = np.where(largest[unsafe] > 0.0, np.frexp(largest[unsafe])[1], 0)
            norms = np.where(unsafe, largest, norms)
        exponents = shared(exponents)
        proper = exponents[norms > 0.0]
        alike = not proper.size or (np.ptp(proper) <= _WIDEST and np.abs(proper).max() <= _FARTHEST)
        found = (None if alike else np.ldexp(1.0, -exponents), float(norms.max()))
        self.__dict__["_units"] = found
        return found

    _units: ClassVar[tuple[Vector | None, float] | None] = None

    def scaled(self, units: Vector) -> DataFit:
        """Return the fit in coordinates ``x_j / units_j``, made once, with all that is found from it."""
        if self._scaled is None:
            other = copy.copy(self)
            for name in _OF_COLUMNS:
                other.__dict__.pop(name, None)
            self.__dict__["_scaled"] = other._changed(
                design=self.design.scaled(units),
                ridge=None if self.ridge is None else self.ridge * units * units,
                linear=None if self.linear is None else self.linear * units,
                _units=(None, 1.0),
            )
        return cast(DataFit, self._scaled)

    _scaled: ClassVar[DataFit | None] = None

    def _changed(self, **fields: object) -> Self:
        other = copy.copy(self)
        other.__dict__.update(fields)
        return other
