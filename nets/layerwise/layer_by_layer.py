"""Prune a trained network block by block, each layer so that it keeps its outputs; nothing is trained."""

from __future__ import annotations

import copy
import re
import time
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from concave_sparsity import Log, Penalty
from concave_sparsity.parameters import real_number
from concave_sparsity.penalty_text import parse_penalty
from nets.granularity.names import density_under, granularity_kind, granularity_name
from nets.layerwise.allocation import ALLOCATIONS, Allocator, even_counts
from nets.layerwise.certificate import (
    Certificate,
    LayerCertificate,
    Outputs,
    RowBounds,
    certified,
    held_out_errors,
    row_bounds,
)
from nets.layerwise.moments import Calibration, Listener, SiteMoments, gather
from nets.layerwise.recipe import Recipe
from nets.layerwise.rows import LayerProblem
from nets.layerwise.sites import Site, find_sites
from nets.layerwise.solvers import REFIT
from nets.layerwise.support import Mask
from nets.layerwise.units import UNIT_SOLVERS, choose_units
from nets.masking.layout import unwrapped
from nets.storage.tensor_file import apart
from nets.tickets import Ticket

DEFAULT_DENSITY = 0.5


def prune(
    model: nn.Module,
    calibration: Any,
    density: float = DEFAULT_DENSITY,
    penalty: Penalty | str = Log(0.1),  # noqa: B008 - frozen
    granularity: str = "weight",
    allocation: str | None = None,
    *,
    solver: str = "concave",
    ridge: float = 0.01,
    sequential: bool = True,
    fit_bias: bool | None = None,
    search: bool = True,
    certify: bool = True,
    hold_out: bool = True,
    include: str | Sequence[str] = (),
    exclude: str | Sequence[str] = (),
    precision: str = "float32",
) -> Ticket:
    """Prune a trained network layer by layer with the convex solver; nothing is trained.

    Every row of a layer becomes a problem of sparse least squares on the calibration data: keep the layer's
    outputs with fewer weights. `docs/layerwise.md` has the mathematics.

    Parameters
    ----------
    model : Module
        The trained network; left as it is. A copy is made, so that memory holds it twice.
    calibration : iterable of batches, Tensor or Calibration
        Inputs: tensors, tuples (labels behind the inputs are ignored) or mappings of named inputs, whose
        "attention_mask" tells which tokens count. Layers with the same inputs take one pass over them.
        A tensor, a tuple (x, y), a mapping of tensors and a torch data set are cut into batches; of a data
        set of `nets.data` some training samples are taken. Floats are turned into the network's dtype.
    density : float
        Share of the prunable weights to keep, in (0, 1]: exactly ``round(density * n)``.
    penalty : Penalty or str
        Concave penalty of ``|v_i| sqrt(G_ii)``, or its name, such as "log(0.1)".
    granularity : str
        "weight"; "N:M": N of every M consecutive weights of a row; "channel": whole neurons, channels and
        heads; "channel:flops", with a density that counts operations; "head": attention heads alone. Units
        are chosen by what the layers that read them lose, and `nets.shrink` takes them out. Their density
        counts weights too (of "head", those of the layers that heads are part of), and the ticket's own is a
        little below it.
    allocation : str, optional
        Where the weights of a density are shared out: "row" (every row of every layer keeps as many),
        "layer" (every layer does, its rows as they need), "global" (layers do as well: one price of a weight
        for the whole network, on the layers' errors as far as they reach its output). Units: "layer"
        (everywhere the same share of the units) or "global". Default: of single weights with the concave
        solver "layer" or "global", whichever changes the output less in a trial; of units "global"; of the
        rivals "layer", as in their papers. ``metadata["allocation"]`` tells which. N:M leaves nothing to
        share out.
    solver : str
        "concave", or a rival: "magnitude", "wanda", "sparsegpt", "obc", "alps"; "+refit" behind a name asks
        for least squares on its support. Of units "concave", "magnitude" or "random" (by torch's generator).
    ridge : float
        Damping of the Gram matrices, relative to the mean of their diagonals.
    sequential : bool
        Whether a layer's inputs are those of the network pruned so far (and its wanted outputs those of the
        dense one); otherwise both are the dense network's, and all layers take one pass together.
    fit_bias : bool, optional
        Whether biases are fitted as well; default: with the concave solver.
    search : bool
        Whether the concave solver improves its supports by exchanges.
    certify : bool
        Whether to bound, row by row, how much better any other support could be.
    hold_out : bool
        Whether every fifth batch is kept from the fit to tell the errors on data that it did not see.
    include, exclude : str or sequence of str
        Glob patterns over names of parameters; default: all that can be pruned.
    precision : str
        "float32" or "float64", for the products of a batch; sums are double in any case.

    Returns
    -------
    Ticket
        Masks of the pruned parameters, and the pruned network's weights. Its `certificate` tells how good
        every layer is, and how much better it could be; ``metadata["left_out"]`` which weights were not
        pruned and why. A fifth of the batches (if there are so many) is held out for it.

    Raises
    ------
    ValueError
        If an argument is out of range; there are no calibration data, or too few for the ridge; a layer never
        sees data, or sees NaN.
    """
    began = time.perf_counter()
    granularity = _granularity(granularity)
    tried = allocation is None and solver == "concave" and granularity == "weight"
    if allocation is None:
        units_go = granularity_kind(granularity) in ("channel", "head")
        allocation = "global" if solver == "concave" or units_go else "layer"
    if allocation not in ALLOCATIONS:
        raise ValueError(f"allocation must be one of {', '.join(ALLOCATIONS)}, got {allocation!r}")
    if real_number(ridge, "ridge") < 0:
        raise ValueError(f"ridge must be finite and not negative, got {ridge!r}")
    penalty = parse_penalty(penalty)
    include = (include,) if isinstance(include, str) else include
    exclude = (exclude,) if isinstance(exclude, str) else exclude
    if precision not in ("float32", "float64"):
        raise ValueError(f'precision must be "float32" or "float64", got {precision!r}')
    _refuse_density(granularity, density)
    asked = density_under(granularity, density)
    if fit_bias is None:
        fit_bias = solver == "concave" or (
            granularity_kind(granularity) in ("channel", "head") and solver.endswith(REFIT)
        )
    recipe = Recipe(asked, penalty, granularity, allocation, solver, ridge, fit_bias, search, certify)
    data, held_out = Calibration.of(calibration, getattr(torch, precision)), None
    if hold_out:
        data, held_out = data.split()
    model = unwrapped(model)
    sites, left_out = find_sites(model, include, exclude)
    pruned = copy.deepcopy(model).eval()
    masks: dict[str, Tensor] = {}
    layers: list[LayerCertificate] = []
    with evaluation_mode(model), torch.no_grad():
        outputs = Outputs(model, held_out)
        order = _Order(model, sites, data)
        blocks = list(order.blocks(sequential))
        counts = even_counts(model, sites, asked)
        units = choose_units(model, blocks, data, recipe) if recipe.units else None
        if units is not None:
            left_out |= units.left_out
            sites = [site for site in sites if site.parameter in units.masks]
            order.sites = [site for site in order.sites if site.parameter in units.masks]
            blocks = list(order.blocks(sequential))
        elif tried and asked < 1 and len(sites) > 1:
            allocation, counts = Allocator(model, pruned, blocks, data, recipe).tried_counts()
        elif allocation == "global" and not recipe.patterns:
            counts = Allocator(model, pruned, blocks, data, recipe).global_counts()
        for name, block, _ in blocks:
            for stage in order.stages(block, sequential):
                found = gather(model, pruned if sequential else model, stage, data, order.calls(stage))
                for site in stage:
                    moments = found.pop(site.name)
                    refuse_too_few(site, moments, ridge)
                    chosen = None if units is None else units.kept_by(site)
                    layers.append(
                        _prune_site(pruned, masks, site, moments, counts[site.name], recipe, chosen)
                    )
            outputs.note(name, pruned)
        alive = {} if units is None else {s.name: units.kept_by(s).any(2).reshape(-1) for s in sites}
        passes = [(block, calls) for _, block, calls in blocks]
        errors = held_out_errors(model, pruned, passes, held_out, alive)
    layers = [replace(layer, held_out=errors.get(layer.name, float("nan"))) for layer in layers]
    certificate = Certificate(tuple(layers), outputs.changes, outputs.total)
    state = apart(pruned.state_dict())  # it is our own: nothing else is copied
    metadata = {
        "method": "layerwise" if solver == "concave" else solver,
        "model": type(model).__name__,
        "asked_density": asked,
        "granularity": granularity,
        "allocation": allocation,
        "penalty": repr(penalty),
        "ridge": ridge,
        "search_epochs": 0.0,
        "report": {},
        "left_out": left_out,
        "certificate": certificate.to_dict(),
    }
    if units is not None:
        metadata |= {"units_kept": units.kept, "units": units.units, "input_shape": units.input_shape}
    return Ticket(masks, state, metadata, seconds=time.perf_counter() - began)


