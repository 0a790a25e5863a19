"""Rays along which an objective falls for ever: separable labels, counts of zero, no penalty that holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg.lapack import dpotrf

from convex_analysis import steering
from convex_analysis.design import Indices
from convex_analysis.losses.loss import Margins, Vector

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem

# Margins at which the fall is looked for: there the loss still has a slope in double precision.
_MARGINS = (30.0, 100.0, 300.0)

REMEDY = (
    "{endless}, and far out the penalty does not hold the coefficients: {bound}add "
    "a ridge, or take a penalty that grows without limit (l1, log)"
)


def remedy(problem: Problem) -> str:
    """Return why there is no minimiser, and what to do, in words."""
    bound = "" if problem.group is not None else "bound them (lower, upper), "
    return REMEDY.format(endless=problem.loss.endless, bound=bound)


def falling_ray(problem: Problem, x: Vector, intercept: float) -> tuple[Vector, float] | None:
    """Return a direction in which the objective falls for ever from a point, None if there is none.

    A loss falls for ever with its margins (`Loss.margins`: ``y z``, ``-z`` for a count of zero, or the
    predictor of the own class less that of another). So it falls along (d, b) for ever iff no margin falls,
    some grow, and predictors in no margin stay where they are: a direction of recession. The penalty
    does not hold it if its slope along the ray, far out, is below the loss's. Only coordinates or groups that
    are not zero, or are not penalised, move: away from zero, where the box is open. A ridge holds them.
    Intercepts that run away alone are no such ray: the infimum is met to rounding.

    Parameters
    ----------
    problem
        Any problem; only losses with margins have such rays.
    x, intercept
        The point, best a solution: then the ray also says that it is none.

    Returns
    -------
    direction, of_intercept
        Shape (n_features,), and the share of the intercept.
    """
    if not problem.loss.endless or np.any(problem.fit.ridge):
        return None
    rays = _Rays(problem, x, intercept)
    if float(rays.margins.of(rays.z).max(initial=0.0)) < steering.SUSPICIOUS:
        return None
    columns = rays.columns()
    if not (columns < problem.n_features - problem.design.intercepts).any():
        return None
    if not rays.still.size and np.isin(np.flatnonzero(x), columns).all():
        ray = x, intercept if problem.fit_intercept else 0.0
        if rays.falls(*ray):
            return ray
    found = rays.by_programme(columns)
    return found if found is not None and rays.falls(*found) else None


class _Rays:
    """What rays from one point share.

    Attributes
    ----------
    z
        Predictors at the point.
    margins
        Those of samples with a weight.
    still
        Rows with a weight that are in no margin.
    """

    def __init__(self, problem: Problem, x: Vector, intercept: float) -> None:
        self.problem, self.x = problem, x
        self.z = problem.predictor(x, intercept)
        rows, sign, others = problem.loss.margins(problem.y)
        counted = problem.row_weights > 0.0
        kept = counted[rows]
        self.margins = Margins(rows[kept], sign[kept], None if others is None else others[kept])
        counted[self.margins.rows] = False
        if self.margins.others is not None:
            counted[self.margins.others] = False
        self.still = np.flatnonzero(counted)
        self.slopes = problem.fit.rows(self.z)

    def columns(self) -> Indices:
        """Return the coordinates that may move for ever, judged by the slopes of penalty and loss.

        Along a ray from a stationary point the loss's slope is balanced by the penalty's: it falls only if
        the penalty has none there, to within what the coordinates violate.
        """
        problem, x = self.problem, self.x
        weights = problem.weights(x)
        free = (problem.lam * problem.penalty_factor == 0.0) & (problem.lower < problem.upper)
        alive = problem.regulariser.sizes(x) > 0.0
        self.rising = ((x > 0.0) | free) & np.isposinf(problem.upper)
        self.falling = ((x < 0.0) | free) & np.isneginf(problem.lower)
        if problem.group is not None:
            self.rising = self.falling = (alive | free) & (problem.lower < problem.upper)
        columns = np.flatnonzero(self.rising | self.falling)
        gradient = problem.fit.restricted_gradient(self.slopes, x[columns], columns)
        violations = np.zeros(problem.n_features)
        violations[columns] = gradient
        self.gradient = violations.copy()
        pull = self._norm_gradient(x, weights)
        sizes = problem.regulariser.sizes(violations + pull)
        return columns[weights[columns] <= sizes[columns]]

    def _norm_gradient(self, x: Vector, weights: Vector) -> Vector:
        """Return the gradient of the penalty's majorizer where x is not zero, 0 elsewhere."""
        sizes = self.problem.regulariser.sizes(x)
        alive = sizes > 0.0
        gradient = np.zeros_like(x)
        gradient[alive] = weights[alive] * x[alive] / sizes[alive]
        return gradient

    def falls(self, direction: Vector, share: float) -> bool:
        """Whether no margin falls along a direction, and the objective falls along it far out."""
        problem = self.problem
        move = problem.design.matvec(direction) + share
        rates = self.margins.of(move)
        largest = float(rates.max(initial=0.0))
        still = float(np.abs(move[self.still]).max(initial=0.0))
        if not (largest > 0.0 and float(rates.min()) >= -1e-9 * largest and still <= 1e-9 * largest):
            return False
        # Where the penalty holds a stationary point, its slope balances the loss's there: no point of a ray.
        resistance = self._resistance(self.x, direction)
        if not np.isfinite(resistance) or 2.0 * resistance > -float(self.slopes @ move):
            return False
        slowest = float(rates[rates > 1e-6 * largest].min())
        pulls = problem.row_weights[self.margins.rows] * rates
        for margin in _MARGINS:
            # The loss of a sample at a margin of m has the slope of exp(-m), times what the margin grows by.
            far = self.x + margin / slowest * direction
            if self._resistance(far, direction) >= float(pulls.max()) * np.exp(-margin):
                return False
        return True

    def _resistance(self, x: Vector, direction: Vector) -> float:
        """Return the slope of the penalty at a point of the ray."""
        moving = direction != 0.0
        return float(self._norm_gradient(x, self.problem.weights(x))[moving] @ direction[moving])

    def by_programme(self, columns: Indices) -> tuple[Vector, float] | None:
        """Return the direction of largest total margin among those of recession, by a linear programme."""
        problem = self.problem
        if columns.size * (self.margins.rows.size + self.still.size) > steering.LARGEST_PROGRAMME:
            return None
        norms = np.sqrt(problem.squared_norms[columns])
        scale = np.where(norms > 0.0, norms, 1.0)
        moves = np.asarray(problem.design.columns(columns)) / scale
        gradient = self.gradient[columns] / scale
        bounds = [(-1.0 if self.falling[j] else 0.0, 1.0 if self.rising[j] else 0.0) for j in columns]
        if problem.fit_intercept:
            moves = np.column_stack((moves, np.ones(len(moves))))
            gradient = np.append(gradient, self.slopes.sum())
            bounds.append((-1.0, 1.0))
        margins, fixed = self.margins.of(moves), moves[self.still]
        if self._excluded(margins, fixed, gradient):
            return None
        from scipy.optimize import linprog

        limits = -margins
        if problem.group is not None:  # norms must not fall on the way
            _, place = np.unique(problem.group[columns], return_inverse=True)
            outwards = np.zeros((place.max() + 1, moves.shape[1]))
            outwards[place, np.arange(columns.size)] = -self.x[columns] / scale
            limits = np.vstack((limits, outwards))
        found = linprog(
            -margins.sum(axis=0), A_ub=limits, b_ub=np.zeros(len(limits)), bounds=bounds,
            A_eq=fixed if len(fixed) else None, b_eq=np.zeros(len(fixed)) if len(fixed) else None,
        )  # fmt: skip
        if found.x is None or float((margins @ found.x).sum()) <= 1e-9 * len(margins):
            return None
        direction = np.zeros(problem.n_features)
        direction[columns] = found.x[: columns.size] / scale
        return direction, float(found.x[-1]) if problem.fit_intercept else 0.0

    def _excluded(self, margins: Vector, fixed: Vector, gradient: Vector) -> bool:
        """Whether the point itself proves that no direction of recession moves these columns.

        The slopes l_m > 0 of the losses in the margins are a certificate: ``sum_m l_m rate_m`` is minus the
        gradient along d, and no term is negative, so that ``sum_m (l_m rate_m)^2 <= (g'd)^2 <= |g|^2 |d|^2``;
        that is impossible where the matrix of the left side, with the rows that must not move, is steeper
        than |g|^2 in every direction.
        """
        rows, _, others = self.margins
        weighted = margins * self.slopes[rows if others is None else others, None]
        fixed = fixed * self.problem.row_weights[self.still, None]
        steepness = weighted.T @ weighted + fixed.T @ fixed
        size = float(np.abs(steepness).max(initial=0.0)) * 1e-12 * len(steepness)
        np.fill_diagonal(steepness, steepness.diagonal() - 2.0 * float(gradient @ gradient) - size)
        return not dpotrf(steepness, lower=1)[1]
