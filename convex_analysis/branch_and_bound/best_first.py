"""Best-first search: what branch and bound is, whatever its boxes are made of."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from convex_analysis import steering
from convex_analysis.branch_and_bound.incumbent import Incumbent


def between(lower: Any, upper: Any, solution: Any) -> Any:
    """Return where to split finite intervals, elementwise."""
    width, middle = upper - lower, 0.5 * (lower + upper)
    point = middle + steering.TOWARDS_SOLUTION * (solution - middle)
    margin = steering.SMALLEST_SHARE * width
    return np.clip(point, lower + margin, upper - margin)


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
        self._deadline = np.inf

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
        self._deadline = deadline
        while self.heap and self.n_nodes + 1 < max_nodes and time.perf_counter() < deadline:
            if self.heap[0].bound >= self.cutoff:
                break
            self._advance(max_nodes - self.n_nodes)
            tell(self)

    @abstractmethod
    def _advance(self, room: int) -> None:
        """Take the best nodes and split them, solving at most so many relaxations."""
