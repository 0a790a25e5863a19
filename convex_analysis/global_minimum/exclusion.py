"""Which points of a box no global minimiser can be, by the bound and by first-order conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convex_analysis.global_minimum.envelope import Envelope
from convex_analysis.global_minimum.node_kernels import tighten_nodes
from convex_analysis.global_minimum.relaxation import Bounds, Relaxation
from convex_analysis.losses.loss import Vector

if TYPE_CHECKING:
    from concave_sparsity import Penalty

_SLOPE_ROUNDING = 1e-13


def tighten(
    stiffness: Vector,
    envelope: Envelope,
    bounds: Bounds,
    cutoff: float,
    lower: Vector,
    upper: Vector,
) -> None:
    """Shrink boxes in place to the points whose objective may be below the cutoff (reduced costs).

    Parameters
    ----------
    stiffness
        As in `Curvature`, one row a node.
    envelope, bounds
        The relaxations and their solutions.
    cutoff
        Points with an objective from here on are of no interest.
    lower, upper
        Boxes of the nodes, shape (n_nodes, d).
    """
    slack = np.maximum(cutoff - bounds.bound, 0.0)
    tighten_nodes(bounds.reduced, envelope.weights, stiffness, bounds.x, slack, lower, upper)


def exclude_nonstationary(
    reach: Vector,
    relaxation: Relaxation,
    penalty: Penalty,
    bounds: Bounds,
    cutoff: float,
    box: tuple[Vector, Vector],
    lower: Vector,
    upper: Vector,
) -> None:
    """Shrink boxes in place to the points that first-order conditions allow a global minimiser to be.

    Every point of the box whose objective is below the cutoff has a data-fit gradient within
    ``reach sqrt(slack)`` of the node's (a gap-safe sphere). A global minimiser x with ``x_j > 0``
    that could move towards zero has ``gradient_j + scale_j r'(x_j) <= 0``; one that could move
    away from zero has ``>= 0``. Where the whole interval contradicts this, the coordinate goes to the end
    of the problem's own box, or the node is empty (lower > upper).

    Parameters
    ----------
    reach
        As in `Curvature`, one row a node.
    relaxation, penalty, bounds, cutoff
        As in the search.
    box
        Lower and upper bounds of the problem, shape (d,) each.
    lower, upper
        Boxes of the nodes, shape (n_nodes, d), changed in place.
    """
    slack = np.maximum(cutoff - bounds.bound, 0.0)
    radius = reach * np.sqrt(slack)[:, None]
    radius = radius * (1.0 + 1e-9) + bounds.rounding
    slopes = np.asarray(penalty.derivative(np.abs(np.stack([lower, upper]))))
    with np.errstate(invalid="ignore"):
        slopes = np.where(relaxation.scale > 0, relaxation.scale * slopes, 0.0)
    # Slopes are rounded, too: the steepest ones (at the near ends) up, the others down.
    steepest, flattest = slopes * (1.0 + _SLOPE_ROUNDING), slopes * (1.0 - _SLOPE_ROUNDING)
    highest, lowest = bounds.gradient + radius, bounds.gradient - radius
    outer_lower, outer_upper = box
    right, left = upper > 0, lower < 0
    # Right of zero: the objective rises (falls) all along the interval.
    rises = right & (lowest + flattest[1] > 0)
    falls = right & (lower >= 0) & (highest + steepest[0] < 0)
    # Left of zero, mirrored.
    rises_left = left & (highest - flattest[0] < 0)
    falls_left = left & (upper <= 0) & (lowest - steepest[1] > 0)
    if not (rises.any() or falls.any() or rises_left.any() or falls_left.any()):
        return
    nearest = np.clip(0.0, outer_lower, outer_upper)
    target = np.broadcast_to(np.maximum(nearest, 0.0), upper.shape)
    upper[rises] = np.minimum(upper, target)[rises]
    lower[falls] = np.broadcast_to(outer_upper, lower.shape)[falls]
    target = np.broadcast_to(np.minimum(nearest, 0.0), upper.shape)
    lower[rises_left] = np.maximum(lower, target)[rises_left]
    upper[falls_left] = np.broadcast_to(outer_lower, upper.shape)[falls_left]
