"""How many weights each layer keeps: as many everywhere, or where the network needs them.

"global" gives every weight of the network one price: with the relative error e_l of each layer as a function
of the share that it keeps, and a_l how much of it reaches the network's output, sum a_l e_l is least where
it falls by as much for the next weight of every layer. Both are measured on the dense network: the curves on
some rows of each layer, by the same path and least squares; a_l by a small change of the layer alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nets.layerwise.certificate import Outputs
from nets.layerwise.moments import Calibration, SiteMoments, gather
from nets.layerwise.recipe import Recipe
from nets.layerwise.rows import LayerProblem, path_supports
from nets.layerwise.sites import Site
from nets.layerwise.support import Weights, density_count, largest
from nets.masking.layout import Layout
from nets.masking.selection import layer_counts

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
#: Another matrix of a site, and what its bias gains.
Change = tuple[Site, Tensor, NDArray[np.float64] | None]


def even_counts(model: nn.Module, sites: Sequence[Site], density: float) -> Counts:
    """Return how many weights each matrix keeps (one count a group): the same share, exact in sum."""
    pieces = _pieces(model, sites)
    layout = Layout(tuple(f"{i}" for i in range(len(pieces))), tuple(shape for _, shape in pieces))
    counts: Counts = {}
    for (name, _), count in zip(pieces, layer_counts(layout, layout.count(density), "uniform")):
        counts.setdefault(name, []).append(count)
    return counts


def _pieces(model: nn.Module, sites: Sequence[Site]) -> list[tuple[str, tuple[int, ...]]]:
    parameters = dict(model.named_parameters())
    shapes = [(site.name, site.matrix(parameters[site.parameter]).shape) for site in sites]
    return [(name, tuple(shape[1:])) for name, shape in shapes for _ in range(shape[0])]


def global_counts(
    model: nn.Module,
    copied: nn.Module,
    blocks: Sequence[tuple[str, Sequence[Site], int | None]],
    data: Calibration,
    recipe: Recipe,
) -> Counts:
    """Return the counts that make the change of the network's output least to first order, exact in sum.

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
    density = recipe.density
    sites = [site for _, block, _ in blocks for site in block]
    shares = np.unique(np.minimum([f * density for f in FACTORS], 1.0))
    curves: dict[str, Weights] = {}
    parameters = dict(model.named_parameters())
    outputs = Outputs(model, data)
    for _, block, calls in blocks:
        found = gather(model, model, block, data, calls)
        for site in block:
            weights = site.matrix(parameters[site.parameter].detach()).double().cpu().numpy()
            moments = found.pop(site.name)
            curve = _curve(moments, weights, shares, recipe, bool(site.bias))
            curves[site.name] = curve * _reach(outputs, copied, site, moments, weights, recipe)
    pieces = _pieces(model, sites)
    sizes = [int(np.prod(shape)) for _, shape in pieces]
    errors = [curves[name] / len([n for n, _ in pieces if n == name]) for name, _ in pieces]
    total = even_counts(model, sites, density)
    counts = share_out(errors, shares, sizes, sum(sum(c) for c in total.values()), density)
    result: Counts = {}
    for (name, _), count in zip(pieces, counts):
        result.setdefault(name, []).append(count)
    return result


