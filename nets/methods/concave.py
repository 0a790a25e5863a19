"""Tickets by a concave regulariser: a relaxed mask trained jointly with the weights, in one training."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from concave_sparsity import Penalty
from nets.distributions import select
from nets.evaluation import evaluate
from nets.methods.method import Method, Option
from nets.relaxed_mask import RelaxedMask
from nets.search import Found, Search


def find(search: Search) -> Iterable[Found]:
    """Train mask and weights jointly with the penalty of the search."""
    if search.penalty is None:
        raise ValueError('method "concave" needs a penalty, e.g. Log(0.02)')
    return find_with(search, search.penalty)


def find_with(search: Search, penalty: Penalty) -> Iterable[Found]:
    """Train mask and weights jointly, cut the mask to the exact count, rewind; lam follows the density."""

    def one(density: float) -> Found:
        hook = RelaxedMask(penalty, density, **search.options)
        loop = search.train(hook)
        flat = search.flat
        relaxed = evaluate(flat.model, search.data)
        # near-ties of the mask are broken by the curvature that it comes from, then by index
        order = hook.curvature(loop).argsort(descending=True, stable=True)
        rank = torch.empty_like(order)
        rank[order] = torch.arange(search.n, 0, -1, device=rank.device)
        scores = hook.mask.to(torch.float64) + rank.to(torch.float64) * (1e-6 / search.n)
        mask = select(scores, search.layout, search.count(density), shared=True)
        torch.mul(flat.weights, mask, out=flat.effective)
        cut = evaluate(flat.model, search.data)
        flat.unite()
        report = {
            "relaxed_accuracy": relaxed.accuracy,
            "cut_accuracy": cut.accuracy,
            "cut_loss": relaxed.accuracy - cut.accuracy,
            "lam": hook.trace["lam"][-1] if hook.trace["lam"] else 0.0,
            "mean_mask": hook.mask.mean().item(),
        }
        return search.found(mask, density, report=report, trace=hook.trace)

    return search.each(one)


OPTIONS = (
    Option("descent", 0.8, "share of the training over which the target density falls"),
    Option("interval", 10, "steps between two updates of the mask"),
    Option("memory", 0.02, "share of the training over which squared gradients are averaged"),
)

METHOD = Method(
    name="concave",
    summary="relaxed mask with a concave penalty, trained with the weights, lam steered to the density",
    reference="Fracastoro et al., Playing the lottery with concave regularizers, IEEE TNNLS 2024",
    find=find,
    cost=lambda density, epochs, options: epochs,
    needs=("penalty",),
    options=OPTIONS,
)
