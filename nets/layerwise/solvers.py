"""The solvers that prune one layer, by name: ours and its rivals, all through one door."""

from __future__ import annotations

import difflib
import importlib
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nets.layerwise.support import damped, refit

#: Where each solver's `prune_layer` lies; a module is loaded when its solver is first asked for.
SOLVERS = {
    "magnitude": "nets.layerwise.magnitude",
    "wanda": "nets.layerwise.wanda",
    "sparsegpt": "nets.layerwise.sparsegpt",
    "obc": "nets.layerwise.obc",
    "alps": "nets.layerwise.alps",
}


#: Behind a solver's name: the least squares on the support that it finds.
REFIT = "+refit"


class LayerSolver(Protocol):
    """Prunes the weights W of one layer so that tr((V - W) G_r (V - W)') stays small.

    G_r = G + ridge mean(diag G) I is the damped Gram matrix of the layer's inputs.
    """

    def __call__(
        self,
        weights: NDArray[np.float64],
        gram: NDArray[np.float64],
        density: float | str,
        *,
        ridge: float = 0.01,
    ) -> NDArray[np.float64]:
        """Return new weights with exact zeros.

        Parameters
        ----------
        weights : ndarray, shape (out, d)
            Dense weights, one row an output.
        gram : ndarray, shape (d, d)
            X'X / n of the layer's inputs, without the ridge.
        density : float or str
            Share of the layer's weights to keep: exactly `density_count(density, out * d)` are, shared out
            over rows as the solver does; or a pattern "N:M": N of every M consecutive weights of a row.
        ridge : float
            Damping, relative to the mean of the diagonal of `gram`.

        Returns
        -------
        ndarray, shape (out, d)
            The pruned layer; ties break by index.
        """


def layer_solver(name: str) -> LayerSolver:
    """Return the solver of this name; with "+refit" behind it, refitted: least squares on its support.

    Raises
    ------
    ValueError
        If there is none; the nearest name is suggested.
    """
    plain = name.removesuffix(REFIT)
    if plain not in SOLVERS:
        near = difflib.get_close_matches(plain, SOLVERS, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(f"unknown layer solver {name!r}{hint}; the solvers are {', '.join(SOLVERS)}")
    solver: LayerSolver = importlib.import_module(SOLVERS[plain]).prune_layer
    if plain == name:
        return solver

    def refitted(
        weights: NDArray[np.float64],
        gram: NDArray[np.float64],
        density: float | str,
        *,
        ridge: float = 0.01,
    ) -> NDArray[np.float64]:
        support = solver(weights, gram, density, ridge=ridge) != 0
        return refit(weights, damped(gram, ridge), support)

    return refitted
