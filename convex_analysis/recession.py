"""Rays along which an objective falls for ever: separable labels, counts of zero, no penalty that holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convex_analysis.losses.loss import Vector

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem

# Margins at which the fall is looked for: there the loss still has a slope in double precision.
_MARGINS = (30.0, 100.0, 300.0)
# A fit whose predictor stays below this is no diverging one.
_SUSPICIOUS = 5.0
# Largest number of entries of the linear programme that looks for separation with ties.
_LARGEST_PROGRAMME = 1_000_000

REMEDY = (
    "{endless}, and far out the penalty does not hold the coefficients: bound them (lower, upper), add "
    "a ridge, or take a penalty that grows without limit (l1, log)"
)


def falling_ray(problem: Problem, x: Vector, intercept: float) -> tuple[Vector, float] | None:
    """Return a direction in which the objective falls for ever from a point, None if there is none.

    Let s_i be the side to which a sample's loss falls for ever (`Loss.endless_side`: its label, or -1 for a
    count of zero). The loss falls along (d, b) for ever iff ``s_i (a_i'd + b) >= 0`` for all such samples,
    with some of them positive, and ``a_i'd + b = 0`` for the others: a direction of recession. The penalty
    does not hold it if its slope along the ray, far out, is below the loss's. Only coordinates that are not
    zero, or are not penalised, move: away from zero, where the box is open. A ridge holds them, and groups
    are not looked at. An intercept that runs away alone is no such ray: the infimum is met to rounding.

    Parameters
    ----------
    problem
        Any problem; only losses with an endless side have such rays.
    x, intercept
        The point, best a solution: then the ray also says that it is none.

    Returns
    -------
    direction, of_intercept
        Shape (n_features,), and the share of the intercept.
    """
    if not problem.loss.endless or np.any(problem.fit.ridge) or problem.group is not None:
        return None
    counted = problem.row_weights > 0.0
    side = problem.loss.endless_side(problem.y)[counted]
    far = side * problem.predictor(x, intercept)[counted]
    if float(far.max(initial=0.0)) < _SUSPICIOUS:
        return None
    free = problem.lam * problem.penalty_factor == 0.0
    rising = np.where(x > 0.0, True, free & (x == 0.0)) & np.isposinf(problem.upper)
    falling = np.where(x < 0.0, True, free & (x == 0.0)) & np.isneginf(problem.lower)
    support = np.flatnonzero(x)
    if support.size and (rising | falling)[support].all() and side.all():
        ray = x, intercept if problem.fit_intercept else 0.0
        if _falls(problem, x, intercept, *ray, counted, side):
            return ray
    found = _by_programme(problem, np.flatnonzero(rising | falling), rising, falling, counted, side)
    if found is not None and _falls(problem, x, intercept, *found, counted, side):
        return found
    return None


def _by_programme(
    problem: Problem,
    columns: np.ndarray,
    rising: np.ndarray,
    falling: np.ndarray,
    counted: np.ndarray,
    side: Vector,
) -> tuple[Vector, float] | None:
    """Return the direction of largest total margin among those of recession, by a linear programme."""
    if not columns.size or columns.size * side.size > _LARGEST_PROGRAMME:
        return None
    from scipy.optimize import linprog

    norms = np.sqrt(problem.squared_norms[columns])
    scale = np.where(norms > 0.0, norms, 1.0)
    moves = np.asarray(problem.design.columns(columns))[counted] / scale
    bounds = [(-1.0 if falling[j] else 0.0, 1.0 if rising[j] else 0.0) for j in columns]
    if problem.fit_intercept:
        moves = np.column_stack((moves, np.ones(side.size)))
        bounds.append((-1.0, 1.0))
    margins, fixed = side[side != 0.0, None] * moves[side != 0.0], moves[side == 0.0]
    if len(fixed):
        spread = np.linalg.eigvalsh(fixed.T @ fixed)
        if spread[0] > 1e-10 * spread[-1]:  # of full rank: no direction leaves these samples where they are
            return None
    found = linprog(
        -margins.sum(axis=0), A_ub=-margins, b_ub=np.zeros(len(margins)), bounds=bounds,
        A_eq=fixed if len(fixed) else None, b_eq=np.zeros(len(fixed)) if len(fixed) else None,
    )  # fmt: skip
    if found.x is None or float((margins @ found.x).sum()) <= 1e-9 * len(margins):
        return None
    direction = np.zeros(problem.n_features)
    direction[columns] = found.x[: columns.size] / scale
    return direction, float(found.x[-1]) if problem.fit_intercept else 0.0


def _falls(
    problem: Problem,
    x: Vector,
    intercept: float,
    direction: Vector,
    share: float,
    counted: np.ndarray,
    side: Vector,
) -> bool:
    """Whether the margins of a direction are not negative, and the objective falls along it far out."""
    move = (problem.design.matvec(direction) + share)[counted]
    rates = side * move
    largest = float(rates.max(initial=0.0))
    still = float(np.abs(move[side == 0.0]).max(initial=0.0))
    if not (largest > 0.0 and float(rates.min()) >= -1e-9 * largest and still <= 1e-9 * largest):
        return False
    slowest = float(rates[rates > 1e-6 * largest].min())
    moving = np.flatnonzero(direction)
    weight = problem.lam * problem.penalty_factor[moving] * np.abs(direction[moving])
    # Where the penalty holds a stationary point, its slope balances the loss's there: no point of such a ray.
    slopes = problem.loss.derivative(problem.predictor(x, intercept), problem.y)
    here = problem.units[moving] * np.abs(x[moving])
    held = weight > 0.0
    slope = np.asarray(problem.penalty.derivative(here[held]))
    resistance = float((weight * problem.units[moving])[held] @ slope)
    if not np.isfinite(resistance) or 2.0 * resistance > -float(
        (problem.row_weights * slopes)[counted] @ move
    ):
        return False
    for margin in _MARGINS:
        t = margin / slowest
        far = problem.units[moving] * np.abs(x[moving] + t * direction[moving])
        resistance = float((weight * problem.units[moving]) @ np.asarray(problem.penalty.derivative(far)))
        # The loss of a sample at a margin of m has the slope of exp(-m), times what the margin grows by.
        pull = float((problem.row_weights[counted] * rates * np.exp(-np.maximum(margin, 0.0))).max())
        if resistance >= pull:
            return False
    return True
