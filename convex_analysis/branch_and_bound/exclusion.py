"""Which points of a box no global minimiser can be, by the bound and by first-order conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convex_analysis.branch_and_bound.envelope import Envelope, chord
from convex_analysis.branch_and_bound.node_kernels import tighten_nodes
from convex_analysis.branch_and_bound.relaxation import Bounds, Relaxation
from convex_analysis.losses.loss import Vector

if TYPE_CHECKING:
    from concave_sparsity import Penalty

_SLOPE_ROUNDING = 1e-13
# Where a hole may begin and end, as shares of what is left of the box; its ends are then refined.
_STARTS = np.append(0.0, np.geomspace(1e-2, 0.8, 9))[:, None, None]
_ENDS = np.geomspace(1e-3, 1.0, 16)[:, None]
_REFINEMENTS = 12


def holes(
    penalty: Penalty, scale: Vector, bend: Vector, lower: Vector, upper: Vector
) -> tuple[Vector, Vector]:
    """Return intervals of ``|x_j|`` in which no global minimiser lies, on one side of zero.

    Along one coordinate the data fit is at most ``bend_j (t - near)(far - t) / 2`` below its chord over
    [near, far]. Where the penalty is more than that above its own, the objective is lower at one of the two
    ends than at any point between them: ``2 scale_j c > bend_j`` with the c of `chord`.

    Parameters
    ----------
    penalty, scale
        The penalty and its factors, shape (d,).
    bend
        Largest second derivative of the data fit along each coordinate, shape (d,).
    lower, upper
        Ends of the problem's box on this side, ``0 <= lower``; there is no hole where ``upper <= lower``.

    Returns
    -------
    near, far
        Ends of the longest open interval found; equal where there is none.
    """
    room = np.maximum(upper - lower, 0.0)
    starts = lower + _STARTS * room
    ends = np.minimum(starts + _ENDS * (1.0 - _STARTS) * room, upper)
    starts, ends = (part.reshape(-1, lower.size) for part in np.broadcast_arrays(starts, ends))
    length = np.where(_bent(penalty, scale, bend, starts, ends), ends - starts, 0.0)
    longest = length.argmax(axis=0), np.arange(lower.size)
    there = np.flatnonzero(length[longest] > 0.0)
    near, far = lower.copy(), lower.copy()
    if there.size:
        scale, bend = scale[there], bend[there]
        a, b = starts[longest][there], ends[longest][there]
        below, above = lower[there], upper[there]
        for _ in range(_REFINEMENTS):  # move the far end out, then the near one down
            middle = 0.5 * (b + above)
            holds = _bent(penalty, scale, bend, a, middle)
            b, above = np.where(holds, middle, b), np.where(holds, above, middle)
        for _ in range(_REFINEMENTS):
            middle = 0.5 * (a + below)
            holds = _bent(penalty, scale, bend, middle, b)
            a, below = np.where(holds, middle, a), np.where(holds, below, middle)
        near[there], far[there] = a, b
    return near, far


def _bent(penalty: Penalty, scale: Vector, bend: Vector, near: Vector, far: Vector) -> np.ndarray:
    """Say where the penalty is bent more over [near, far] than the data fit."""
    return (far > near) & (2.0 * scale * chord(penalty, near, far)[2] > (1.0 + 1e-9) * bend)


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


def leave_holes(
    right: tuple[Vector, Vector], left: tuple[Vector, Vector] | None, lower: Vector, upper: Vector
) -> None:
    """Take the ends of boxes out of holes, in place: of those right of zero, and (mirrored) left of it."""
    near, far = (np.broadcast_to(end, lower.shape) for end in right)
    ends, starts = (upper > near) & (upper < far), (lower > near) & (lower < far)
    upper[ends], lower[starts] = near[ends], far[starts]
    if left is not None:
        mirrored_lower, mirrored_upper = -upper, -lower
        leave_holes(left, None, mirrored_lower, mirrored_upper)
        lower[...], upper[...] = -mirrored_upper, -mirrored_lower
