"""Which neurons, channels and attention heads a trained network can miss: the layers that read them tell.

A unit is a set of columns of the layers that read it (`nets.granularity`). Leaving it out of a layer and
refitting the rest is a problem of group sparsity, with one support for all rows,

    min_V 1/2 tr(V G V') - tr(C V') + lam sum_u r(||V_u|| / s),

and where several layers read the same units, as on a residual stream, one for all of them together, each
relative to its own outputs. The path of majorize-minimize ranks the units; one Cholesky factorisation in that
order tells the error at every number of them; exchanges of two units, weighed exactly, mend the choice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from torch import Tensor, nn

from concave_sparsity import Penalty
from nets.granularity.channels import Channels
from nets.granularity.coupling import coupling
from nets.granularity.factory import groups_of
from nets.layerwise.moments import Calibration, gather
from nets.layerwise.recipe import Recipe
from nets.layerwise.rows import FIRST_GROWTH, FIRST_LAM, GROWTH, LARGEST_LAM, RHO, LayerProblem
from nets.layerwise.sites import Site
from nets.layerwise.solvers import REFIT
from nets.layerwise.support import Mask, Weights
from nets.masking.layout import MASKED_LAYERS, Layout

#: Solvers that choose units.
UNIT_SOLVERS = ("concave", "magnitude", "random")
#: Units that are tried for an exchange before it ends: those that cost least.
TRIES = 6
#: Exchanges end when the best gains less than this share of the error.
SMALLEST_GAIN = 1e-3

Places = NDArray[np.int64]


@dataclass(frozen=True)
class UnitChoice:
    """Which units stay.

    Parameters
    ----------
    masks : dict of str to Tensor
        Boolean, by parameter: a weight stays if the unit that it computes and the one that it reads do.
    kept, units : int
        Units that stay, and all.
    input_shape : list of int
        Of one sample.
    left_out : dict of str to str
        Weights without units, and why.
    """

    masks: dict[str, Tensor]
    kept: int
    units: int
    input_shape: list[int]
    left_out: dict[str, str]

    def kept_by(self, site: Site) -> Mask:
        """Return the mask of a site's matrices, shape (groups, out, d)."""
        mask: Mask = site.matrix(self.masks[site.parameter]).numpy().copy()
        return mask


@dataclass(frozen=True)
class _Reader:
    """A layer that reads units: its problem, relative to the mean square of its outputs.

    Parameters
    ----------
    gram : ndarray, shape (d, d)
        Of unit diagonal.
    right, start : ndarray, shape (out, d)
        Correlations, and dense weights.
    unit : ndarray of int, shape (d,)
        The unit that each column belongs to, among those of the component; -1 for columns that stay.
    """

    gram: Weights
    right: Weights
    start: Weights
    unit: Places

    @classmethod
    def of(cls, problem: LayerProblem, unit: Places) -> _Reader:
        scale, gram, correlations = problem.scaled
        size = float(np.sqrt(problem.squares.sum())) or 1.0
        return cls(gram, correlations / size, problem.weights * scale / size, unit)


@dataclass
class _Component:
    """Units that compete with one another: layers that read a unit in common, and all that they read.

    Parameters
    ----------
    units : ndarray of int
        Their numbers in the network.
    sites : list of Site
        The layers.
    """

    units: Places
    sites: list[Site]
    readers: list[_Reader] = field(default_factory=list)


