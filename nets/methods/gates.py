"""Gates trained with the weights: hard-concrete ones (l0), and sigmoids that sharpen."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from nets.granularity.names import KINDS
from nets.masking.course import Course, Setting
from nets.masking.scored_mask import Moment, ScoredMask
from nets.methods.method import Method, Option
from nets.search import Found, Search
from nets.search.rounds import find_by_scores

#: Temperature and stretching of the hard-concrete distribution (Louizos, Welling, Kingma 2018, section 4).
TEMPERATURE, LOW, HIGH = 2 / 3, -0.1, 1.1


def hard_concrete(scores: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one gate in [0, 1] for every score (log alpha), differentiable in the scores (eq. 10, 11)."""
    uniform = torch.rand(scores.shape, generator=generator, dtype=scores.dtype, device=scores.device)
    uniform = uniform.clamp(1e-6, 1 - 1e-6)
    noise = torch.log(uniform) - torch.log1p(-uniform)
    return (torch.sigmoid((noise + scores) / TEMPERATURE) * (HIGH - LOW) + LOW).clamp(0.0, 1.0)


def open_probability(scores: Tensor) -> Tensor:
    """Return the probability that a gate is not zero (eq. 12)."""
    return torch.sigmoid(scores - TEMPERATURE * math.log(-LOW / HIGH))


def test_gate(scores: Tensor) -> Tensor:
    """Return the gate that the trained network is evaluated with, without noise (eq. 13)."""
    return (torch.sigmoid(scores) * (HIGH - LOW) + LOW).clamp(0.0, 1.0)


class HardConcrete(ScoredMask):
    """Hard-concrete gates, priced by the probability that they are open.

    The paper fixes lam and takes the density that follows. Here lam is steered, and gates are free of charge
    while fewer of them are open than wanted: a gate that has closed seldom opens again, so a price that falls
    slowly would close too many.

    Parameters
    ----------
    scores : Tensor
        Initial log alpha, shape (n,).
    **settings
        See `ScoredMask`.
    """

    state = ("_free",)

    def __init__(self, scores: Tensor, **settings: Any) -> None:
        super().__init__(scores, self._draw, cost=self._open, **settings)
        self._free = False

    @staticmethod
    def _draw(scores: Tensor, moment: Moment) -> Tensor:
        return hard_concrete(scores, moment.generator)

    @staticmethod
    def _open(scores: Tensor, moment: Moment) -> Tensor:
        return open_probability(scores)

    def final(self, loop: Course) -> Tensor:
        """Return the gates without noise."""
        return self.spread(test_gate(self.scores.detach()))

    def density_now(self, loop: Course) -> float:
        """Return the share of gates that are open without noise."""
        return float((self.whole(self.final(loop)) > 0).float().mean())

    def price(self, slope: Tensor, price: Tensor) -> Tensor:
        """Return the gradient of the cost, or zero while too few gates are open."""
        return torch.zeros_like(price) if self._free else price

    def _update_lam(self, loop: Course, loss_slope: Tensor, target: float) -> None:
        self._free = self.density_now(loop) < target
        if not self._free:
            super()._update_lam(loop, loss_slope, target)


def l0_mask(setting: Setting, density: float) -> HardConcrete:
    """Return the hook."""
    o = setting.options
    scores = setting.flat.weights.new_full((setting.entries,), o["start"])
    target = None if o["lam"] else density
    return HardConcrete(scores, lr=o["lr"], adam=True, lam=o["lam"], density=target, descent=o["descent"])


def find_l0(search: Search) -> Iterable[Found]:
    """Train gates and weights jointly; lam is steered so that the wanted share of gates opens further."""
    return find_by_scores(search, partial(l0_mask, search))


L0 = Method(
    name="l0",
    summary="hard-concrete gates under an expected l0 penalty, trained with the weights",
    reference="Louizos, Welling, Kingma, Learning sparse networks through l0 regularization, ICLR 2018",
    find=find_l0,
    mask=l0_mask,
    cost=lambda density, epochs, options: epochs,
    needs=("gradients",),
    options=(
        Option("start", 2.0, "initial score (log alpha); 2 opens nine gates in ten"),
        Option("lr", 0.1, "peak learning rate of the scores (Adam)"),
        Option("descent", 0.5, "share of the training over which the density wanted falls"),
        Option("lam", 0.0, "weight of the expected l0 norm; 0: steered to the density"),
    ),
    granularities=KINDS,
    revision=1,
)


def sigmoid_mask(scores: Tensor, sharpness: float, share: float) -> Tensor:
    """Return sigmoid(b s), b rising exponentially from 1 to `sharpness` as `share` goes from 0 to 1."""
    return torch.sigmoid(scores * sharpness**share)


def set_back(scores: Tensor, sharpness: float, start: float) -> Tensor:
    """Return the scores that the next round starts from, min(sharpness * s, start): survivors at `start`."""
    return (scores * sharpness).clamp(max=start)


def sparsifying_mask(
    setting: Setting, density: float, origin: float = 1.0, scores: Tensor | None = None
) -> ScoredMask:
    """Return the hook: scores that start at their initial value, or at those given."""
    o = setting.options

    def relaxation(scores: Tensor, moment: Moment) -> Tensor:
        return sigmoid_mask(scores, o["sharpness"], moment.share)

    return ScoredMask(
        setting.flat.weights.new_full((setting.entries,), o["start"]) if scores is None else scores,
        relaxation,
        lr=o["lr"],
        adam=True,
        cost=relaxation,
        lam=o["lam"],
        density=None if o["lam"] else density,
        descent=o["descent"],
        origin=origin,
    )


def find_sparsifying(search: Search) -> Iterable[Found]:
    """Train scores and weights jointly; lam is steered so that the wanted share of scores stays positive.

    The paper fixes lam and the initial score and takes the density that follows. As there, a further round
    goes on from the trained weights with the temperature and the scores of survivors set back, and those of
    the others so low that they stay out; only the ticket is rewound.
    """
    o = search.options
    if o["rounds"] < 1:
        raise ValueError(f"rounds must be at least 1, got {o['rounds']!r}")

    def again(last: ScoredMask, origin: float, density: float) -> ScoredMask:
        return sparsifying_mask(
            search, density, origin, set_back(last.scores.detach(), o["sharpness"], o["start"])
        )

    return find_by_scores(search, partial(sparsifying_mask, search), rounds=o["rounds"], again=again)


CONTINUOUS_SPARSIFICATION = Method(
    name="continuous-sparsification",
    summary="sigmoid mask of falling temperature, trained with the weights",
    reference="Savarese, Silva, Maire, Winning the lottery with continuous sparsification, NeurIPS 2020",
    find=find_sparsifying,
    mask=sparsifying_mask,
    cost=lambda density, epochs, options: epochs * options["rounds"],
    needs=("gradients",),
    options=(
        Option("sharpness", 200.0, "factor of the scores at the end of the training"),
        Option("start", 0.5, "initial score"),
        Option("lr", 0.1, "peak learning rate of the scores (Adam)"),
        Option("descent", 0.3, "share of the training over which the density wanted falls"),
        Option("lam", 0.0, "weight of the sum of the mask in the objective; 0: steered to the density"),
        Option("rounds", 1, "trainings, each going on with the survivors of the last"),
    ),
    granularities=KINDS,
)
