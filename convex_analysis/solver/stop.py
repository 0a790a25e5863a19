"""When a run ends, and how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from convex_analysis.losses.loss import Vector


class Status(Enum):
    """How a run ended; the value of each member is a sentence."""

    CONVERGED = "The point is first-order stationary within the tolerance."
    ITERATION_LIMIT = "The iteration limit was reached before the tolerance."
    NO_MINIMISER = "No minimiser exists: the objective falls for ever along a ray."
    STALLED = "No further decrease was possible in floating-point arithmetic before the tolerance was met."
    TIME_LIMIT = "The time limit was reached before the tolerance."
    STOPPED = "The callback stopped the run."

    def __str__(self) -> str:
        return self.value

    @property
    def advice(self) -> str:
        """What a caller may do about it, "" where nothing is to be done or the message says it."""
        if self is Status.ITERATION_LIMIT:
            return "Increase max_iter or tol, or standardise the features."
        return "Standardise the features, or increase tol." if self is Status.STALLED else ""


@dataclass(frozen=True, eq=False)
class Progress:
    """What a callback is told after each step.

    Attributes
    ----------
    x, intercept
        The point in the problem's own units; not to be changed.
    lam
        Strength of the penalty (on a path it changes).
    objective, stationarity, tolerance
        As in `Solution`, for coordinates of which no column is far longer than others.
    n_iter
        Steps made.
    seconds
        Since the run began.
    """

    x: Vector
    intercept: float
    lam: float
    objective: float
    stationarity: float
    tolerance: float
    n_iter: int
    seconds: float


@dataclass(frozen=True, eq=False)
class Stop:
    """When a run ends, and whether it refines its point.

    Attributes
    ----------
    tol, max_iter, refine, callback, time_limit
        As in `majorize_minimize`.
    begun
        Since when the time counts, by `time.perf_counter`.
    """

    tol: float
    max_iter: int
    refine: bool = True
    callback: Callable[[Progress], bool | None] | None = None
    time_limit: float | None = None
    begun: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return time.perf_counter() - self.begun

    @property
    def left(self) -> float | None:
        """Seconds until the time is over, None without a limit."""
        return None if self.time_limit is None else max(self.time_limit - self.seconds, 0.0)

    @property
    def is_late(self) -> bool:
        """Whether the time is over."""
        return self.time_limit is not None and self.seconds >= self.time_limit
