"""The data a theorem is evaluated on: problem, target, point, and what theorems share of them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from convex_analysis.constants import (
    Constant,
    NormalisedPenalty,
    SlopeLine,
    curvature_factor,
    dense_design,
    diagonal_curvature,
    orthant_minimum,
    restricted_eigenvalue,
    row_curvature_at_target,
    row_curvature_on_box,
    row_monotonicity_at_target,
    slope_lines,
    strong_convexity,
)
from convex_analysis.constants.curvature import Matrix
from convex_analysis.constants.rounding import Rounding
from convex_analysis.losses.loss import Vector

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem


class Case:
    """A problem, perhaps a target mask and a point, with everything derived from them computed at most once.

    Parameters
    ----------
    problem
        Any problem.
    target_mask
        The mask to compare with, entries 0 and 1, shape (n_features,); None if there is none.
    solution
        A `Solution`, or a vector of shape (n_features,) inside the box; None if there is none.
    start
        Where majorize-minimize starts in T7, T8 and T16: what `majorize_minimize` accepts as a vector.
    mask, weights, weight_decay
        A mask and weights trained together, and the weight decay (T11, T17).
    gaussian
        Standard deviation of X, if its entries are independent draws from a normal distribution (T22).
    steps
        Largest number of majorize-minimize steps that T7 and T16 take.
    support_floor
        T4 then speaks of points with ``m >= support_floor`` on the target's support only.
    signs
        When to use the known signs for the strong convexity constant: "auto" (where the smallest
        eigenvalue is zero), "always" or "never".
    semidefinite_limit, quadratic_limit
        Largest n_features for which the semidefinite, resp. quadratic, programs are solved.

    Raises
    ------
    ValueError
        If the target is not binary, or the point does not lie in the box.
    """

    def __init__(
        self,
        problem: Problem,
        target_mask: Any = None,
        solution: Any = None,
        *,
        start: Any = None,
        mask: Any = None,
        weights: Any = None,
        weight_decay: float | None = None,
        gaussian: float | None = None,
        steps: int = 100,
        support_floor: float = 0.0,
        signs: str = "auto",
        semidefinite_limit: int = 20,
        quadratic_limit: int = 300,
    ) -> None:
        problem.require_plain("The theorems' check", ridge=True, offset=True)
        self.problem = problem
        self.solution = solution
        self.target = None if target_mask is None else _binary(target_mask, problem.n_features)
        self.point = None if solution is None else _inside(problem, getattr(solution, "x", solution))
        self.start, self.steps = start, steps
        self.mask, self.weights, self.weight_decay = mask, weights, weight_decay
        if not 0.0 <= support_floor < 1.0:
            raise ValueError(f"support_floor must lie in [0, 1), got {support_floor!r}.")
        if signs not in ("auto", "always", "never"):
            raise ValueError(f'signs must be "auto", "always" or "never", got {signs!r}.')
        if gaussian is not None and not (np.isfinite(gaussian) and gaussian > 0):
            raise ValueError(f"gaussian must be a positive standard deviation, got {gaussian!r}.")
        self.gaussian = gaussian
        self.support_floor, self.signs = support_floor, signs
        self.semidefinite_limit, self.quadratic_limit = semidefinite_limit, quadratic_limit

    # ---- penalty

    @cached_property
    def penalty(self) -> NormalisedPenalty:
        """The penalty divided by r(1)."""
        return NormalisedPenalty(self.problem.penalty)

    @property
    def lam(self) -> float:
        """Strength of the normalised penalty, lam r(1)."""
        return self.problem.lam * self.penalty.amplitude

    @cached_property
    def slope_lines(self) -> list[SlopeLine]:
        """The admissible triples of T4."""
        return slope_lines(self.penalty, self.support_floor)

    # ---- target

    @cached_property
    def support(self) -> NDArray[np.bool_]:
        """The target's support S."""
        assert self.target is not None
        return self.target > 0

    @property
    def k(self) -> int:
        """Number of ones in the target."""
        return int(self.support.sum())

    @cached_property
    def target_intercept(self) -> float:
        """The best intercept at the target."""
        assert self.target is not None
        problem = self.problem
        return problem.best_intercept(self.target)

    @cached_property
    def gradient(self) -> Vector:
        """g, the gradient of the data fit at the target."""
        assert self.target is not None
        return self.problem.gradient(self.target, self.target_intercept)

    @cached_property
    def gradient_rounding(self) -> Vector:
        """Allowance for rounding in each entry of g."""
        assert self.target is not None
        return self.rounding_of_gradient(self.target, self.target_intercept)

    @cached_property
    def target_objective(self) -> float:
        """F at the target."""
        assert self.target is not None
        return self.problem.objective(self.target, self.target_intercept)

    @cached_property
    def noise_on_support(self) -> float:
        """kappa_S = max of g / lam on the support (-inf if it is empty)."""
        return _ratio(float(np.max(self.gradient[self.support], initial=-np.inf)), self.lam)

    @cached_property
    def noise_off_support(self) -> float:
        """kappa_N = max of -g / lam off the support (-inf if there is nothing off it)."""
        return _ratio(float(np.max(-self.gradient[~self.support], initial=-np.inf)), self.lam)

    @property
    def cone(self) -> float:
        """The opening alpha = (1 + kappa_S)_+ / (1 - kappa_N); to be used only if kappa_N < 1 and k >= 1."""
        return max(0.0, 1.0 + self.noise_on_support) / (1.0 - self.noise_off_support)

    # ---- point

    @cached_property
    def point_intercept(self) -> float:
        """The best intercept at the point: the data fit of the theorems is minimised over it."""
        assert self.point is not None
        problem = self.problem
        return problem.best_intercept(self.point)

    @cached_property
    def error(self) -> Vector:
        """The error h = point - target."""
        assert self.point is not None
        assert self.target is not None
        return self.point - self.target

    @cached_property
    def distance(self) -> float:
        """||h||_2; nan without a point."""
        return np.nan if self.point is None else float(np.linalg.norm(self.error))

    @property
    def distance_l1(self) -> float:
        """||h||_1; nan without a point."""
        return np.nan if self.point is None else float(np.abs(self.error).sum())

    @cached_property
    def point_objective(self) -> float:
        """F at the point."""
        assert self.point is not None
        return self.problem.objective(self.point, self.point_intercept)

    @property
    def excess(self) -> float:
        """F(point) - F(target)."""
        return self.point_objective - self.target_objective

    @cached_property
    def objective_rounding(self) -> float:
        """Allowance for rounding in F(point) - F(target)."""
        assert self.point is not None
        assert self.target is not None
        at_point = self.rounding_of_objective(self.point, self.point_intercept)
        return at_point + self.rounding_of_objective(self.target, self.target_intercept)

    @property
    def allowed_excess(self) -> float:
        """How much larger than F(target) the solver's own certificate and rounding allow F(point) to be."""
        gap = float(getattr(self.solution, "gap", 0.0))
        lower = getattr(self.solution, "lower_bound", None)
        if lower is not None:
            gap = max(gap, self.point_objective - float(lower))
        return self.objective_rounding + (gap if np.isfinite(gap) else 0.0)

    @property
    def used_excess(self) -> float:
        """The excess Delta, as far as the certificate allows one, plus rounding."""
        return min(max(self.excess, 0.0), self.allowed_excess) + self.objective_rounding

    @cached_property
    def violations(self) -> Vector:
        """eta: each coordinate's first-order violation at the point, with an allowance for rounding."""
        assert self.point is not None
        problem = self.problem
        gradient = problem.gradient(self.point, self.point_intercept)
        slopes = self.penalty.slope(self.point)
        with np.errstate(invalid="ignore"):
            weights = np.where(self.lam > 0, self.lam * slopes, 0.0)
            eta = problem.violations(self.point, gradient, weights)
        eta = np.where(np.isnan(eta), 0.0, eta)
        return eta + self.rounding_of_gradient(self.point, self.point_intercept)

    @cached_property
    def rounding(self) -> Rounding:
        """Allowances for rounding."""
        return Rounding(self.problem, self.design)

    def rounding_of_gradient(self, x: Vector, intercept: float) -> Vector:
        """Return an allowance for rounding in each entry of the gradient at x."""
        return self.rounding.of_gradient(x, intercept)

    def rounding_of_objective(self, x: Vector, intercept: float) -> float:
        """Return an allowance for rounding in the objective at x."""
        return self.rounding.of_objective(x, intercept)

    # ---- curvature of the data fit

    @cached_property
    def design(self) -> Matrix:
        """A as a dense array."""
        return dense_design(self.problem)

    @cached_property
    def factor_on_box(self) -> Matrix:
        """C with C'C below the Hessian of f on the box."""
        return curvature_factor(self.problem, self.design, row_curvature_on_box(self.problem, self.design))

    @cached_property
    def factor_at_target(self) -> Matrix:
        """C with C'C a curvature matrix at the target."""
        rows = row_curvature_at_target(self.problem, self.design, self.support)
        return curvature_factor(self.problem, self.design, rows)

    @cached_property
    def monotone_factor(self) -> Matrix:
        """C with C'C a monotonicity matrix at the target."""
        rows = row_monotonicity_at_target(self.problem, self.design, self.support)
        return curvature_factor(self.problem, self.design, rows)

    @cached_property
    def convexity_on_box(self) -> Constant:
        """Strong convexity of f on the whole box."""
        return strong_convexity(self.factor_on_box)

    @cached_property
    def convexity_at_target(self) -> Constant:
        """mu, for points seen from the target."""
        return self._with_signs(self.factor_at_target)

    @cached_property
    def monotonicity_at_target(self) -> Constant:
        """Mu of the monotonicity inequality, for points seen from the target."""
        return self._with_signs(self.monotone_factor)

    @cached_property
    def diagonals_at_target(self) -> list[Vector]:
        """Vectors delta with diag(delta) below the curvature matrix at the target."""
        return self._diagonals(self.factor_at_target)

    @cached_property
    def monotone_diagonals(self) -> list[Vector]:
        """Vectors delta with diag(delta) below the monotonicity matrix at the target."""
        return self._diagonals(self.monotone_factor)

    def _diagonals(self, factor: Matrix) -> list[Vector]:
        uniform = np.full(self.problem.n_features, strong_convexity(factor).value)
        scaled = diagonal_curvature(factor)
        # Where it is the larger one everywhere the other says nothing more.
        return [scaled] if (scaled >= uniform).all() else [uniform, scaled]

    def _with_signs(self, factor: Matrix) -> Constant:
        plain = strong_convexity(factor)
        if self.signs == "never" or (self.signs == "auto" and plain.value > 0):
            return plain
        size = factor.shape[1]
        if size <= self.semidefinite_limit:
            signed = restricted_eigenvalue(factor.T @ factor, self.support, rows=len(factor))
        elif size <= self.quadratic_limit:
            signed = orthant_minimum(factor, self.support)
        else:
            return plain
        return signed if signed.value > plain.value else plain


def _ratio(value: float, lam: float) -> float:
    if value == -np.inf:
        return value
    if lam > 0:
        with np.errstate(over="ignore"):
            return float(np.float64(value) / lam)
    return np.inf if value > 0 else (0.0 if value == 0 else -np.inf)


def _binary(target_mask: Any, size: int) -> Vector:
    target = np.asarray(target_mask)
    if target.shape != (size,):
        raise ValueError(
            f"target_mask must have shape ({size},), one entry a feature; got shape {target.shape}."
        )
    if target.dtype.kind not in "biuf" or not np.isin(target, (0, 1)).all():
        raise ValueError(
            "target_mask must hold 0 and 1 only: threshold a relaxed mask first, e.g. mask > 0.5."
        )
    return target.astype(np.float64)


def _inside(problem: Problem, point: Any) -> Vector:
    x = np.asarray(point, dtype=np.float64)
    if x.shape != (problem.n_features,):
        raise ValueError(f"The solution must have shape ({problem.n_features},), got shape {x.shape}.")
    if not ((x >= problem.lower) & (x <= problem.upper)).all():
        raise ValueError("The solution lies outside the problem's box (or holds NaN): clip it first.")
    return x