def _granularity(text: str) -> str:
    with suppress(ValueError):
        name = "head" if text == "head" else granularity_name(text)
        if granularity_kind(name) != "block":
            return name
    raise ValueError(f'granularity must be "weight", "channel", "head" or N:M such as "2:4", got {text!r}')


def _refuse_density(granularity: str, density: float) -> None:
    if not 0 < real_number(density, "density, the share kept,") <= 1:
        raise ValueError(f"density must be in (0, 1], got {density!r}")
    fixed = density_under(granularity, density)
    if fixed != density and density != DEFAULT_DENSITY:
        raise ValueError(
            f"density {density:g} is out of reach for {granularity}, which keeps {fixed:g}: leave density "
            f'out, or ask for granularity "weight"'
        )


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode, and each module back into its own."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


class _Order:
    """What one call of a network tells of its layers: their order, how often they run, what they share.

    Parameters
    ----------
    model : Module
        The network.
    sites : sequence of Site
        Its layers.
    data : Calibration
        Of which the first batch is looked at.
    """

    def __init__(self, model: nn.Module, sites: Sequence[Site], data: Calibration) -> None:
        listener = Listener(model, sites)
        for call, _ in data.calls(model):
            listener.run(call)
            break
        self.times = Counter(path for path, *_ in listener.heard)
        first: dict[str, tuple[int, nn.Module, Any]] = {}
        for path, module, call, _ in listener.heard:
            first.setdefault(path, (len(first), module, call))
        self.sites = sorted(
            sites, key=lambda site: first[site.module][0] if site.module in first else len(first)
        )
        self._inputs: dict[str, Hashable] = {}
        for site in self.sites:
            shared: Hashable = (site.module, site.layer, site.kind == "attended")
            if site.module in first and site.kind in ("linear", "conv1d", "convolution"):
                _, module, call = first[site.module]
                shared = id(site.inputs(module, call))
            self._inputs[site.name] = shared

    def blocks(self, sequential: bool) -> Iterator[tuple[str, list[Site], int | None]]:
        """Yield the repeated blocks in the order of the forward pass: a name, the sites, their calls in it.

        A block is an encoder layer, a residual block (names up to their first number), or any other layer.
        """
        if not sequential:
            yield "all", self.sites, None
            return
        blocks: dict[str, list[Site]] = {}
        for site in self.sites:
            blocks.setdefault(_block(site), []).append(site)
        for name, block in blocks.items():
            yield name, block, self.calls(block)

    def stages(self, block: Sequence[Site], sequential: bool) -> list[list[Site]]:
        """Return the layers of a block that have the same inputs, in their order.

        A layer that corrects what the layers before it changed must meet what they give once they are
        pruned; if all layers of a block were fitted at once, each would correct the same change again.
        """
        stages: dict[Hashable, list[Site]] = {}
        for site in block:
            stages.setdefault(self._inputs[site.name] if sequential else None, []).append(site)
        return list(stages.values())

    def calls(self, sites: Sequence[Site]) -> int | None:
        """Return after how many calls of these layers a pass may end; None if some run more than once."""
        paths = {path for site in sites for path in (site.module, *site.ties)}
        return len(paths) if all(self.times[path] == 1 for path in paths) else None


