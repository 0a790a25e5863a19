"""Best-first search: what branch and bound is, whatever its boxes are made of."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from convex_analysis.global_minimum.incumbent import Incumbent

# What steers the searches, and the nodes of 25 small problems (masks, signed, groups; five penalties;
# geometric mean 61.4 as it is): nothing here hangs on a figure.
# An interval is split between its middle and the relaxation's solution: 64.7 at the middle, 64.3 at the
# solution; at least a tenth from either end: 61.5 with a fiftieth, 61.1 with a fifth.
TOWARDS_SOLUTION = 0.5
SMALLEST_SHARE = 0.1
# Duality gap of a node, as a share of what its bound lacked before: 61.6 with a tenth of it, 63.5 with 0.3.
COARSENESS = 0.02


def between(lower: Any, upper: Any, solution: Any) -> Any:
    """Return where to split finite intervals, elementwise."""
    width, middle = upper - lower, 0.5 * (lower + upper)
    point = middle + TOWARDS_SOLUTION * (solution - middle)
    return np.clip(point, lower + SMALLEST_SHARE * width, upper - SMALLEST_SHARE * width)


class Bounded(Protocol):
    """A part of the space with a lower bound."""

    bound: float


NodeT = TypeVar("NodeT", bound=Bounded)


class BestFirst(ABC, Generic[NodeT]):
    """A heap of nodes of which the best is split until none can hold a better point.

    Parameters
    ----------
    incumbent
        Best point known.
    gap
        Nodes whose bound is within the gap of the incumbent are dropped.
    floor
        Lower bound of everything dropped before the search.
    n_nodes
        Number of relaxations solved before the search.
    """

    def __init__(self, incumbent: Incumbent, gap: float, floor: float = np.inf, n_nodes: int = 0) -> None:
        self.incumbent = incumbent
        self.gap = gap
        self.floor = floor
        self.n_nodes = n_nodes
        self.heap: list[NodeT] = []
        self._number = 0

    @property
    def cutoff(self) -> float:
        """Objective below which a point is worth finding."""
        # A little short of the gap, so that rounding does not take the difference back over it.
        return self.incumbent.objective - 0.999 * self.gap

    @property
    def lower_bound(self) -> float:
        """No point has an objective below this value."""
        best = self.heap[0].bound if self.heap else np.inf
        return min(best, self.floor, self.incumbent.objective)

    def run(self, max_nodes: int, deadline: float, tell: Callable[[BestFirst[NodeT]], None]) -> None:
        """Search on until nothing is left or a limit is met.

        Parameters
        ----------
        max_nodes
            Largest number of relaxations solved.
        deadline
            Time, as of `time.perf_counter`, after which to stop.
        tell
            Called with the search after each step.
        """
        while self.heap and self.n_nodes + 1 < max_nodes and time.perf_counter() < deadline:
            if self.heap[0].bound >= self.cutoff:
                break
            self._advance(max_nodes - self.n_nodes)
            tell(self)

    @abstractmethod
    def _advance(self, room: int) -> None:
        """Take the best nodes and split them, solving at most so many relaxations."""
