"""Lines that bound a penalty's slope: the admissible triples (a, b, a0) of T4."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convex_analysis.constants.normalised_penalty import NormalisedPenalty


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
    reach = min(1.0, (1.0 - support_floor) * (1.0 + 1e-9))  # a kink at the floor counts with its left slope
    for begin in (1e-9, 1e-7, 1e-5, 1e-3):
        a, b = _secants(penalty, begin * reach, reach)
        lines.append(
            SlopeLine(a, b, _offset(penalty, b), True, f"secants of the slope beyond 1 - {begin:.0e}")
        )
    return lines


def _secants(penalty: NormalisedPenalty, begin: float, reach: float) -> tuple[float, float]:
    """Return (a, b) with ``r'(1 - s) <= a + b s`` on (0, reach]; a is the slope at ``1 - begin``.

    The slope is nonincreasing: on a cell of s its value at the far end bounds it. Cells that might hold
    the largest secant are split until b is known to six digits, or too many might.
    """
    a = float(penalty.slope(np.array([1.0 - begin]))[0])
    ends = np.geomspace(begin, reach, 4001)
    low, high = ends[:-1], ends[1:]
    b = 0.0
    for _ in range(8):
        with np.errstate(invalid="ignore", over="ignore"):
            above = (penalty.slope(np.maximum(1.0 - high, 0.0)) - a) / low
            below = float(np.max((penalty.slope(np.maximum(1.0 - low, 0.0)) - a) / low))
        open_cells = above > max(below, b) * (1.0 + 1e-6)
        if np.isinf(above).any() or np.count_nonzero(open_cells) > 1000 or not open_cells.any():
            break
        b = max(b, float(np.max(above[~open_cells], initial=0.0)))
        shares = np.linspace(0.0, 1.0, 17)
        split = low[open_cells, None] + shares * (high - low)[open_cells, None]
        low, high = split[:, :-1].ravel(), split[:, 1:].ravel()
    return a, max(b, float(np.max(above, initial=0.0)))


def _offset(penalty: NormalisedPenalty, b: float) -> float:
    """Return a lower bound of ``inf over (0, 1] of r'(s) + b s``."""
    if not np.isfinite(b):
        return 0.0
    nodes = np.concatenate([[0.0], np.geomspace(1e-9, 1.0, 6001)])
    slopes = penalty.slope(nodes)
    return float((slopes[1:] + b * nodes[:-1]).min())
