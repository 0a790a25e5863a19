"""Coordinates in which all columns of a design have about the same length, and the way to them and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convex_analysis.losses.loss import Vector

if TYPE_CHECKING:
    from convex_analysis.datafit import DataFit
    from convex_analysis.regulariser import Regulariser

# Columns this far apart, or this far from length one, are brought together (binary exponents).
_WIDEST = 10
_FARTHEST = 30
# Squares beyond these exponents lose digits or overflow: then the largest entry stands for the norm.
_SAFE = 480


def scaled_fit(fit: DataFit, units: Vector) -> DataFit:
    """Return the fit in coordinates ``x_j / units_j``, made once, and with it all that is found from it."""
    scaled: DataFit = fit.once("_scaled", lambda: _scaled(fit, units))
    return scaled


def column_units(fit: DataFit, regulariser: Regulariser) -> tuple[Vector | None, float]:
    """Return a power of two for each column, whose product with its norm is about one, and the longest norm.

    The norm is ``sqrt(sum_i s_i a_ij^2)``. None in the place of the units where the norms are within a
    factor of 1000 of each other and not far from one; a zero column has the unit one.
    """
    found: tuple[Vector | None, float] = fit.once("_units", lambda: _column_units(fit, regulariser))
    return found


def _column_units(fit: DataFit, regulariser: Regulariser) -> tuple[Vector | None, float]:
    norms = np.sqrt(fit.squared_norms)
    exponents = np.where(norms > 0.0, np.frexp(norms)[1], 0)
    unsafe = (norms == 0.0) | ~np.isfinite(norms) | (np.abs(exponents) > _SAFE)
    if unsafe.any():
        largest = fit.largest_entries
        exponents[unsafe] = np.where(largest[unsafe] > 0.0, np.frexp(largest[unsafe])[1], 0)
        norms = np.where(unsafe, largest, norms)
    exponents = regulariser.shared(exponents)
    proper = exponents[norms > 0.0]
    if not proper.size or (np.ptp(proper) <= _WIDEST and np.abs(proper).max() <= _FARTHEST):
        return None, float(norms.max())
    units: Vector = np.ldexp(1.0, -exponents)
    return units, float(norms.max())


def _scaled(fit: DataFit, units: Vector) -> DataFit:
    scaled = fit.scaled(units)
    scaled.once("_units", lambda: (None, 1.0))
    return scaled
