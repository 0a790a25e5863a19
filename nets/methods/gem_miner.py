"""Gem-Miner: rounded scores over frozen weights; the lowest are frozen out little by little."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from nets.masking.course import Course, Setting
from nets.masking.layout import Layout
from nets.masking.scored_mask import Moment, ScoredMask, straight_through
from nets.masking.selection import select
from nets.methods.method import Method, Option
from nets.search import Found, Search
from nets.search.scored_search import find_by_scores


class GemMiner(ScoredMask):
    """A scored mask that freezes the weights of lowest score out for good, little by little.

    As in the paper: scores in [0, 1] that start uniform, shown rounded at one half with the gradient passed
    straight through, a penalty on their squares, and `freezes` moments, evenly spread, at which the lowest
    are frozen out so that what is alive falls exponentially to the density asked for. Different here:

    * The paper lets the penalty and the rounding leave fewer weights than asked for and puts some back before
      fine-tuning. Here never fewer than asked for are shown: the highest ones join those above one half. So
      the last freeze lands on the count, and the cut removes nothing.
    * The paper's networks have batch normalisation and weights of constant size. Those here may have none, so
      the weights shown can be enlarged to keep the activations' size, and lowest scores are sought layer by
      layer: ranked globally, a small last layer is frozen out whole.

    Parameters
    ----------
    scores : Tensor
        Initial scores in [0, 1], shape (n,).
    count : int
        Weights that are left in the end.
    freezes : int
        Number of times that weights are frozen out.
    enlarge : bool
        Enlarge the weights shown by 1 / sqrt(share shown).
    distribution : str
        See `nets.masking.selection.select`.
    **settings
        See `ScoredMask`.
    """

    def __init__(
        self, scores: Tensor, count: int, freezes: int, enlarge: bool, distribution: str, **settings: Any
    ) -> None:
        if freezes < 1:
            raise ValueError(f"freezes must be at least 1, got {freezes!r}")
        super().__init__(
            scores, self._rounded, freeze=True, clip=(0.0, 1.0), distribution=distribution, **settings
        )
        self.count = count
        self.freezes = freezes
        self.enlarge = enlarge
        self.alive = torch.ones_like(scores, dtype=torch.bool)
        self._layout: Layout | None = None

    def start(self, loop: Course) -> None:
        """Show the network the weights under the mask."""
        self._layout = loop.flat.layout
        super().start(loop)

    def _rounded(self, scores: Tensor, moment: Moment) -> Tensor:
        shown = (scores.detach() > 0.5) & self.alive
        if int(shown.sum()) < self.count:
            shown |= self._highest(self.count)
        if self.enlarge:
            self.scale = (shown.numel() / float(shown.sum())) ** 0.5
        return straight_through(shown.to(scores.dtype), scores * self.alive)

    def _highest(self, count: int) -> Tensor:
        """Return the mask of the highest scores that are alive."""
        assert self._layout is not None
        scores = self.scores.detach().masked_fill(~self.alive, -1.0)
        return select(scores, self._layout, count, self.distribution)

    def ranked(self, loop: Course) -> Tensor:
        """Return the scores, those frozen out below all others."""
        return self.scores.detach().masked_fill(~self.alive, -1.0)

    def after_step(self, loop: Course) -> None:
        """Step the scores; when it is due freeze the lowest ones out."""
        due = loop.step * self.freezes // loop.steps
        if due > (loop.step - 1) * self.freezes // loop.steps:
            n = self.alive.numel()
            left = max(self.count, round(n * (self.count / n) ** (due / self.freezes)))
            self.alive = self._highest(left)
        super().after_step(loop)

    def state_dict(self) -> dict[str, Any]:
        """Return the state with what is alive."""
        return {**super().state_dict(), "alive": self.alive}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        super().load_state_dict(state)
        self.alive = state["alive"]


def mask(setting: Setting, density: float) -> GemMiner:
    """Return the hook."""
    o = setting.options
    scores = torch.rand(setting.n, generator=setting.generator("scores")).to(setting.flat.weights)
    return GemMiner(
        scores,
        setting.count(density),
        o["freezes"],
        o["scale"],
        o["distribution"],
        lr=o["lr"],
        adam=True,
        cost=lambda s, _: s**2,
        lam=o["lam"],
    )


def find(search: Search) -> Iterable[Found]:
    """Train rounded scores, freezing the lowest out on the way to the density."""
    return find_by_scores(search, partial(mask, search))


METHOD = Method(
    name="gem-miner",
    summary="rounded scores over frozen weights, the lowest frozen out epoch by epoch",
    reference="Sreenivasan et al., Rare gems: finding lottery tickets at initialization, NeurIPS 2022",
    find=find,
    mask=mask,
    cost=lambda density, epochs, options: epochs,
    needs=("gradients",),
    options=(
        Option("lr", 0.1, "peak learning rate of the scores (Adam)"),
        Option("scale", True, "enlarge the weights shown by 1 / sqrt(share shown)"),
        Option("distribution", "erk", "how weights are shared out over layers: global, uniform or erk"),
        Option("lam", 1e-6, "weight of the squared scores in the objective"),
        Option("freezes", 30, "number of times that the lowest scores are frozen out"),
    ),
    revision=1,
)
