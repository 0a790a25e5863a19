"""The Euclidean norm without underflow or overflow: bounds scale with the data, so they must not vanish."""

from __future__ import annotations

import numpy as np

from convex_analysis.losses.loss import Vector


def euclidean_norm(v: Vector) -> float:
    """Return ``||v||_2``, right for entries of any size (squares of those below 1e-154 would vanish)."""
    largest = float(np.abs(v).max(initial=0.0))
    if largest == 0.0 or not np.isfinite(largest):
        return largest
    return largest * float(np.linalg.norm(v / largest))
