"""Gem-Miner: rounded scores over frozen weights; the lowest are frozen out little by little."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from nets.distributions import select
from nets.methods.method import Method, Option
from nets.scored_mask import Moment, ScoredMask, straight_through
from nets.scored_search import find_by_scores
from nets.search import Found, Search
from nets.training import Loop


class GemMiner(ScoredMask):
    """A scored mask that freezes the weights of lowest score out for good after every epoch.

    Unlike the paper's networks, those here may have no batch normalisation, so the weights shown can be
    enlarged to keep the activations' size, and the lowest scores are sought layer by layer: ranked globally,
    a small last layer is frozen out whole.

    Parameters
    ----------
    scores : Tensor
        Initial scores in [0, 1], shape (n,).
    count : int
        Weights that are left in the end.
    freeze_until : float
        Share of the training by which the count is reached; it falls exponentially.
    enlarge : bool
        Enlarge the weights shown by 1 / sqrt(share shown).
    distribution : str
        See `nets.distributions.select`.
    **settings
        See `ScoredMask`.
    """

    def __init__(
        self,
        scores: Tensor,
        count: int,
        freeze_until: float,
        enlarge: bool,
        distribution: str,
        **settings: Any,
    ) -> None:
        super().__init__(scores, self._rounded, freeze=True, clip=(0.0, 1.0), **settings)
        self.count = count
        self.freeze_until = freeze_until
        self.enlarge = enlarge
        self.distribution = distribution
        self.alive = torch.ones_like(scores, dtype=torch.bool)

    def _rounded(self, scores: Tensor, moment: Moment) -> Tensor:
        shown = (scores.detach() > 0.5).to(scores.dtype) * self.alive
        if self.enlarge:
            self.scale = (shown.numel() / max(1.0, float(shown.sum()))) ** 0.5
        return straight_through(shown, scores * self.alive)

    def after_step(self, loop: Loop) -> None:
        """Step the scores; at the end of an epoch freeze the lowest ones out."""
        if loop.step % loop.steps_per_epoch == 0:
            share = min(1.0, loop.share / self.freeze_until)
            n = self.alive.numel()
            left = max(self.count, round(n * (self.count / n) ** share))
            if left < int(self.alive.sum()):
                scores = self.scores.detach().masked_fill(~self.alive, -1.0)
                self.alive = select(scores, loop.flat.layout, left, self.distribution)
        super().after_step(loop)

    def state_dict(self) -> dict[str, Any]:
        """Return the state with what is alive."""
        return {**super().state_dict(), "alive": self.alive}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        super().load_state_dict(state)
        self.alive = state["alive"]


def find(search: Search) -> Iterable[Found]:
    """Train rounded scores, freezing the lowest out on the way to the density."""
    o = search.options

    def hook(density: float) -> ScoredMask:
        scores = torch.rand(search.n, generator=search.generator("scores")).to(search.flat.weights)
        return GemMiner(
            scores,
            search.count(density),
            o["freeze_until"],
            o["scale"],
            o["distribution"],
            lr=o["lr"],
            adam=True,
            cost=lambda s, _: s**2,
            lam=o["lam"],
        )

    def rank(_: Search, scored: ScoredMask) -> Tensor:
        assert isinstance(scored, GemMiner)
        return scored.scores.masked_fill(~scored.alive, -1.0)

    return find_by_scores(search, hook, rank, o["distribution"])


METHOD = Method(
    name="gem-miner",
    summary="rounded scores over frozen weights, the lowest frozen out epoch by epoch",
    reference="Sreenivasan et al., Rare gems: finding lottery tickets at initialization, NeurIPS 2022",
    find=find,
    cost=lambda density, epochs, options: epochs,
    needs=("gradients",),
    options=(
        Option("lr", 0.1, "peak learning rate of the scores (Adam)"),
        Option("scale", True, "enlarge the weights shown by 1 / sqrt(share shown)"),
        Option("distribution", "erk", "how weights are shared out over layers: global, uniform or erk"),
        Option("lam", 1e-6, "weight of the squared scores in the objective"),
        Option("freeze_until", 0.8, "share of the training by which the density is reached"),
    ),
)
