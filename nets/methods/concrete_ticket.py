"""Concrete ticket search: random masks over frozen weights that keep the outputs of the dense network."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from nets.masking.course import Course, Setting
from nets.masking.scored_mask import Moment, ScoredMask
from nets.methods.method import Method, Option
from nets.search import Found, Search
from nets.search.scored_search import find_by_scores
from nets.training.loop import Loop


def concrete(scores: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """Draw relaxed Bernoulli variables of log-odds `scores` (Maddison, Mnih, Teh 2017), in (0, 1)."""
    uniform = torch.rand(scores.shape, generator=generator, dtype=scores.dtype, device=scores.device)
    uniform = uniform.clamp(1e-6, 1 - 1e-6)
    return torch.sigmoid((scores + torch.log(uniform) - torch.log1p(-uniform)) / temperature)


class ConcreteTicket(ScoredMask):
    """Random relaxed masks whose outputs come close to those of the dense network of the same weights.

    The loss is the reverse Kullback-Leibler divergence of the masked from the dense network (CTS-KL), or what
    divergence the task has; batch normalisation acts in both as the affine map of its running statistics.
    Gradient balancing: while the mean keep probability exceeds `margin` times the density, its gradient is
    added at the length of that of the loss, below it is left out; the weight between the two is a running
    mean (over few steps, for short runs).

    Parameters
    ----------
    scores : Tensor
        Initial log-odds of keeping each weight, shape (n,); as in the paper those of the density.
    dense : Module
        Copy of the network at the weights to keep; it is not changed.
    temperature : float
        Of the relaxation.
    wanted : float
        Mean keep probability that is aimed at.
    smoothing : float
        Weight of a step in the running mean of the balance.
    **settings
        See `ScoredMask`.
    """

    def __init__(
        self,
        scores: Tensor,
        dense: nn.Module,
        temperature: float,
        wanted: float,
        smoothing: float,
        **settings: Any,
    ) -> None:
        if not temperature > 0:
            raise ValueError(f"temperature must be positive, got {temperature!r}")
        if not 0 < smoothing <= 1:
            raise ValueError(f"smoothing must be in (0, 1], got {smoothing!r}")
        self.teacher = dense
        self.temperature = temperature
        self.wanted = wanted
        self.smoothing = smoothing
        self._begun = False
        super().__init__(scores, self._draw, freeze=True, cost=self._keep, **settings)

    def _draw(self, scores: Tensor, moment: Moment) -> Tensor:
        return concrete(scores, self.temperature, moment.generator)

    @staticmethod
    def _keep(scores: Tensor, moment: Moment) -> Tensor:
        return torch.sigmoid(scores)

    def before_step(self, loop: Loop) -> None:
        """Let batch normalisation and dropout act as in evaluation."""
        loop.model.eval()

    def price(self, slope: Tensor, price: Tensor) -> Tensor:
        """Balance the gradient of the cost against that of the loss; both of shape (n,)."""
        balance = 0.0
        if float(torch.sigmoid(self.scores.detach()).mean()) > self.wanted:
            balance = float(slope.norm() / price.norm().clamp(min=1e-12))
        self.lam = balance if not self._begun else self.lam + self.smoothing * (balance - self.lam)
        self._begun = True
        return price

    def after_backward(self, loop: Course) -> None:
        """Turn the gradient into that of the scores and note how they stand."""
        super().after_backward(loop)
        if loop.step % self.interval == 0:
            keep = torch.sigmoid(self.scores.detach())
            self.curves.append(loop.step, self.wanted, self.lam, keep.mean(), (keep > 0.5).float().mean())

    def final(self, loop: Course) -> Tensor:
        """Return the probabilities of keeping the weights."""
        return torch.sigmoid(self.scores.detach())

    def state_dict(self) -> dict[str, Any]:
        """Return the state and whether the running mean has begun."""
        return {**super().state_dict(), "begun": self._begun}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        super().load_state_dict(state)
        self._begun = state["begun"]


def mask(setting: Setting, density: float) -> ConcreteTicket:
    """Return the hook for a network that stands at the weights to keep."""
    o = setting.options
    start = min(0.999, density)
    return ConcreteTicket(
        torch.full_like(setting.flat.weights, math.log(start / (1 - start))),
        copy.deepcopy(setting.flat.model).requires_grad_(False).eval(),
        o["temperature"],
        min(0.999, density * o["margin"]),
        o["smoothing"],
        lr=o["lr"],
        adam=True,
    )


def find(search: Search) -> Iterable[Found]:
    """Train keep probabilities over frozen weights and keep the most probable weights.

    The report's accuracies are those of the weights that are kept as they are: near chance at the
    initialisation, where the outputs that are preserved are those of an untrained network.
    """

    def hook(density: float) -> ConcreteTicket:
        search.flat.load(search.rewound())
        return mask(search, density)

    return find_by_scores(search, hook)


METHOD = Method(
    name="concrete-ticket",
    summary="concrete masks over frozen weights that preserve the dense network's outputs",
    reference="Arora, Teuscher, Winning the lottery with concrete ticket search, arXiv 2512.07142",
    find=find,
    mask=mask,
    cost=lambda density, epochs, options: epochs,
    needs=("gradients",),
    options=(
        Option("temperature", 2 / 3, "of the concrete relaxation"),
        Option("margin", 1.1, "mean keep probability aimed at, as a multiple of the density"),
        Option("smoothing", 0.3, "weight of a step in the running mean of the balance"),
        Option("lr", 0.2, "peak learning rate of the log-odds (Adam)"),
    ),
    revision=1,
)
