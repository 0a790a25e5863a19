"""Wanda: weights times the norms of their inputs (Sun, Liu, Bair and Kolter, ICLR 2024, arXiv 2306.11695)."""

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
    """Keep each output's largest |w_ij| ||X_j||_2 (equation 1), the weights unchanged. See `LayerSolver`.

    There is no inverse, so the ridge has no part in it.
    """
    scores = np.abs(weights) * np.sqrt(np.diag(gram))
    return np.where(choose(scores, density, by="row"), weights, 0.0)
