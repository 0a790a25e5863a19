"""Lines that bound a penalty's slope: the admissible triples (a, b, a0) of T4."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convex_analysis.constants.normalised_penalty import NormalisedPenalty
from convex_analysis.losses.loss import Vector


@dataclass(frozen=True)
class SlopeLine:
    """Numbers with ``r'(1 - s) <= a + b s`` and ``r'(s) >= a0 - b s`` for 0 < s <= reach and 0 < s <= 1.

    Attributes
    ----------
    a, b, a0
        The triple; b may be inf (then the line says nothing).
    certified
        Whether it is a bound, up to rounding in the penalty's derivative.
    method
        How it was obtained.
    """

    a: float
    b: float
    a0: float
    certified: bool
    method: str


def slope_lines(penalty: NormalisedPenalty, support_floor: float = 0.0) -> list[SlopeLine]:
    """Return admissible triples of T4, all valid at once; the best depends on the data.

    Parameters
    ----------
    penalty
        The normalised penalty.
    support_floor
        Only points with ``m >= support_floor`` on the target's support are considered; this makes b
        finite for penalties whose slope at zero is infinite.
    """
    c, rho = penalty.curvature, penalty.weak_convexity
    first, last = penalty.slope_at_zero, penalty.slope_at_one
    lines = []
    if np.isfinite(rho.value):
        sure = rho.certified and c.certified
        lines.append(SlopeLine(1.0 - c.value, 0.5 * rho.value + c.value, 1.0 + c.value, sure, "c and rho"))
        sure = rho.certified and first.certified and last.certified
        lines.append(SlopeLine(last.value, rho.value, first.value, sure, "end slopes and rho"))
    reach = 1.0 - support_floor
    nodes = _nodes(reach)
    # r' is nonincreasing: on a cell its value at the far end, resp. the near end, is a bound.
    near_one = penalty.slope(np.maximum(1.0 - nodes, 0.0))
    for start in (0, 200, 400, 600):
        a = float(near_one[start])  # valid up to the node `start`, beyond it by the secants
        with np.errstate(invalid="ignore", over="ignore"):
            secants = (near_one[start + 1 :] - a) / nodes[start:-1]
        b = max(0.0, float(secants.max(initial=0.0)))
        lines.append(
            SlopeLine(a, b, _offset(penalty, b), True, f"secants of the slope beyond 1 - {nodes[start]:.2g}")
        )
    return lines


def _nodes(reach: float) -> Vector:
    return np.concatenate([np.geomspace(1e-9, 1e-3, 601)[:-1], np.geomspace(1e-3, 1.0, 6001)]) * reach


def _offset(penalty: NormalisedPenalty, b: float) -> float:
    """Return a lower bound of ``inf over (0, 1] of r'(s) + b s``."""
    if not np.isfinite(b):
        return 0.0
    nodes = np.concatenate([[0.0], np.geomspace(1e-9, 1.0, 6001)])
    slopes = penalty.slope(nodes)
    return float((slopes[1:] + b * nodes[:-1]).min())
