"""Units in which all columns of a design have about the same length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convex_analysis.losses.loss import Vector

if TYPE_CHECKING:
    from convex_analysis.problems.problem import Problem

# Columns this far apart, or this far from length one, are brought together (binary exponents).
_WIDEST = 10
_FARTHEST = 30
# Squares beyond these exponents lose digits or overflow: then the largest entry stands for the norm.
_SAFE = 480
# Rows from the top and from the bottom of a dense X that stand for all of them.
_ROWS = 16


def column_units(problem: Problem) -> tuple[Vector | None, float]:
    """Return a power of two for each column, whose product with its norm is about one, and the longest norm.

    The norm is ``sqrt(sum_i s_i a_ij^2)``, over a part of the rows where a dense X has many. None in
    the place of the units where the norms are within a factor of 1000 of each other and not far
    from one; a zero column has the unit one.
    """
    norms = np.sqrt(_squared_norms(problem))
    exponents = np.where(norms > 0.0, np.frexp(norms)[1], 0)
    unsafe = (norms == 0.0) | ~np.isfinite(norms) | (np.abs(exponents) > _SAFE)
    if unsafe.any():
        largest = problem.design.largest_entries()
        exponents[unsafe] = np.where(largest[unsafe] > 0.0, np.frexp(largest[unsafe])[1], 0)
        norms = np.where(unsafe, largest, norms)
    proper = exponents[norms > 0.0]
    if not proper.size or (np.ptp(proper) <= _WIDEST and np.abs(proper).max() <= _FARTHEST):
        return None, float(norms.max())
    units: Vector = np.ldexp(1.0, -exponents)
    return units, float(norms.max())


def _squared_norms(problem: Problem) -> Vector:
    design, weights = problem.design, problem.row_weights
    if design.sparse or design.n_samples <= 2 * _ROWS:
        return design.squared_norms(weights)
    # The order of size is enough, and costs little; columns that are zero here are looked at in full.
    total = np.zeros(design.n_features)
    share = 0.0
    for rows in (slice(0, _ROWS), slice(design.n_samples - _ROWS, None)):
        share += float(weights[rows].sum())
        total += design.squared_norms(weights, rows=rows)
    return total / share if share > 0.0 else design.squared_norms(weights)