def choose_units(
    model: nn.Module,
    blocks: Sequence[tuple[str, Sequence[Site], int | None]],
    data: Calibration,
    recipe: Recipe,
) -> UnitChoice:
    """Choose the channels or heads of a dense network that stay.

    Parameters
    ----------
    model : Module
        In evaluation mode.
    blocks : sequence of (str, sites, int or None)
        What is measured in one pass each.
    data : Calibration
        The data; the network must take one tensor.
    recipe : Recipe
        Density (of the weights of all layers that have units; of heads, of the layers with heads), penalty,
        granularity "channel" or "head", allocation "layer" (everywhere the same share of the units) or
        "global" (one price), solver, ridge, search.

    Raises
    ------
    ValueError
        If the network has no such units, or they cannot be told apart; the density is too small for one unit
        in every layer; an argument does not go with units.
    """
    solver = recipe.solver.removesuffix(REFIT)
    if solver not in UNIT_SOLVERS:
        raise ValueError(
            f"solver {recipe.solver!r} chooses single weights: units are chosen by {', '.join(UNIT_SOLVERS)}"
        )
    if recipe.allocation == "row":
        raise ValueError('allocation "row" is for single weights: units take "layer" or "global"')
    modules = dict(model.named_modules())
    sites = {
        s.parameter: s
        for _, block, _ in blocks
        for s in block
        if s.kind in ("linear", "convolution") and isinstance(modules[s.module], MASKED_LAYERS)
    }
    left_out = {
        s.parameter: "its rows and columns are no units"
        for _, block, _ in blocks
        for s in block
        if s.parameter not in sites
    }
    x = _example(model, data)
    ordered = [name for name, _ in model.named_parameters() if name in sites]
    if not ordered:
        raise ValueError(f"no layer of {type(model).__name__} has units: prune by weight or N:M")
    names, chosen = _heads(model, ordered, x) if recipe.granularity == "head" else (ordered, None)
    left_out |= {name: "no attention head is read or computed here" for name in ordered if name not in names}
    kind = "channel" if recipe.granularity == "head" else recipe.granularity
    channels = groups_of(kind, model, Layout.of(model, names), x)
    assert isinstance(channels, Channels)
    free = torch.ones(channels.units, dtype=torch.bool) if chosen is None else chosen(channels)
    components = _components(channels, [sites[name] for name in names], free)
    total = channels.layout.total
    sizes = channels.pool(torch.ones(total, dtype=torch.float64))
    scores = torch.full((channels.units,), torch.inf, dtype=torch.float64)
    if solver == "concave":
        _measure(model, blocks, data, components, channels, recipe)
        try:
            parts = [_ranked(c.readers, len(c.units), recipe.penalty) for c in components]
        except np.linalg.LinAlgError:
            raise ValueError(
                "the inputs of a layer depend linearly on each other: give more samples, or a larger ridge "
                f"than {recipe.ridge:g}"
            ) from None
    else:
        weights = channels.layout.join(dict(model.named_parameters())).detach().abs().double().cpu()
        worth = channels.pool(weights, mean=True) if solver == "magnitude" else torch.rand(channels.units)
        parts = [
            (np.argsort(-worth[c.units].numpy(), kind="stable"), worth[c.units].double().numpy())
            for c in components
        ]
    for component, (order, worth_of) in zip(components, parts):
        rank = np.empty(len(order))
        rank[order] = np.arange(len(order))
        if recipe.allocation == "layer":
            own = -(rank + 0.5) / len(order)
        else:
            price = worth_of / sizes[component.units].numpy() if solver == "concave" else worth_of
            own = price * (1.0 - 1e-9 * rank)
        scores[torch.from_numpy(component.units)] = torch.from_numpy(own)
    alive = channels.choose(scores, channels.count(recipe.density))
    if solver == "concave" and recipe.search:
        kinds = channels._kinds().numpy()
        for c in components:
            inside = alive[torch.from_numpy(c.units)].numpy()
            alive[torch.from_numpy(c.units)] = torch.from_numpy(exchanged(c.readers, inside, kinds[c.units]))
    masks = channels.layout.split(channels.expand(alive))
    return UnitChoice(
        masks, int((alive & free).sum()), int(free.sum()), [int(n) for n in x.shape[1:]], left_out
    )


def _example(model: nn.Module, data: Calibration) -> Tensor:
    for (args, named), _ in data.calls(model):
        if len(args) != 1 or named or not isinstance(args[0], Tensor):
            break
        return args[0][:4]
    else:
        raise ValueError("there are no calibration data: calibration yields no batch")
    raise ValueError(
        "units are found by trying the network on one input tensor, and it takes others: give it a wrapper "
        "that takes one, or prune by weight or N:M"
    )


