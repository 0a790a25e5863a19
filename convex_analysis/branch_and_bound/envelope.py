"""Convex minorants of the penalty on many boxes at once: chords, and the curvature that lies above them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from convex_analysis.losses.loss import Vector

if TYPE_CHECKING:
    from concave_sparsity import Penalty

# Interior points at which the height of r over its chord is measured: Chebyshev's, dense near the ends.
_SHARES = np.sin(np.pi * np.arange(1, 12) / 24) ** 2
_PRODUCTS = _SHARES * (1.0 - _SHARES)
# Largest excess of s (1 - s) over the straight line through its values at two neighbouring points.
_EXCESS = np.diff(_SHARES) ** 2 / 4
# On shorter intervals quotients could overflow; there the penalty is bounded by its value at the near end.
_SHORTEST = 1e-100
_ROUNDING = 8 * np.finfo(np.float64).eps


@dataclass(frozen=True, eq=False)
class Envelope:
    """The minorant ``weights |x| + linear x + constant - shift x^2 / 2`` of ``scale r(|x|)`` on boxes.

    It touches the penalty at the ends of the box (and at 0 where the box holds 0). Without shift it
    is the convex envelope: the chord of theory.md, T1, or the hull of the three points over the
    lower end, 0 and the upper end. Minus shift it is concave: it is convex together with a data
    fit that has at least that much curvature to spare. All arrays have the shape of the boxes.
    """

    weights: Vector
    linear: Vector
    constant: Vector
    shift: Vector

    def value(self, x: Vector) -> Vector:
        """Return the minorant at x, elementwise."""
        return self.weights * np.abs(x) + (self.linear - 0.5 * self.shift * x) * x + self.constant

    def rows(self, chosen: np.ndarray) -> Envelope:
        """Return the envelope of the chosen rows."""
        return Envelope(self.weights[chosen], self.linear[chosen], self.constant[chosen], self.shift[chosen])

    def replace(self, rows: np.ndarray, columns: np.ndarray, other: Envelope) -> None:
        """Overwrite the entries at (rows, columns) by those of another envelope, in place."""
        for name in ("weights", "linear", "constant", "shift"):
            getattr(self, name)[rows, columns] = getattr(other, name)


def chord(penalty: Penalty, near: Vector, far: Vector) -> tuple[Vector, Vector, Vector]:
    """Return the chord of r over [near, far] and the curvature above it, elementwise, ``0 <= near <= far``.

    Returns
    -------
    value
        ``r(near)``.
    slope
        Slope s of the chord, 0 where the interval is all but a point.
    curvature
        A c >= 0 such that ``r(t) >= r(near) + s (t - near) + c (t - near)(far - t)`` on the
        interval: the constant c of theory.md on a part of [0, 1]. It is a lower bound of the
        best one, found from values of r at a few points and concavity alone: between those points
        a concave function lies above its chords.
    """
    width = far - near
    points = np.empty((*np.shape(near), _SHARES.size + 2))
    points[..., 0] = near
    points[..., -1] = far
    points[..., 1:-1] = near[..., None] + _SHARES * width[..., None]
    values = np.asarray(penalty.value(points), dtype=np.float64)
    start, end = values[..., 0], values[..., -1]
    rise = np.maximum(end - start, 0.0)
    proper = width > _SHORTEST
    safe = np.where(proper, width, 1.0)
    height = values[..., 1:-1] - (start[..., None] + _SHARES * rise[..., None])
    height = np.maximum(height - _ROUNDING * end[..., None], 0.0)
    ratio = np.minimum(
        height[..., :-1] / (_PRODUCTS[:-1] + _EXCESS), height[..., 1:] / (_PRODUCTS[1:] + _EXCESS)
    ).min(axis=-1)
    ends = np.minimum(height[..., 0] / _SHARES[0], height[..., -1] / (1.0 - _SHARES[-1]))
    curvature = np.where(proper, np.minimum(ratio, ends) / safe**2, 0.0)
    return start, np.where(proper, rise / safe, 0.0), curvature


def envelope(penalty: Penalty, scale: Vector, lower: Vector, upper: Vector, spare: Vector) -> Envelope:
    """Return the minorant of ``scale r(|x|)`` on finite boxes, with a shift of at most ``spare``.

    Parameters
    ----------
    penalty
        The penalty r.
    scale
        Factor of r, not negative.
    lower, upper
        The boxes, of any one shape.
    spare
        Curvature that the data fit has to spare in each coordinate, not negative.
    """
    scale, spare = np.broadcast_to(scale, lower.shape), np.broadcast_to(spare, lower.shape)
    negative = upper <= 0
    near = np.where(negative, -upper, np.maximum(lower, 0.0))
    far = np.where(negative, -lower, upper)
    start, slope, curvature = chord(penalty, near, far)
    above, below = slope, slope
    far_below = far
    both = (lower < 0) & (upper > 0)
    if both.any():
        _, slope_below, curvature_below = chord(penalty, np.zeros(int(both.sum())), -lower[both])
        below = slope.copy()
        below[both] = slope_below
        far_below = far.copy()
        far_below[both] = -lower[both]
        curvature[both] = np.minimum(curvature[both], curvature_below)
    shift = np.minimum(spare, 2.0 * scale * curvature)
    half = 0.5 * shift
    # r >= r(near) + s (|x| - near) + c (|x| - near)(far - |x|), sorted by powers of |x|.
    above = scale * above + half * (near + far)
    below = scale * below + half * (near + far_below)
    constant = scale * (start - slope * near) - half * near * far
    return Envelope(0.5 * (above + below), 0.5 * (above - below), constant, shift)
