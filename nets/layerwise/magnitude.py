"""Magnitude pruning of one layer: the weights of largest absolute value stay as they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nets.layerwise.support import choose


def prune_layer(
    weights: NDArray[np.float64],
    gram: NDArray[np.float64],
    density: float | str,
    *,
    ridge: float = 0.01,
) -> NDArray[np.float64]:
    """Keep the largest |w| of the layer; the inputs are not looked at. See `LayerSolver`."""
    return np.where(choose(np.abs(weights), density), weights, 0.0)
