"""Branch-and-bound nodes: one alone as the heap keeps it, several side by side as the kernels want them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from convex_analysis.branch_and_bound.relaxation import Curvature
from convex_analysis.losses.loss import Vector


@dataclass(order=True, slots=True)
class Node:
    """A box that may hold a better point, ordered by its lower bound, then by age.

    Attributes
    ----------
    bound, number
        Lower bound of the objective on the box, and the order of creation.
    lower, upper, x
        The box and the solution of its last relaxation, shape (d,) each.
    repeats
        How often it was bound without being split.
    curvature
        Curvature of the data fit on a box that holds this one.
    """

    bound: float
    number: int
    lower: Vector = field(compare=False)
    upper: Vector = field(compare=False)
    x: Vector = field(compare=False)
    repeats: int = field(compare=False)
    curvature: Curvature = field(compare=False)


@dataclass(frozen=True, eq=False)
class Batch:
    """Several boxes, one row each; the attributes are those of `Node`."""

    lower: Vector
    upper: Vector
    x: Vector
    bound: Vector
    repeats: np.ndarray
    curvatures: list[Curvature]

    @classmethod
    def of(cls, nodes: list[Node]) -> Batch:
        """Return nodes side by side."""
        lower = np.array([node.lower for node in nodes])
        upper = np.array([node.upper for node in nodes])
        return cls(
            lower=lower,
            upper=upper,
            x=np.clip([node.x for node in nodes], lower, upper),
            bound=np.array([node.bound for node in nodes]),
            repeats=np.array([node.repeats for node in nodes]),
            curvatures=[node.curvature for node in nodes],
        )

    @property
    def spare(self) -> Vector:
        """Spare curvature, shape (n_nodes, d)."""
        return np.array([curvature.spare for curvature in self.curvatures])

    @property
    def stiffness(self) -> Vector:
        """Stiffness, shape (n_nodes, d)."""
        return np.array([curvature.stiffness for curvature in self.curvatures])

    @property
    def reach(self) -> Vector:
        """Reach of the gradient, shape (n_nodes, d)."""
        return np.array([curvature.reach for curvature in self.curvatures])

    def rows(self, chosen: np.ndarray) -> Batch:
        """Return the boxes at the indices chosen."""
        return Batch(
            self.lower[chosen],
            self.upper[chosen],
            self.x[chosen],
            self.bound[chosen],
            self.repeats[chosen],
            [self.curvatures[i] for i in chosen],
        )
