"""What branch and bound asks of a convex relaxation, whatever the loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from convex_analysis.branch_and_bound.envelope import Envelope
from convex_analysis.losses.loss import Vector


@dataclass(frozen=True, eq=False)
class Bounds:
    """Solutions of the relaxations of several nodes, one row a node.

    Attributes
    ----------
    x
        Points of the boxes, shape (n_nodes, d).
    reduced
        Gradient of the relaxation without its weighted |x|, shape (n_nodes, d).
    gradient
        Gradient of the data fit (what stationarity is judged by), shape (n_nodes, d).
    bound
        Dual values at these gradients: lower bounds of the objective on each box, shape (n_nodes,).
    rounding
        How far the gradients may be from the exact ones, shape (n_nodes, d).
    """

    x: Vector
    reduced: Vector
    gradient: Vector
    bound: Vector
    rounding: Vector


@dataclass(frozen=True, eq=False)
class Curvature:
    """What is known of the data fit's curvature along the coordinates that vary in a box.

    Attributes
    ----------
    spare
        The data fit stays convex when ``spare_j x_j^2 / 2`` is taken away, shape (d,).
    stiffness
        k_j such that the relaxation at x exceeds its tangent bound by ``k_j (x_j - x*_j)^2 / 2`` at
        least, shape (d,).
    reach
        Where the relaxation is at most s above its bound, the data fit's gradient in j is within
        ``reach_j sqrt(s)`` of that at the node's solution, shape (d,).
    n_free
        Number of coordinates that varied when this was computed.
    """

    spare: Vector
    stiffness: Vector
    reach: Vector
    n_free: int


class Relaxation(ABC):
    """Data fit plus envelope on boxes of the coordinates ``free``; all others are fixed.

    Attributes
    ----------
    scale
        ``lam`` times the penalty factor of each free coordinate, shape (d,).
    bend
        Largest second derivative of the data fit along each coordinate, shape (d,).
    batch
        Number of nodes that it pays to solve in one call.
    """

    scale: Vector
    bend: Vector
    batch: int

    @abstractmethod
    def curvature(self, free: np.ndarray) -> Curvature:
        """Return the curvature along the coordinates of a mask, shape (d,), when all others stand still."""

    def rounding(self, lower: Vector, upper: Vector, cutoff: float) -> Vector:
        """Return what rounding of the data takes from the bounds of boxes, shape (n_nodes,)."""
        return np.zeros(lower.shape[0])

    @abstractmethod
    def solve(
        self,
        envelope: Envelope,
        lower: Vector,
        upper: Vector,
        start: Vector,
        cutoff: float,
        tolerance: Vector,
    ) -> Bounds:
        """Solve the relaxation on each box to its duality gap, or until its bound reaches the cutoff.

        Parameters
        ----------
        envelope
            The penalty's minorant, arrays of shape (n_nodes, d).
        lower, upper, start
            Boxes and starting points, shape (n_nodes, d).
        cutoff
            Bounds from here on need not be improved.
        tolerance
            Absolute duality gaps, shape (n_nodes,).
        """
