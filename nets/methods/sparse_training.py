"""Sparse training whose mask moves: pruning along a schedule (GMP), dropping and growing (SET, RigL)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from concave_sparsity import largest
from nets.granularity.names import KINDS
from nets.masking.course import Course, Setting, SparseTraining, cubic
from nets.masking.selection import select
from nets.methods.method import DISTRIBUTION, Method, Option
from nets.search import Found, Search, criteria
from nets.seeds import derive


class GradualPruning(SparseTraining):
    """Prune the smallest weights along a cubic while the network trains (Zhu, Gupta 2017, eq. 1).

    Parameters
    ----------
    n : int
        Number of maskable weights.
    count : int
        Weights kept in the end.
    begin, end : float
        Shares of the training between which the density falls.
    updates : int
        Number of times the mask is changed in between.
    distribution : str
        See `nets.masking.selection.select`.
    """

    def __init__(
        self, n: int, count: int, begin: float, end: float, updates: int, distribution: str = "global"
    ) -> None:
        if not 0 <= begin < end <= 1:
            raise ValueError(f"begin and end must satisfy 0 <= begin < end <= 1, got {begin!r} and {end!r}")
        if updates < 1:
            raise ValueError(f"updates must be at least 1, got {updates!r}")
        super().__init__(torch.ones(n, dtype=torch.bool))
        self.count = count
        self.begin = begin
        self.end = end
        self.updates = updates
        self.distribution = distribution

    def after_step(self, loop: Course) -> None:
        """Prune when it is due."""
        first, last = round(self.begin * loop.steps), round(self.end * loop.steps)
        due = _due(loop.step, first, last, self.updates)
        if due is None:
            return
        keep = self.count + round((loop.flat.layout.whole - self.count) * cubic(1 - due))
        scores = loop.flat.weights.abs().masked_fill_(~self.mask, -torch.inf)
        self.change(loop, select(scores, loop.flat.layout, keep, self.distribution, pooling="mean"))


class Regrowth(SparseTraining):
    """Drop the smallest weights of every layer now and then and grow as many others in the same layer.

    The number of weights of each layer stays what it was. New weights start at zero.

    Parameters
    ----------
    mask : Tensor
        Boolean, shape (n,): the mask to start from.
    grow : str
        "gradient": where the loss falls most steeply (RigL); "random" (SET).
    drop : float
        Share of a layer's weights that is dropped at an update; it falls to zero along a cosine until `end`.
    end : float
        Share of the training after which the mask stays as it is.
    updates : int
        Number of updates until then.
    """

    def __init__(self, mask: Tensor, grow: str, drop: float, end: float, updates: int) -> None:
        if grow not in ("gradient", "random"):
            raise ValueError(f'grow must be "gradient" or "random", got {grow!r}')
        if not 0 < drop < 1:
            raise ValueError(f"drop must be in (0, 1), got {drop!r}")
        if not 0 < end <= 1:
            raise ValueError(f"end must be in (0, 1], got {end!r}")
        if updates < 1:
            raise ValueError(f"updates must be at least 1, got {updates!r}")
        super().__init__(mask)
        self.grow = grow
        self.drop = drop
        self.end = end
        self.updates = updates
        self._gradients = torch.empty(0)

    def _due(self, step: int, loop: Course) -> float | None:
        return _due(step, 0, round(self.end * loop.steps), self.updates)

    def after_backward(self, loop: Course) -> None:
        """Keep the dense gradient of a step after which weights are grown by it."""
        if self.grow == "gradient" and self._due(loop.step + 1, loop) is not None:
            self._gradients = loop.flat.gradients.abs()
        super().after_backward(loop)

    def after_step(self, loop: Course) -> None:
        """Drop and grow when it is due."""
        due = self._due(loop.step, loop)
        if due is None or due == 1:
            return
        share = self.drop / 2 * (1 + math.cos(math.pi * due))
        layout = loop.flat.layout
        generator = torch.Generator().manual_seed(derive(loop.seed, "regrowth", loop.step))
        if self.grow == "random":
            self._gradients = torch.rand(layout.total, generator=generator).to(self.mask.device)
        parts = zip(*map(layout.segments, (loop.flat.weights, self.mask, self._gradients)))
        self.change(loop, torch.cat([_regrown(w.abs(), m, g, share) for w, m, g in parts]))


def _regrown(magnitudes: Tensor, mask: Tensor, growth: Tensor, share: float) -> Tensor:
    """Return a mask of the same count: the largest magnitudes stay, the rest goes where growth is largest.

    A weight just dropped may be grown again (Evci et al. 2020, algorithm 1).
    """
    count = int(mask.sum())
    dropped = math.floor(share * count)
    stay: Tensor = largest(magnitudes.masked_fill(~mask, -torch.inf), count - dropped)
    new: Tensor = largest(growth.masked_fill(stay, -torch.inf), dropped)
    return stay | new


def _due(step: int, first: int, last: int, updates: int) -> float | None:
    """Return the share of the way from `first` to `last` when an update is due after this step, else None."""
    if not first < step <= last:
        return None
    span = last - first
    before, now = ((s - first) * updates // span for s in (step - 1, step))
    return now / updates if now > before else None


OPTIONS = (
    Option("drop", 0.3, "share of a layer's weights dropped at the first update; it falls along a cosine"),
    Option("end", 0.75, "share of the training after which the connections stay"),
    Option("updates", 50, "number of updates until then"),
    Option("distribution", "erk", "how weights are shared out over layers: uniform or erk"),
)


def regrowth(setting: Setting, density: float, grow: str) -> Regrowth:
    """Return the hook, from a random mask of the density; `grow`: see `Regrowth`."""
    o = setting.options
    start = select(criteria.random(setting), setting.layout, setting.count(density), o["distribution"])
    return Regrowth(start, grow, o["drop"], o["end"], o["updates"])


def gmp_mask(setting: Setting, density: float) -> GradualPruning:
    """Return the hook."""
    o = setting.options
    return GradualPruning(
        setting.n, setting.count(density), o["begin"], o["end"], o["updates"], o["distribution"]
    )


def _sparse_method(name: str, mask: Callable[[Setting, float], SparseTraining], **described: Any) -> Method:
    """Return the method that trains once for every density under the hook; its last mask is the ticket's."""

    def find(search: Search) -> Iterable[Found]:
        def one(density: float) -> Found:
            hook = mask(search, density)
            search.train(hook)
            report = search.reported()
            return search.found(hook.mask, density, report=report)

        return search.each(one)

    return Method(name=name, find=find, mask=mask, cost=lambda density, epochs, options: epochs, **described)


GMP = _sparse_method(
    "gmp",
    gmp_mask,
    summary="gradual magnitude pruning along a cubic during one training",
    reference="Zhu, Gupta, To prune, or not to prune, ICLR 2018 workshop, arXiv 1710.01878",
    options=(
        Option("begin", 0.1, "share of the training at which pruning begins"),
        Option("end", 0.7, "share of the training at which the density is reached"),
        Option("updates", 50, "number of pruning steps in between"),
        DISTRIBUTION,
    ),
    granularities=KINDS,
)

SET = _sparse_method(
    "set",
    partial(regrowth, grow="random"),
    summary="sparse evolutionary training: drop by magnitude, grow at random",
    reference="Mocanu et al., Nature Communications 2018, arXiv 1707.04780",
    options=OPTIONS,
    granularities=("weight",),
)

RIGL = _sparse_method(
    "rigl",
    partial(regrowth, grow="gradient"),
    summary="rigged lottery: drop by magnitude, grow by gradient",
    reference="Evci et al., Rigging the lottery, ICML 2020, arXiv 1911.11134",
    options=OPTIONS,
    granularities=("weight",),
)
