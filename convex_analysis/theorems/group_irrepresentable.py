"""T9 with groups: when a point with these groups is stationary for penalties of norms (linear loss)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from convex_analysis.losses.loss import Vector

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem


@dataclass(frozen=True, eq=False)
class GroupCondition:
    """What T9 with groups says of a point.

    Attributes
    ----------
    error
        Size of what (i) leaves: zero where the point is stationary on its own groups.
    pulls, allowed
        ``||q_g||`` and ``factor_g r'(0)`` of each group that is zero, in the order of their numbers: (ii);
        inf for a group that the problem leaves out.
    sufficient
        The bound of the corollary on each pull.
    """

    error: float
    pulls: Vector
    allowed: Vector
    sufficient: Vector

    def holds(self, slack: float = 0.0) -> bool:
        """Whether (i) and (ii) hold up to a slack: the point is stationary."""
        return self.error <= slack and bool((self.pulls <= self.allowed + slack).all())


def group_condition(problem: Problem, x: Vector, target: Vector) -> GroupCondition:
    """Examine a point by T9 with groups (docs/theory.md).

    Parameters
    ----------
    problem
        A `RegressionProblem` with groups and the linear loss, without ridge and offset, lam positive; an
        intercept is minimised out.
    x
        A point whose groups that are not zero have columns of full rank.
    target
        The truth, zero where x is: shape (n_features,).

    Raises
    ------
    ValueError
        If the problem is of another kind, if lam is zero, or if the target leaves the point's groups.
    """
    group = problem.group
    if group is None or not problem.loss.quadratic or problem.ridge is not None or problem.offset is not None:
        raise ValueError("T9 with groups needs groups and the linear loss, without ridge and offset.")
    if problem.lam <= 0.0:
        raise ValueError("T9 with groups needs a positive lam.")
    norms = np.sqrt(np.bincount(group, x * x))
    alive = norms[group] > 0.0
    if np.any(target[~alive]):
        raise ValueError("The target is not zero in a group where the point is.")
    s = problem.row_weights
    A = problem.design.columns(np.arange(problem.n_features))
    noise = problem.y - A @ target
    if problem.fit_intercept:
        A, noise = A - s @ A, noise - s @ noise
    part = A[:, alive]
    gram = part.T @ (s[:, None] * part)
    sizes = norms[group[alive]]
    slopes = problem.penalty_factor[alive] * problem.penalty.derivative(sizes)
    v = slopes * x[alive] / sizes
    there = target[alive] + np.linalg.solve(gram, part.T @ (s * noise) - problem.lam * v)
    rest = noise - part @ np.linalg.solve(gram, part.T @ (s * noise))
    others = A[:, ~alive]
    blocks = np.linalg.solve(gram, part.T @ (s[:, None] * others)).T  # <A_N, A_S> G^-1
    from_noise = others.T @ (s * rest) / problem.lam
    q = blocks @ v + from_noise
    zero = np.unique(group[~alive])
    own, theirs = group[~alive], group[alive]
    steep = {h: slopes[theirs == h][0] for h in np.unique(theirs)}
    pulls, sufficient = np.empty(zero.size), np.empty(zero.size)
    for i, g in enumerate(zero):
        rows = own == g
        pulls[i] = np.linalg.norm(q[rows])
        reach = sum(slope * np.linalg.norm(blocks[rows][:, theirs == h], 2) for h, slope in steep.items())
        sufficient[i] = reach + np.linalg.norm(from_noise[rows])
    factor = np.array([problem.penalty_factor[group == g][0] for g in zero])
    allowed = factor * problem.slope_at_zero
    left_out = problem.lower == problem.upper  # any pull is allowed there
    allowed[np.isin(zero, group[left_out])] = np.inf
    error = float(np.abs(there - x[alive]).max(initial=0.0))
    return GroupCondition(error, pulls, allowed, sufficient)