def tried_counts(
    model: nn.Module,
    copied: nn.Module,
    blocks: Sequence[tuple[str, Sequence[Site], int | None]],
    data: Calibration,
    recipe: Recipe,
) -> tuple[str, Counts]:
    """Return "layer" or "global" and its counts: what changes the output less in a trial.

    The trial prunes all layers by either on the dense network's inputs, without exchanges. Deep networks
    that lose much, whose errors no longer add up, are better off with as much in every layer.
    Parameters as of `global_counts`.
    """
    sites = [site for _, block, _ in blocks for site in block]
    candidates = {
        "layer": even_counts(model, sites, recipe.density),
        "global": global_counts(model, copied, blocks, data, recipe),
    }
    changes: dict[str, list[Change]] = {name: [] for name in candidates}
    parameters = dict(model.named_parameters())
    for _, block, calls in blocks:
        found = gather(model, model, block, data, calls)
        for site in block:
            weights = site.matrix(parameters[site.parameter].detach()).double().cpu().numpy()
            centred = recipe.fit_bias and bool(site.bias)
            gram, cross, squares, x, y = found.pop(site.name).means(centred)
            new = {name: np.empty_like(weights) for name in candidates}
            for g in range(len(weights)):
                problem = LayerProblem.of(
                    gram[g], weights[g], ridge=recipe.ridge, cross=cross[g], squares=squares[g]
                )
                counts = [counts[site.name][g] for counts in candidates.values()]
                for name, mask in zip(candidates, path_supports(problem, recipe.penalty, counts)):
                    new[name][g] = problem.on(mask)
            for name, values in new.items():
                shift = y - np.einsum("god,gd->go", values, x) if centred else None
                changes[name].append((site, torch.from_numpy(values).float(), shift))
    outputs = Outputs(model, data)
    moved = {}
    for name, change in changes.items():
        with _changed(copied, change):
            moved[name] = outputs.change(copied)
    best = "layer" if moved["layer"] < moved["global"] else "global"
    return best, candidates[best]


@contextmanager
def _changed(network: nn.Module, changes: Sequence[Change]) -> Iterator[None]:
    """Put other matrices into a network, and add to its biases, for a while."""
    parameters = dict(network.named_parameters())
    names = {site.parameter for site, *_ in changes} | {
        site.bias for site, _, add in changes if add is not None
    }
    before = {name: parameters[name].data.clone() for name in names}
    try:
        for site, matrix, add in changes:
            weight = parameters[site.parameter].data
            site.put(weight, matrix.to(weight))
            if add is not None:
                bias = site.part_of_bias(parameters[site.bias].data)
                bias.add_(torch.from_numpy(add.reshape(-1)).to(bias))
        yield
    finally:
        for name, tensor in before.items():
            parameters[name].data.copy_(tensor)


def _reach(
    outputs: Outputs, copied: nn.Module, site: Site, moments: SiteMoments, weights: Weights, recipe: Recipe
) -> float:
    """Return the squared relative change of the network's output over the layer's relative error.

    The layer alone is changed, in the direction of pruning what counts least, by an error of 1%.
    """
    centred = recipe.fit_bias and bool(site.bias)
    gram, _, squares, x, _ = moments.means(centred)
    change = np.empty_like(weights)
    for g in range(len(weights)):
        score = np.abs(weights[g]) * np.sqrt(np.maximum(np.diag(gram[g]), 0.0))
        kept = largest(score, density_count(recipe.density, score.size))
        change[g] = np.where(kept, 0.0, -weights[g])
    error = float(np.einsum("goi,gij,goj->", change, gram, change, optimize=True))
    if not error > 0 or not squares.sum() > 0 or not outputs.size > 0:
        return 1.0
    change *= math.sqrt(SMALL_ERROR * float(squares.sum()) / error)
    shift = -np.einsum("goi,gi->go", change, x) if centred else None
    with _changed(copied, [(site, torch.from_numpy(weights + change), shift)]):
        return outputs.change(copied) ** 2 / SMALL_ERROR


def _curve(moments: SiteMoments, weights: Weights, shares: Weights, recipe: Recipe, biased: bool) -> Weights:
    """Return the relative error of a matrix at some densities, on some of its rows."""
    gram, cross, squares, _, _ = moments.means(recipe.fit_bias and biased)
    error, energy = np.zeros(len(shares)), 0.0
    for g in range(len(weights)):
        rows = np.linspace(0, len(weights[g]) - 1, min(ROWS, len(weights[g]))).round().astype(int)
        problem = LayerProblem.of(
            gram[g], weights[g][rows], ridge=recipe.ridge, cross=cross[g][rows], squares=squares[g][rows]
        )
        counts = [max(1, round(float(share) * problem.total)) for share in shares]
        for place, mask in enumerate(path_supports(problem, recipe.penalty, counts)):
            values = problem.on(mask)
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