def _heads(
    model: nn.Module, names: Sequence[str], x: Tensor
) -> tuple[list[str], Callable[[Channels], Tensor]]:
    """Return the weights that attention heads are part of, and what tells heads from other units.

    A head is a unit of several outputs and several inputs of linear layers: its queries, keys and values, and
    what reads them.
    """

    def heads(outputs: Any, inputs: Any, count: int) -> Tensor:
        is_head = torch.zeros((2, count + 1), dtype=torch.bool)
        linear = torch.ones(count + 1, dtype=torch.bool)
        for name, layer in modules.items():
            for side, units in enumerate((outputs.get(name), inputs.get(name))):
                if units is None:
                    continue
                met = torch.bincount(torch.where(units < 0, count, units), minlength=count + 1)
                if isinstance(layer, nn.Linear):
                    is_head[side] |= met > 1
                else:
                    linear &= met == 0
        return (is_head.all(0) & linear)[:-1]

    modules = {name: m for name, m in model.named_modules() if isinstance(m, MASKED_LAYERS)}
    found = coupling(model, tuple(names), x)
    which = torch.cat([heads(found.outputs, found.inputs, found.units), torch.zeros(1, dtype=torch.bool)])
    layers = [n for n in modules if which[found.outputs[n]].any() or which[found.inputs[n]].any()]
    kept = [n for n in names if n.removesuffix("weight").rstrip(".") in layers]
    if not kept:
        raise ValueError(
            f"no attention head of {type(model).__name__} can be removed: heads are found where queries, "
            "keys and values are linear layers whose outputs are cut into heads by their shape"
        )
    return kept, lambda c: heads(c.coupling.outputs, c.coupling.inputs, c.units)


def _components(channels: Channels, sites: Sequence[Site], free: Tensor) -> list[_Component]:
    """Return the free units that are read in common, with the layers that read them."""
    readers: list[tuple[set[int], Site]] = []
    for site, block in zip(sites, channels.blocks):
        # The groups of a grouped convolution go whole: what it reads of a unit, only that unit computes.
        if site.groups == 1:
            units = {u for u in block.columns.tolist() if u >= 0 and free[u]}
            if units:
                readers.append((units, site))
    merged: list[tuple[set[int], list[Site]]] = []
    for units, site in readers:
        apart = [m for m in merged if not m[0] & units]
        joined = [m for m in merged if m[0] & units]
        members = set.union(units, *(m[0] for m in joined))
        merged = [*apart, (members, [s for m in joined for s in m[1]] + [site])]
    return [_Component(np.array(sorted(units)), group) for units, group in merged]


