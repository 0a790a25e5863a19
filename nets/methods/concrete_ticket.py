"""Concrete ticket search: random masks over frozen weights that keep the outputs of the dense network."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nets.methods.method import Method, Option
from nets.scored_mask import Moment, ScoredMask
from nets.scored_search import find_by_scores
from nets.search import Found, Search
from nets.training import Loop


def concrete(scores: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """Draw relaxed Bernoulli variables of log-odds `scores` (Maddison, Mnih, Teh 2017), in (0, 1)."""
    uniform = torch.rand(scores.shape, generator=generator, dtype=scores.dtype, device=scores.device)
    uniform = uniform.clamp(1e-6, 1 - 1e-6)
    return torch.sigmoid((scores + torch.log(uniform) - torch.log1p(-uniform)) / temperature)


class ConcreteTicket(ScoredMask):
    """Random relaxed masks whose outputs come close to those of the dense network of the same weights.

    The loss is the reverse Kullback-Leibler divergence of the masked from the dense network (CTS-KL). The
    paper's gradient balancing is kept in this form: the gradient of the mean keep probability is scaled to
    the length of that of the loss, times a weight that the dual ascent of `ScoredMask` steers.

    Parameters
    ----------
    scores : Tensor
        Initial log-odds of keeping each weight, shape (n,).
    dense : Module
        Copy of the network at the weights to keep; it is not changed.
    temperature : float
        Of the relaxation.
    **settings
        See `ScoredMask`.
    """

    def __init__(self, scores: Tensor, dense: nn.Module, temperature: float, **settings: Any) -> None:
        self.dense = dense
        self.temperature = temperature
        super().__init__(scores, self._draw, freeze=True, cost=self._keep, **settings)

    def _draw(self, scores: Tensor, moment: Moment) -> Tensor:
        return concrete(scores, self.temperature, moment.generator)

    @staticmethod
    def _keep(scores: Tensor, moment: Moment) -> Tensor:
        return torch.sigmoid(scores)

    def loss(self, loop: Loop, x: Tensor, y: Tensor, output: Tensor) -> Tensor:
        """Return KL(masked || dense), averaged over the batch."""
        with torch.no_grad():
            reference = functional.log_softmax(self.dense(x), dim=1)
        own = functional.log_softmax(output, dim=1)
        return functional.kl_div(reference, own, reduction="batchmean", log_target=True)

    def price(self, slope: Tensor, price: Tensor) -> Tensor:
        """Return the gradient of the cost at the length of that of the loss."""
        return price.mul(slope.norm().div(price.norm().clamp(min=1e-12)))

    def final(self, loop: Loop) -> Tensor:
        """Return the probabilities of keeping the weights."""
        return torch.sigmoid(self.scores.detach())

    def density_now(self, loop: Loop) -> float:
        """Return the mean probability of keeping a weight."""
        return float(torch.sigmoid(self.scores.detach()).mean())


def find(search: Search) -> Iterable[Found]:
    """Train keep probabilities over frozen weights and keep the most probable weights."""
    o = search.options
    if not 0 < o["start"] < 1:
        raise ValueError(f"start must be in (0, 1), got {o['start']!r}")

    def hook(density: float) -> ScoredMask:
        search.flat.load(search.rewound())
        dense = copy.deepcopy(search.flat.model).train()
        scores = torch.full_like(search.flat.weights, math.log(o["start"] / (1 - o["start"])))
        return ConcreteTicket(
            scores,
            dense,
            o["temperature"],
            lr=o["lr"],
            adam=True,
            lam=1.0,
            density=density,
            descent=o["descent"],
        )

    return find_by_scores(search, hook)


METHOD = Method(
    name="concrete-ticket",
    summary="concrete masks over frozen weights that preserve the dense network's outputs",
    reference="Arora, Teuscher, Winning the lottery with concrete ticket search, arXiv 2512.07142",
    find=find,
    cost=lambda density, epochs, options: epochs,
    needs=("gradients",),
    options=(
        Option("start", 0.9, "initial probability of keeping a weight"),
        Option("temperature", 2 / 3, "of the concrete relaxation"),
        Option("descent", 0.5, "share of the training over which the density wanted falls"),
        Option("lr", 0.2, "peak learning rate of the log-odds (Adam)"),
    ),
)
