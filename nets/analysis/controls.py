"""Sanity checks of tickets: each control changes one thing that is claimed to matter.

A ticket that is no better than its shuffled self owes its accuracy to how many weights each layer keeps; one
no better than its re-initialised self owes nothing to the initial weights (Frankle et al., ICLR 2021; Su et
al., NeurIPS 2020).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from concave_sparsity import largest
from nets.data import AnyData
from nets.data.batches import forward, parts, size
from nets.masking.layout import Layout
from nets.models.factory import ModelSpec, build
from nets.models.factory import reinitialise as reinitialised
from nets.seeds import derive
from nets.tickets import Ticket
from nets.training.evaluation import evaluate

#: State of a network of the same architecture drawn anew, by seed.
Draw = Callable[[int], Mapping[str, Tensor]]


def shuffle(ticket: Ticket, seed: int, draw: Draw | None = None, layout: Layout | None = None) -> Ticket:
    """Return the ticket with the mask of every layer permuted at random; counts and weights stay.

    Where the layout ties entries of the mask to one another (N:M, channels), whole entries are drawn anew.
    """
    if layout is not None:
        return _redrawn(ticket, seed, layout, others=False)
    return _with_masks(ticket, {name: _permuted(mask, seed, name) for name, mask in ticket.masks.items()})


def reinitialise(ticket: Ticket, seed: int, draw: Draw | None = None, layout: Layout | None = None) -> Ticket:
    """Return the ticket with initial weights drawn anew; the masks stay.

    New weights are not those of a later step: they are trained from step 0 whatever the ticket's rewinding.
    """
    if draw is None:
        raise ValueError("the control reinitialise needs a way to draw new weights")
    weights = dict(draw(derive(seed, "control", "weights")))
    metadata = {name: value for name, value in ticket.metadata.items() if name != "fine_tune"}
    return replace(ticket, weights=weights, metadata={**metadata, "rewind": 0}, whole=True)


def invert(ticket: Ticket, seed: int, draw: Draw | None = None, layout: Layout | None = None) -> Ticket:
    """Return the ticket that keeps, in every layer, as many of the weights that were pruned, drawn at random.

    Where a layer has fewer pruned weights than kept ones, all pruned ones are kept and the rest is drawn
    from the others, so that the counts stay. Entries that the layout ties to one another go as a whole.
    """
    if layout is not None:
        return _redrawn(ticket, seed, layout, others=True)
    masks = {}
    for name, mask in ticket.masks.items():
        order = torch.rand(mask.shape, generator=_generator(seed, name), dtype=torch.float64)
        masks[name] = largest(order + (~mask).to(torch.float64), int(mask.sum()))
    return _with_masks(ticket, masks)


def random(ticket: Ticket, seed: int, draw: Draw | None = None, layout: Layout | None = None) -> Ticket:
    """Return a random sparse network of the same layer-wise densities: masks and weights drawn anew."""
    return shuffle(reinitialise(ticket, seed, draw, layout), seed, draw, layout)


def draws(model: ModelSpec, data: AnyData) -> Draw:
    """Return how new initial weights of a network are drawn: by its name or factory, or by its modules."""

    def draw(seed: int) -> Mapping[str, Tensor]:
        if isinstance(model, nn.Module):
            return reinitialised(model, seed=seed).state_dict()
        return build(model, data, seed=seed).state_dict()

    return draw


CONTROLS: dict[str, Callable[[Ticket, int, Draw | None, Layout | None], Ticket]] = {
    "shuffle": shuffle,
    "reinitialise": reinitialise,
    "invert": invert,
    "random": random,
}


def control(
    name: str, ticket: Ticket, seed: int, draw: Draw | None = None, layout: Layout | None = None
) -> Ticket:
    """Return the ticket changed by the named control.

    Parameters
    ----------
    name : str
        A key of `CONTROLS`.
    ticket : Ticket
        The ticket; it stays as it is.
    seed : int
        Fixes what is drawn.
    draw : callable, optional
        Takes a seed and returns the state of a newly initialised network; for "reinitialise" and "random".
    layout : Layout, optional
        The masked tensors with what ties them; needed for a ticket whose granularity is not "weight".

    Raises
    ------
    ValueError
        If the name is unknown, or the layout is missing.
    """
    granularity = ticket.metadata.get("granularity", "weight")
    if layout is None and granularity != "weight" and name != "reinitialise":
        raise ValueError(f"the control {name} of a ticket of granularity {granularity} needs its layout")
    if name not in CONTROLS:
        raise ValueError(f"unknown control {name!r}; choose one of {', '.join(CONTROLS)}")
    changed = CONTROLS[name](ticket, seed, draw, layout)
    return replace(changed, metadata={**changed.metadata, "control": name})


def overlap(a: Ticket, b: Ticket) -> float:
    """Return the overlap of two tickets' masks: kept by both / kept by either, in [0, 1] (Jaccard index).

    Two independent random masks of density p overlap by p / (2 - p) on average.
    """
    if set(a.masks) != set(b.masks):
        raise ValueError("the tickets mask different tensors")
    both = sum(int((a.masks[name] & b.masks[name]).sum()) for name in a.masks)
    either = sum(int((a.masks[name] | b.masks[name]).sum()) for name in a.masks)
    return both / either if either else 1.0


def linear_connectivity(
    model: nn.Module,
    first: Mapping[str, Tensor],
    second: Mapping[str, Tensor],
    data: AnyData,
    part: str = "test",
    points: int = 11,
) -> dict[str, list[float] | float]:
    """Evaluate a network along the straight line between two trained states.

    Parameters
    ----------
    model : Module
        A network of their architecture; changed by the call, as is the running mean and variance of its batch
        normalisation, which is estimated anew on the training part at every point.
    first, second : mapping of str to Tensor
        States (`state_dict`) to interpolate between.
    data : Dataset or Stream
        The data.
    part : str
        Part of it on which the error is measured.
    points : int
        Number of points, ends included; at least 3.

    Returns
    -------
    dict
        "share" (0 at the first), "error" (1 - accuracy; of a metric of which lower is better the metric, of
        another its negative), "loss", and "barrier": the largest error above the straight line between the
        errors of the ends (Frankle et al., ICML 2020, instability).
    """
    if points < 3:
        raise ValueError(f"points must be at least 3, got {points}")
    shares = [i / (points - 1) for i in range(points)]
    errors, losses = [], []
    for share in shares:
        model.load_state_dict(
            {
                name: torch.lerp(first[name], second[name], share)
                if first[name].is_floating_point()
                else first[name]
                for name in first
            }
        )
        _estimate_batch_statistics(model, data)
        evaluation = evaluate(model, data, part)
        errors.append(evaluation.error)
        losses.append(evaluation.loss)
    line = [errors[0] + (errors[-1] - errors[0]) * share for share in shares]
    barrier = max(error - straight for error, straight in zip(errors, line))
    return {"share": shares, "error": errors, "loss": losses, "barrier": barrier}


@torch.no_grad()
def _estimate_batch_statistics(model: nn.Module, data: AnyData, batch: int = 500) -> None:
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over the batches
    model.train()
    for inputs, _ in data.part_batches("train"):
        for some in parts(inputs, -(-size(inputs) // batch)):
            forward(model, some)
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum


def _generator(seed: int, name: str) -> torch.Generator:
    return torch.Generator().manual_seed(derive(seed, "control", name))


def _permuted(mask: Tensor, seed: int, name: str) -> Tensor:
    order = torch.randperm(mask.numel(), generator=_generator(seed, name))
    return mask.reshape(-1)[order].reshape(mask.shape)


def _redrawn(ticket: Ticket, seed: int, layout: Layout, others: bool) -> Ticket:
    groups, mask = layout.groups, ticket.flat_mask(layout)
    order = torch.rand(len(mask), generator=_generator(seed, groups.name), dtype=torch.float64)
    drawn = layout.split(groups.redraw(mask, order, others))
    return _with_masks(ticket, {name: drawn[name].clone() for name in ticket.masks})


def _with_masks(ticket: Ticket, masks: Mapping[str, Tensor]) -> Ticket:
    if not ticket.whole:
        raise ValueError(
            "this ticket was read from a file without its pruned weights, which other masks need: save it "
            "with save(path, whole=True)"
        )
    return replace(ticket, masks=dict(masks))