def _measure(
    model: nn.Module,
    blocks: Sequence[tuple[str, Sequence[Site], int | None]],
    data: Calibration,
    components: Sequence[_Component],
    channels: Channels,
    recipe: Recipe,
) -> None:
    """Give every component the problems of its readers, from moments of the dense network."""
    owner = {site.name: c for c in components for site in c.sites}
    columns = dict(zip(channels.layout.names, (block.columns for block in channels.blocks)))
    parameters = dict(model.named_parameters())
    for _, block, calls in blocks:
        wanted = [site for site in block if site.name in owner]
        if not wanted:
            continue
        found = gather(model, model, wanted, data, calls if len(wanted) == len(block) else None)
        for site in wanted:
            component = owner[site.name]
            gram, cross, squares, _, _ = found.pop(site.name).means(recipe.centred(site))
            weights = site.values(parameters)[0]
            place = np.full(channels.units + 1, -1)
            place[component.units] = np.arange(len(component.units))
            unit = place[columns[site.parameter].numpy()]
            unit = np.tile(unit, len(gram[0]) // len(unit))  # positions of a kernel, channels innermost
            problem = LayerProblem.of(
                gram[0], weights, ridge=recipe.ridge, cross=cross[0], squares=squares[0]
            )
            component.readers.append(_Reader.of(problem, unit))


def _ranked(readers: Sequence[_Reader], count: int, penalty: Penalty) -> tuple[Places, Weights]:
    """Return the units, the most important first, and the error that each saves, by unit.

    What is saved falls along the ranking (its running hull), so that it can serve as a price.
    """
    order = group_path(readers, count, penalty)
    saved = np.zeros(count)
    for reader in readers:
        place = np.empty(count, dtype=np.int64)
        place[order] = np.arange(count)
        rank = np.where(reader.unit < 0, -1, place[reader.unit])
        columns = np.argsort(rank, kind="stable")
        factor = np.linalg.cholesky(reader.gram[np.ix_(columns, columns)])
        gains = solve_triangular(factor, reader.right[:, columns].T, lower=True)
        steps = np.square(gains).sum(1)
        np.add.at(saved, rank[columns][rank[columns] >= 0], steps[rank[columns] >= 0])
    worth = np.empty(count)
    worth[order] = _falling(saved)
    return order, worth


def _falling(saved: Weights) -> Weights:
    """Return the slopes of the largest convex curve below the errors that these savings leave."""
    pools: list[list[float]] = []
    for value in saved:
        pools.append([float(value), 1.0])
        while len(pools) > 1 and pools[-2][0] < pools[-1][0]:
            (a, n), (b, m) = pools[-2:]
            pools[-2:] = [[(a * n + b * m) / (n + m), n + m]]
    return np.repeat([value for value, _ in pools], [int(n) for _, n in pools])


def group_path(readers: Sequence[_Reader], count: int, penalty: Penalty) -> Places:
    """Return the units in the order in which they leave as lam grows, the last first; ties by index.

    Parameters
    ----------
    readers : sequence of _Reader
        The layers that read them.
    count : int
        Number of units.
    penalty : Penalty
        Of the norms of a unit's columns over all layers, relative to their root mean square.
    """
    places = [torch.from_numpy(np.where(r.unit < 0, count, r.unit)) for r in readers]

    def norms(parts: Sequence[Tensor]) -> Tensor:
        squares = torch.zeros(count + 1, dtype=torch.float32)
        for place, part in zip(places, parts):
            squares.index_add_(0, place, part.square().sum(0))
        return squares[:-1].sqrt()

    z = [torch.from_numpy(r.start).float() for r in readers]
    size = float(norms(z).square().mean().sqrt()) or 1.0
    z = [part / size for part in z]
    right = [torch.from_numpy(r.right).float() / size for r in readers]
    inverse = [torch.from_numpy(np.linalg.inv(r.gram + RHO * np.eye(len(r.gram)))).float() for r in readers]
    dual = [torch.zeros_like(part) for part in z]
    last = torch.zeros(count, dtype=torch.float64)
    norm, lam, step = norms(z), FIRST_LAM, 1.0
    while lam < LARGEST_LAM and (norm > 0).any():
        slope = lam * penalty.derivative(norm) / RHO
        v = [(b + RHO * (a - d)) @ i + d for a, b, d, i in zip(z, right, dual, inverse)]
        before = norms(v)
        factor = torch.where(before > slope, 1.0 - slope / before.clamp_min(1e-30), 0.0)
        factor = torch.cat([factor, torch.ones(1)])
        z = [part * factor[place] for part, place in zip(v, places)]
        dual = [a - b for a, b in zip(v, z)]
        norm = norms(z)
        # The step, and of those that leave in one the larger first.
        last = torch.where(norm > 0, step + (norm / (1.0 + norm)).double(), last)
        lam *= GROWTH if (norm == 0).any() else FIRST_GROWTH
        step += 2.0
    order: Places = np.argsort(-last.numpy(), kind="stable")
    return order


class _Tableau:
    """A layer under a set of units: what leaving or entering would cost or gain, changed by block pivots.

    The matrix is -P on the columns that stay (P = G_SS^-1), the Schur complement on the rest, G_TS P between
    them, and beside it stand the values of the former and the residual correlations of the latter
    (`local_search` does the same for single weights).
    """

    def __init__(self, reader: _Reader, alive: Mask) -> None:
        kept = np.append(alive, True)[reader.unit]
        s, t = np.flatnonzero(kept), np.flatnonzero(~kept)
        inverse = np.linalg.inv(reader.gram[np.ix_(s, s)])
        between = reader.gram[np.ix_(t, s)] @ inverse
        self.matrix = np.empty_like(reader.gram)
        self.matrix[np.ix_(s, s)] = -inverse
        self.matrix[np.ix_(t, s)] = between
        self.matrix[np.ix_(s, t)] = between.T
        self.matrix[np.ix_(t, t)] = reader.gram[np.ix_(t, t)] - between @ reader.gram[np.ix_(s, t)]
        self.values = np.empty_like(reader.right)
        self.values[:, s] = reader.right[:, s] @ inverse
        self.values[:, t] = reader.right[:, t] - self.values[:, s] @ reader.gram[np.ix_(s, t)]
        self.error = 1.0 - float(np.vdot(self.values[:, s], reader.right[:, s]))
        units, width = np.unique(reader.unit[reader.unit >= 0], return_counts=True)
        #: Units of one width, shape (n,), and their columns, (n, width).
        self.columns = [
            (units[width == w], np.stack([np.flatnonzero(reader.unit == u) for u in units[width == w]]))
            for w in np.unique(width)
        ]
        self.of = {int(u): c for chosen, columns in self.columns for u, c in zip(chosen, columns)}

    def changes(self, count: int) -> Weights:
        """Return what each unit's leaving costs, or its entering gains, shape (count,)."""
        found = np.zeros(count)
        for units, columns in self.columns:
            blocks = self.matrix[columns[:, :, None], columns[:, None, :]]
            values = self.values[:, columns].transpose(1, 2, 0)
            found[units] = np.abs(np.einsum("uij,uij->u", np.linalg.solve(blocks, values), values))
        return found

    def turn(self, unit: int) -> None:
        """Let a unit leave or enter."""
        if unit not in self.of:
            return
        j = self.of[unit]
        inverse = np.linalg.inv(self.matrix[np.ix_(j, j)])
        size = inverse if inverse[0, 0] > 0 else -inverse
        column, value = self.matrix[:, j].copy(), self.values[:, j].copy()
        self.matrix -= column @ inverse @ column.T
        self.values -= value @ inverse @ column.T
        self.matrix[:, j] = column @ size
        self.matrix[j] = self.matrix[:, j].T
        self.matrix[np.ix_(j, j)] = -inverse
        self.values[:, j] = value @ size


def exchanged(readers: Sequence[_Reader], alive: Mask, kinds: Places) -> Mask:
    """Return as many units of each kind, such that no exchange of a cheap one makes the error much smaller.

    Parameters
    ----------
    readers : sequence of _Reader
        The layers that read them; the sum of their relative errors counts.
    alive : ndarray of bool, shape (units,)
        The units to start from; left as they are.
    kinds : ndarray of int, shape (units,)
        Only units of one kind, which have as many weights, take each other's place.
    """
    alive = alive.copy()
    if alive.all():
        return alive
    tableaux = [_Tableau(reader, alive) for reader in readers]
    error = sum(t.error for t in tableaux)

    def changes() -> Weights:
        found: Weights = np.sum([t.changes(len(alive)) for t in tableaux], axis=0)
        return found

    for _ in range(2 * len(alive)):
        costs = np.where(alive, changes(), np.inf)
        for i in np.argsort(costs, kind="stable")[: min(TRIES, int(alive.sum()))]:
            for t in tableaux:
                t.turn(int(i))
            gains = np.where(~alive & (kinds == kinds[i]), changes(), -np.inf)
            j = int(np.argmax(gains))
            better = gains[j] - costs[i] > SMALLEST_GAIN * error
            for t in tableaux:
                t.turn(j if better else int(i))
            if better:
                alive[i], alive[j] = False, True
                error -= float(gains[j] - costs[i])
                break
        else:
            break
    return alive
