"""Columns that were close to entering at the last pass over X, looked at again without such a pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convex_analysis.design import Indices
from convex_analysis.kernels.stationarity import box_violations
from convex_analysis.losses.loss import Vector
from convex_analysis.working_set import WorkingSet

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem

# Columns whose gradient exceeds this share of their weight are near.
_SHARE = 0.5
# At most this share of all columns: beyond it a pass over X is hardly dearer.
_LARGEST_SHARE = 0.1

_MANY = 500  # with fewer columns a pass over X costs next to nothing


class NearColumns:
    """The columns outside a working set that may enter next, as seen from one full gradient.

    A pass over X costs more than most rounds on a working set. Between two passes only these columns
    are looked at; what they miss, the next pass finds.

    Parameters
    ----------
    problem
        Supplies design and box.
    x, gradient, weights
        Point, gradient of the data fit there, and weights of ``|x|``, shape (n_features,).
    working
        The working set; its columns are left out.
    """

    def __init__(
        self, problem: Problem, x: Vector, gradient: Vector, weights: Vector, working: WorkingSet
    ) -> None:
        self.problem = problem
        slack = np.empty_like(x)
        box_violations(x, gradient, _SHARE * weights, problem.lower, problem.upper, slack)
        slack[working.columns] = 0.0
        near = np.flatnonzero(slack > 0.0)
        worthwhile = problem.design.columns_are_cheap and x.size >= _MANY
        room = int(_LARGEST_SHARE * x.size) if worthwhile else 0
        if near.size > room:
            near = np.sort(near[np.argpartition(-slack[near], room)[:room]]) if room else near[:0]
        self.columns = near
        self._x, self._weights = x[near], weights[near]
        self._lower, self._upper = problem.lower[near], problem.upper[near]

    def look(self, rows: Vector, working: WorkingSet) -> tuple[Indices, Vector, Vector]:
        """Return the near columns still outside, their gradients and their first-order violations.

        Parameters
        ----------
        rows
            Derivatives of the loss times row weights at the present point, shape (n_samples,).
        working
            The working set as it is now.
        """
        outside = np.flatnonzero(working.position[self.columns] < 0)
        columns = self.columns[outside]
        gradient = self.problem.design.restricted_rmatvec(columns, rows)
        violations = np.empty_like(gradient)
        box_violations(
            self._x[outside], gradient, self._weights[outside], self._lower[outside], self._upper[outside],
            violations,
        )  # fmt: skip
        return columns, gradient, violations
