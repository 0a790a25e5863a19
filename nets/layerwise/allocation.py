"""How many weights each layer keeps: as many everywhere, or where the network needs them.

"global" gives every weight of the network one price: with the relative error e_l of each layer as a function
of the share that it keeps, and a_l how much of it reaches the network's output, sum a_l e_l is least where
it falls by as much for the next weight of every layer. Both are measured on the dense network: the curves on
some rows of each layer, by the same path and least squares; a_l by a small change of the layer alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nets.granularity.single_weights import layer_counts
from nets.layerwise.certificate import Outputs
from nets.layerwise.moments import Calibration, gather
from nets.layerwise.recipe import Recipe
from nets.layerwise.rows import LayerProblem, path_supports
from nets.layerwise.sites import Site
from nets.layerwise.support import Weights, choose

#: How the weights that a density keeps are shared out.
ALLOCATIONS = ("row", "layer", "global")
#: Densities, relative to the one asked for, at which a layer's error is measured; rows that are looked at.
FACTORS = (0.15, 0.3, 0.5, 0.75, 1.0, 1.35, 2.0, 3.0, 5.0)
ROWS = 48
#: The relative error at which it is measured how much of it reaches the output.
SMALL_ERROR = 0.01
#: No layer keeps less than this share of the density asked for.
LEAST = 0.1

Counts = dict[str, list[int]]
#: What `SiteMoments.means` returns.
Means = tuple[NDArray[np.float64], ...]
#: Another matrix of a site, and what its bias gains.
Change = tuple[Site, Tensor, NDArray[np.float64]]


def even_counts(model: nn.Module, sites: Sequence[Site], density: float) -> Counts:
    """Return how many weights each matrix keeps (one count a group): the same share, exact in sum."""
    pieces = _pieces(model, sites)
    shapes = [shape for _, shape in pieces]
    whole = max(1, round(density * sum(map(prod, shapes))))
    counts: Counts = {}
    for (name, _), count in zip(pieces, layer_counts(shapes, whole, "uniform")):
        counts.setdefault(name, []).append(count)
    return counts


def _pieces(model: nn.Module, sites: Sequence[Site]) -> list[tuple[str, tuple[int, ...]]]:
    parameters = dict(model.named_parameters())
    shapes = [(site.name, site.matrix(parameters[site.parameter]).shape) for site in sites]
    return [(name, tuple(shape[1:])) for name, shape in shapes for _ in range(shape[0])]


@dataclass(frozen=True)
class Allocator:
    """Shares out the weights of a density by what is measured on the dense network.

    Parameters
    ----------
    model, copied : Module
        The dense network, in evaluation mode, and a copy; layers of the copy are changed and restored.
    blocks : sequence of (str, sites, int or None)
        What is measured in one pass each: memory holds the moments of one block at a time.
    data : Calibration
        The data.
    recipe : Recipe
        How layers are pruned.
    """

    model: nn.Module
    copied: nn.Module
    blocks: Sequence[tuple[str, Sequence[Site], int | None]]
    data: Calibration
    recipe: Recipe

    @cached_property
    def sites(self) -> list[Site]:
        """All layers, in their order."""
        return [site for _, block, _ in self.blocks for site in block]

    @cached_property
    def _of_model(self) -> dict[str, nn.Parameter]:
        return dict(self.model.named_parameters())

    @cached_property
    def _of_copy(self) -> dict[str, nn.Parameter]:
        return dict(self.copied.named_parameters())

    @cached_property
    def outputs(self) -> Outputs:
        """What the dense network puts out."""
        return Outputs(self.model, self.data)

    @cached_property
    def even(self) -> Counts:
        """As much in every layer."""
        return even_counts(self.model, self.sites, self.recipe.density)

    def global_counts(self) -> Counts:
        """Return the counts that make the change of the output least to first order, exact in sum."""
        density = self.recipe.density
        shares = np.unique(np.minimum([f * density for f in FACTORS], 1.0))
        curves: dict[str, Weights] = {}
        for site, weights, means in self._measured():
            curves[site.name] = self._curve(weights, means, shares) * self._reach(site, weights, means)
        pieces = _pieces(self.model, self.sites)
        sizes = [int(np.prod(shape)) for _, shape in pieces]
        errors = [curves[name] / len([n for n, _ in pieces if n == name]) for name, _ in pieces]
        counts = share_out(errors, shares, sizes, sum(sum(c) for c in self.even.values()), density)
        result: Counts = {}
        for (name, _), count in zip(pieces, counts):
            result.setdefault(name, []).append(count)
        return result

    def tried_counts(self) -> tuple[str, Counts]:
        """Return "layer" or "global" and its counts: what changes the output less in a trial.

        The trial prunes all layers by either on the dense network's inputs, without exchanges. Deep networks
        that lose much, whose errors no longer add up, are better off with as much in every layer.
        """
        even, shared = self.even, self.global_counts()
        changes: list[Change] = []
        try:
            for site, weights, means in self._measured():
                new = np.empty_like(weights), np.empty_like(weights)
                for g in range(len(weights)):
                    problem = self._problem(weights, means, g)
                    counts = even[site.name][g], shared[site.name][g]
                    for values, mask in zip(new, path_supports(problem, self.recipe.penalty, counts)):
                        values[g] = problem.nearly_on(mask)
                _, _, _, x, y = means
                evenly, by_need = (
                    (site, torch.from_numpy(v).float(), y - np.einsum("god,gd->go", v, x)) for v in new
                )
                self._put(*evenly)  # at once: of a network, one other copy of the weights is enough
                changes.append(by_need)
            moved = self.outputs.change(self.copied)
        finally:
            self._restore(self.sites)
        return ("layer", even) if moved < self._change_by(changes) else ("global", shared)

    def _measured(self) -> Iterator[tuple[Site, Weights, Means]]:
        """Yield the layers of the dense network with their weights and moments."""
        for _, block, calls in self.blocks:
            found = gather(self.model, self.model, block, self.data, calls)
            for site in block:
                yield site, site.values(self._of_model), found.pop(site.name).means(self.recipe.centred(site))

    def _problem(self, weights: Weights, means: Means, g: int, rows: Any = slice(None)) -> LayerProblem:
        """Return the problem of some rows of a group."""
        gram, cross, squares, _, _ = means
        return LayerProblem.of(
            gram[g], weights[g][rows], ridge=self.recipe.ridge, cross=cross[g][rows], squares=squares[g][rows]
        )

    def _change_by(self, changes: Sequence[Change]) -> float:
        """Return by how much other matrices, and what biases gain with them, change the output."""
        try:
            for change in changes:
                self._put(*change)
            return self.outputs.change(self.copied)
        finally:
            self._restore([site for site, *_ in changes])

    def _put(self, site: Site, matrix: Tensor, shift: NDArray[np.float64]) -> None:
        """Put another matrix into the copy; of a layer whose bias is not fitted the gain does not count."""
        weight = self._of_copy[site.parameter].data
        site.put(weight, matrix.to(weight))
        if self.recipe.centred(site):
            site.shift(self._of_copy, shift)

    def _restore(self, sites: Sequence[Site]) -> None:
        """Put the dense weights and biases of some layers back into the copy."""
        for name in {site.parameter for site in sites} | {site.bias for site in sites if site.bias}:
            self._of_copy[name].data.copy_(self._of_model[name].data)

    def _reach(self, site: Site, weights: Weights, means: Means) -> float:
        """Return the squared relative change of the network's output over the layer's relative error.

        The layer alone is changed, in the direction of pruning what counts least, by an error of 1%.
        """
        gram, _, squares, x, _ = means
        change = np.empty_like(weights)
        for g in range(len(weights)):
            score = np.abs(weights[g]) * np.sqrt(np.maximum(np.diag(gram[g]), 0.0))
            change[g] = np.where(choose(score, self.recipe.density), 0.0, -weights[g])
        error = float(np.einsum("goi,gij,goj->", change, gram, change, optimize=True))
        if not error > 0 or not squares.sum() > 0 or not self.outputs.size > 0:
            return 1.0
        change *= math.sqrt(SMALL_ERROR * float(squares.sum()) / error)
        shift = -np.einsum("goi,gi->go", change, x)
        return self._change_by([(site, torch.from_numpy(weights + change), shift)]) ** 2 / SMALL_ERROR

    def _curve(self, weights: Weights, means: Means, shares: Weights) -> Weights:
        """Return the relative error of a matrix at some densities, on some of its rows."""
        gram, cross, squares, _, _ = means
        error, energy = np.zeros(len(shares)), 0.0
        for g in range(len(weights)):
            rows = np.linspace(0, len(weights[g]) - 1, min(ROWS, len(weights[g]))).round().astype(int)
            problem = self._problem(weights, means, g, rows)
            counts = [max(1, round(float(share) * problem.total)) for share in shares]
            for place, mask in enumerate(path_supports(problem, self.recipe.penalty, counts)):
                values = problem.nearly_on(mask)
                change = np.einsum("od,od->o", values @ gram[g] - 2.0 * cross[g][rows], values)
                error[place] += max(float((change + squares[g][rows]).sum()), 0.0)
            energy += float(squares[g][rows].sum())
        return error / energy if energy > 0 else error


def share_out(
    errors: Sequence[Weights], shares: Weights, sizes: Sequence[int], count: int, density: float
) -> list[int]:
    """Return counts that sum to `count` and make the sum of the errors least.

    Parameters
    ----------
    errors : sequence of ndarray
        The error of each layer at each share, decreasing up to noise.
    shares : ndarray
        Densities, increasing.
    sizes : sequence of int
        Weights of each layer.
    count : int
        Weights of all.
    density : float
        Of all; a tenth of it is kept everywhere.
    """
    grid = np.geomspace(LEAST * density, 1.0, 200)
    slopes: list[NDArray[np.float64]] = []
    for error, size in zip(errors, sizes):
        # Errors fall like powers between two densities; at density one there is none.
        known = np.append(shares[shares < 1], 1.0)
        level = np.append(np.maximum(error[shares < 1], 1e-12), max(float(error[-1]) * 1e-3, 1e-12))
        curve = np.exp(np.interp(np.log(grid), np.log(known), np.log(level)))
        curve = _convex(grid, np.minimum.accumulate(curve))
        slopes.append(-np.diff(curve) / (np.diff(grid) * size))
    lowest = np.array([LEAST * density * size for size in sizes])

    def kept(price: float) -> NDArray[np.float64]:
        steps = np.array([grid[int((slope > price).sum())] for slope in slopes])
        wanted: NDArray[np.float64] = np.maximum(steps * np.asarray(sizes), lowest)
        return wanted

    low, high = 0.0, max(float(s[0]) for s in slopes) * 1.01
    for _ in range(80):
        price = 0.5 * (low + high)
        low, high = (price, high) if kept(price).sum() > count else (low, price)
    return _exact(kept(low), kept(high), sizes, count)


def _convex(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the largest convex function below the points."""
    hull: list[int] = []
    for i in range(len(x)):
        while len(hull) > 1 and (y[hull[-1]] - y[hull[-2]]) * (x[i] - x[hull[-2]]) >= (y[i] - y[hull[-2]]) * (
            x[hull[-1]] - x[hull[-2]]
        ):
            hull.pop()
        hull.append(i)
    below: NDArray[np.float64] = np.interp(x, x[hull], y[hull])
    return below


def _exact(more: Weights, fewer: Weights, sizes: Sequence[int], count: int) -> list[int]:
    """Return whole counts between two sets of them that sum to `count`, layer by layer as near as can be."""
    span = float(more.sum() - fewer.sum())
    mix = np.clip((count - fewer.sum()) / span, 0.0, 1.0) if span > 0 else 0.0
    wanted = fewer + mix * (more - fewer)
    counts = [min(int(w), s) for w, s in zip(wanted, sizes)]
    order = sorted(range(len(counts)), key=lambda i: (counts[i] - wanted[i], i))
    missing = count - sum(counts)
    while missing:
        for i in order:
            step = 1 if missing > 0 else -1
            if missing and 0 <= counts[i] + step <= sizes[i]:
                counts[i] += step
                missing -= step
    return counts
