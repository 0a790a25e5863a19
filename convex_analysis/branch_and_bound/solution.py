"""What `global_minimum` returns: a point, a lower bound of every other, and how the search ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from convex_analysis.losses.loss import Vector


class GlobalStatus(StrEnum):
    """How a search for the global minimum ended; members equal their strings."""

    OPTIMAL = "optimal"
    LIMIT = "limit"

    @property
    def sentence(self) -> str:
        """What the status means."""
        if self is GlobalStatus.OPTIMAL:
            return "The point is a global minimiser within the gap asked for."
        return "The search stopped before the gap asked for; the lower bound holds all the same."


@dataclass(frozen=True, eq=False, repr=False)
class GlobalSolution:
    """Best point found by branch and bound, with the bound that certifies it.

    Attributes
    ----------
    x
        The point, shape (n_features,), inside the box.
    intercept
        The intercept, 0.0 unless the problem fits one.
    objective
        Data fit plus penalty at the point.
    lower_bound
        No point of the box has an objective below this value (to within rounding).
    gap
        ``objective - lower_bound``, not negative.
    tolerance
        The gap asked for.
    status, message
        "optimal" where the gap is at most the tolerance, else "limit"; and a sentence with the figures.
    n_nodes
        Number of convex relaxations solved, the root included.
    seconds
        Wall-clock time.
    lam
        Strength of the penalty in the problem solved.
    """

    x: Vector
    intercept: float
    objective: float
    lower_bound: float
    gap: float
    tolerance: float
    status: GlobalStatus
    message: str
    n_nodes: int
    seconds: float
    lam: float

    @property
    def support(self) -> NDArray[np.intp]:
        """Indices of the entries that are not zero."""
        return np.flatnonzero(self.x)

    def __repr__(self) -> str:
        return (
            f"GlobalSolution({self.status}, objective {self.objective:.6g}, lower bound "
            f"{self.lower_bound:.6g}, gap {self.gap:.3g}, support {self.support.size} of {self.x.size}, "
            f"{self.n_nodes} nodes)"
        )
