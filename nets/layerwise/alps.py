"""ALPS: operator splitting for the support, conjugate gradients for its values (Meng et al., NeurIPS 2024).

arXiv 2406.07831, algorithms 1 and 2, with the settings of the paper's appendix; what the paper leaves open is
as the authors' program has it (the rescue of a first penalty parameter that is too large).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nets.layerwise.support import choose, conjugate_gradients, damped

RHO = 0.1
LEAST_RHO = 1e-4
EVERY = 3
STEPS = 300
CONJUGATE_STEPS = 10


def prune_layer(
    weights: NDArray[np.float64],
    gram: NDArray[np.float64],
    density: float | str,
    *,
    ridge: float = 0.01,
) -> NDArray[np.float64]:
    """Prune in coordinates in which the damped Hessian has unit diagonal. See `LayerSolver`.

    The splitting is done in single precision, as the authors do; its support alone depends on it.
    """
    hessian = damped(gram, ridge)
    scale = np.sqrt(np.diag(hessian))
    hessian /= np.outer(scale, scale)
    scaled = weights * scale
    start = split(scaled.astype(np.float32), hessian.astype(np.float32), density)
    start = start.astype(np.float64)
    found: NDArray[np.float64] = conjugate_gradients(
        start, start != 0, hessian, scaled @ hessian, CONJUGATE_STEPS
    )
    return found / scale


def project(weights: NDArray[np.floating], density: float | str) -> NDArray[np.floating]:
    """Return the nearest matrix of the density: the largest |w| of the layer, or of each group for N:M."""
    return weights * choose(np.abs(weights), density)


def split(
    dense: NDArray[np.floating], hessian: NDArray[np.floating], density: float | str
) -> NDArray[np.floating]:
    """Return W of the density by ADMM on W = D with D in the set of that density (algorithm 1).

    W <- (H + rho I)^-1 (H dense - V + rho D), D <- projection of W + V / rho, V <- V + rho (W - D). Every
    three steps rho grows by 1.3, 1.2 or 1.1 where the support changed by 10%, by 0.5% or at all; a support
    that no longer changes ends it. While nothing but little has changed since the start, rho was too large:
    a fifth of it, from the start again, but not below `LEAST_RHO`, where single precision ends.
    """
    values, vectors = (a.astype(hessian.dtype) for a in np.linalg.eigh(hessian.astype(np.float64)))
    right = dense @ hessian
    d = project(dense, density)
    kept = np.count_nonzero(d)
    start, before, v, rho, moved = d, d != 0, np.zeros_like(d), RHO, False
    inverse = (vectors / (values + rho)) @ vectors.T
    for step in range(1, STEPS + 1):
        w = (right - v + rho * d) @ inverse
        d = project(w + v / rho, density)
        v = v + rho * (w - d)
        if step % EVERY:
            continue
        support = d != 0
        changed = np.count_nonzero(support != before)
        before = support
        if changed == 0 and moved:
            break
        if changed >= 0.005 * kept:
            moved = True
            rho *= 1.3 if changed >= 0.1 * kept else 1.2
        elif moved:
            rho *= 1.1
        else:
            rho /= 5.0
            moved = rho < LEAST_RHO
            d, v, before = start, np.zeros_like(start), start != 0
        inverse = (vectors / (values + rho)) @ vectors.T
    return d