def _block(site: Site) -> str:
    match = re.match(r"(.*?\.)?\d+(?=\.)", site.module)
    return match.group(0) if match and not site.layer else site.module + site.layer.removesuffix("_reverse")


def refuse_too_few(site: Site, moments: SiteMoments, ridge: float) -> None:
    """Raise ValueError if a layer saw fewer samples than its ridge can carry.

    A ridge of 1% of the mean of the diagonal carries ten times as many inputs as samples; one of 0 none more.
    """
    n, d = moments.inputs.count, moments.inputs.gram.shape[-1]
    needed = d if ridge == 0 else min(d, int(np.ceil(1e-3 * d / ridge)))
    if n < needed:
        raise ValueError(
            f"{site.module} saw {n} samples for {d} inputs, too few for a ridge of {ridge:g}: give {needed} "
            f"or more, or a ridge of {1e-3 * d / max(n, 1):.2g}"
        )


def _prune_site(
    pruned: nn.Module,
    masks: dict[str, Tensor],
    site: Site,
    moments: SiteMoments,
    counts: Sequence[int],
    recipe: Recipe,
    chosen: Mask | None = None,
) -> LayerCertificate:
    """Prune one matrix in the copy, note its mask, and return what there is to tell.

    Of whole units the mask is `chosen`, and rows without any weight compute what nobody reads: they do not
    count.
    """
    parameters = dict(pruned.named_parameters())
    parameter = parameters[site.parameter]
    centred = recipe.centred(site)
    gram, cross, squares, x, y = moments.means(centred)
    dense = site.values(parameters)
    new, kept = np.empty_like(dense), np.empty(dense.shape, dtype=bool)
    error = total = 0.0
    bounds: list[RowBounds] = []
    fitted = energy = 0.0
    if chosen is not None:
        kept, new = chosen, np.zeros_like(dense)
    for g in range(site.groups):
        rows = slice(None) if chosen is None else np.flatnonzero(chosen[g].any(1))
        of = dense[g][rows], cross[g][rows], squares[g][rows]
        problem = LayerProblem.of(gram[g], of[0], ridge=recipe.ridge, cross=of[1], squares=of[2])
        if chosen is None:
            own = gram[g] if gram[g].any() else problem.gram
            kept[g], values = recipe.rows(problem, own, counts[g], parameter.device)
        else:
            plain = recipe.solver in UNIT_SOLVERS[1:]
            values = np.where(kept[g][rows], of[0], 0.0) if plain else problem.on(kept[g][rows])
        new[g][rows] = values
        change = np.einsum("od,od->o", values @ gram[g] - 2.0 * of[1], values) + of[2]
        error += float(change.sum())
        fitted += float(problem.errors(values).sum())
        energy += float(problem.squares.sum())
        total += float(of[2].sum())
        if recipe.certify:
            bounds.append(row_bounds(problem, kept[g][rows], values, recipe.penalty, device=parameter.device))
    mask = masks.setdefault(site.parameter, torch.zeros(parameter.shape, dtype=torch.bool))
    site.put(mask, torch.from_numpy(kept))
    site.put(parameter.data, torch.from_numpy(new).to(parameter))
    if centred:
        shift = y - np.einsum("god,gd->go", new, x)
        if chosen is not None:
            shift = np.where(chosen.any(2), shift, 0.0)
        site.shift(parameters, shift)
    found = LayerCertificate(
        site.name,
        int(kept.sum()),
        kept.size,
        moments.inputs.count,
        max(error, 0.0) / total if total > 0 else 0.0,
        fitted=fitted / energy if energy > 0 else 0.0,
    )
    return certified(found, bounds) if bounds else found
