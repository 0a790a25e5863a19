"""Masks over frozen weights: edge-popup, Gem-Miner, concrete tickets."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from nets.masking.course import Course, Setting
from nets.masking.layout import Layout
from nets.masking.scored_mask import Moment, ScoredMask, straight_through
from nets.masking.selection import select
from nets.methods.method import DISTRIBUTION, Method, Option
from nets.search import Found, Search
from nets.search.rounds import find_by_scores
from nets.training.loop import Loop


class EdgePopup(ScoredMask):
    """A scored mask that shows the weights of largest score in size."""

    def ranked(self, loop: Course) -> Tensor:
        """Return the sizes of the scores."""
        return self.scores.detach().abs()


def edge_popup_mask(setting: Setting, density: float) -> EdgePopup:
    """Return the hook."""
    o, layout, count = setting.options, setting.layout, setting.count(density)

    def relaxation(scores: Tensor, moment: Moment) -> Tensor:
        size = scores.abs()
        kept = select(size.detach(), layout, count, o["distribution"]).to(size.dtype)
        return straight_through(kept, size)

    scale = 1 / math.sqrt(density) if o["scale"] else 1.0
    scores, spread = uniform_scores(setting), o["distribution"]
    return EdgePopup(scores, relaxation, lr=o["lr"], adam=True, freeze=True, scale=scale, distribution=spread)


def find_edge_popup(search: Search) -> Iterable[Found]:
    """Train scores at the exact density, straight through; the weights stay at what they are rewound to.

    As in the paper the weights shown are enlarged by 1 / sqrt(density). Unlike there the weights are the
    network's own initial ones, not signed constants, the scores are stepped by Adam, and the layers share the
    weights out by Erdős–Rényi kernels: a uniform density leaves a small last layer next to nothing.
    """
    return find_by_scores(search, partial(edge_popup_mask, search))


def uniform_scores(setting: Setting) -> Tensor:
    """Return scores drawn uniformly within 1 / sqrt(fan-in) of zero, tensor by tensor, by the seed."""
    generator = setting.generator("scores")
    parts = []
    for shape in setting.layout.shapes:
        bound = 1.0 / math.sqrt(max(1, math.prod(shape[1:])))
        parts.append((2 * torch.rand(math.prod(shape), generator=generator) - 1) * bound)
    return torch.cat(parts).to(setting.flat.weights)


EDGE_POPUP = Method(
    name="edge-popup",
    summary="scores trained over frozen weights, the largest shown",
    reference="Ramanujan et al., What's hidden in a randomly weighted neural network?, CVPR 2020",
    find=find_edge_popup,
    mask=edge_popup_mask,
    cost=lambda density, epochs, options: epochs,
    needs=("gradients",),
    options=(
        Option("lr", 0.01, "peak learning rate of the scores (Adam)"),
        Option("scale", True, "enlarge the weights shown by 1 / sqrt(density)"),
        replace(DISTRIBUTION, default="erk"),
    ),
)


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

    state = ("alive",)

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


def gem_miner_mask(setting: Setting, density: float) -> GemMiner:
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


def find_gem_miner(search: Search) -> Iterable[Found]:
    """Train rounded scores, freezing the lowest out on the way to the density."""
    return find_by_scores(search, partial(gem_miner_mask, search))


GEM_MINER = Method(
    name="gem-miner",
    summary="rounded scores over frozen weights, the lowest frozen out epoch by epoch",
    reference="Sreenivasan et al., Rare gems: finding lottery tickets at initialization, NeurIPS 2022",
    find=find_gem_miner,
    mask=gem_miner_mask,
    cost=lambda density, epochs, options: epochs,
    needs=("gradients",),
    options=(
        Option("lr", 0.1, "peak learning rate of the scores (Adam)"),
        Option("scale", True, "enlarge the weights shown by 1 / sqrt(share shown)"),
        replace(DISTRIBUTION, default="erk"),
        Option("lam", 1e-6, "weight of the squared scores in the objective"),
        Option("freezes", 30, "number of times that the lowest scores are frozen out"),
    ),
    revision=1,
)


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

    state = ("_begun",)

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


def concrete_ticket_mask(setting: Setting, density: float) -> ConcreteTicket:
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


def find_concrete_ticket(search: Search) -> Iterable[Found]:
    """Train keep probabilities over frozen weights and keep the most probable weights.

    The report's accuracies are those of the weights that are kept as they are: near chance at the
    initialisation, where the outputs that are preserved are those of an untrained network.
    """

    def hook(density: float) -> ConcreteTicket:
        search.flat.load(search.rewound())
        return concrete_ticket_mask(search, density)

    return find_by_scores(search, hook)


CONCRETE_TICKET = Method(
    name="concrete-ticket",
    summary="concrete masks over frozen weights that preserve the dense network's outputs",
    reference="Arora, Teuscher, Winning the lottery with concrete ticket search, arXiv 2512.07142",
    find=find_concrete_ticket,
    mask=concrete_ticket_mask,
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
