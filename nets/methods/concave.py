"""Tickets by a concave regulariser: a relaxed mask trained with the weights, in one training or in rounds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from concave_sparsity import Penalty
from nets.concave_masks.forms import OPTIONS, chosen_update, relaxed_mask, with_preset
from nets.concave_masks.trained_mask import TrainedMask
from nets.configuration import Scalar
from nets.granularity.channels import Channels
from nets.hooks import Hook
from nets.mask_cut import cut
from nets.masking.course import Setting
from nets.methods.method import Method
from nets.relaxed_mask import RelaxedMask
from nets.rounds import append_curves
from nets.search import Found, Search
from nets.sparse_training import SparseTraining
from nets.training import Loop


def find(search: Search) -> Iterable[Found]:
    """Train mask and weights with the penalty of the search."""
    if search.penalty is None:
        raise ValueError('method "concave" needs a penalty, e.g. Log(0.02)')
    return find_with(search, search.penalty)


def mask(setting: Setting, density: float) -> RelaxedMask | TrainedMask:
    """Return the hook that trains the mask, under the penalty of the setting."""
    if setting.penalty is None:
        raise ValueError('method "concave" needs a penalty, e.g. Log(0.02)')
    return mask_with(setting, setting.penalty, density)


def mask_with(setting: Setting, penalty: Penalty, density: float) -> RelaxedMask | TrainedMask:
    """Return the hook that trains the mask under a penalty."""
    _refuse(setting)
    return relaxed_mask(with_preset(setting.options), penalty, density)


def _refuse(setting: Setting) -> None:
    o, groups = with_preset(setting.options), setting.layout.groups
    if follows(o) and groups is not None and groups.fixed:
        raise ValueError(f"granularity {groups.name} fixes the density: leave lam={o['lam']:g} out")
    if isinstance(groups, Channels) and (follows(o) or chosen_update(o) != "curvature"):
        raise ValueError(
            "granularity channel prices units by their curvature, and lam is steered: leave the options lam, "
            "update and relaxation at their defaults"
        )


def find_with(search: Search, penalty: Penalty) -> Iterable[Found]:
    """Train mask and weights, extract the sparse network, rewind; in rounds, go on with the survivors.

    Round k of R ends at the density p^(k/R) for a density p asked for; a given lam decides it by itself.
    """
    o = with_preset(search.options)
    if o["rounds"] < 1:
        raise ValueError(f"rounds must be at least 1, got {o['rounds']!r}")

    _refuse(search)

    def one(density: float) -> Found:
        alive: Tensor | None = None
        origin = 1.0
        trace: dict[str, list[float]] = {}
        for number in range(1, o["rounds"] + 1):
            aim = density ** (number / o["rounds"])
            count = max(search.count(density), round(aim * search.n))
            hook = relaxed_mask(o, penalty, aim, alive=alive, origin=origin)
            loop = _train(search, hook, alive, first=number == 1)
            alive, report = _extract(search, loop, hook, count)
            append_curves(trace, hook.trace, loop.steps * (number - 1))
            origin = int(alive.sum()) / search.n
        assert alive is not None
        if o["rounds"] > 1:
            report["rounds"] = o["rounds"]
        if follows(o):
            report["density_follows"] = True
        return search.found(alive, density, report=report, trace=trace, exact=not follows(o))

    return search.each(one)


def follows(options: Mapping[str, Any]) -> bool:
    """Tell whether the density follows from a lam that is given."""
    return bool(with_preset(options)["lam"])


def cost(density: float, epochs: float, options: Mapping[str, Any]) -> float:
    """Return the epochs of a search."""
    return float(epochs * with_preset(options)["rounds"])


def _train(search: Search, hook: RelaxedMask | TrainedMask, alive: Tensor | None, first: bool) -> Loop:
    """Train once: from the initial weights at first, later the survivors from where they are rewound to."""
    hooks: list[Hook] = [] if alive is None else [SparseTraining(alive)]
    training = search.training
    alone = isinstance(hook, TrainedMask) and hook.trained == "mask"
    if alone:
        training = replace(training, weight_decay=0.0)
    if first and not alone:
        return search.train(hook, training=training)
    weights = search.rewound()
    return search.train(*hooks, hook, weights=weights, training=training, start=search.rewind)


def _extract(
    search: Search, loop: Loop, hook: RelaxedMask | TrainedMask, count: int
) -> tuple[Tensor, dict[str, Scalar]]:
    """Cut the mask to the count, or where lam is given at the threshold; tell what that costs."""
    mask, report = cut(search, loop, hook, count)
    relaxed, groups = hook.final(loop) > 0.5, search.layout.groups
    relaxed = relaxed if groups is None else groups.show(relaxed)
    report["relaxed_density"] = float(relaxed.to(torch.float64).mean())
    return mask, report


METHOD = Method(
    name="concave",
    summary="relaxed mask with a concave penalty, trained with the weights, lam steered to the density",
    reference="Fracastoro et al., Playing the lottery with concave regularizers, IEEE TNNLS 2024",
    find=find,
    mask=mask,
    cost=cost,
    needs=("penalty",),
    options=OPTIONS,
    density_follows=follows,
    granularities=("weight", "n:m", "channel"),
    revision=1,
)
