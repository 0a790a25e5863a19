"""Hard-concrete gates, trained with the weights under a penalty on the expected number of open gates."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from nets.masking.course import Course, Setting
from nets.masking.scored_mask import Moment, ScoredMask
from nets.methods.method import Method, Option
from nets.search import Found, Search
from nets.search.scored_search import find_by_scores

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

    def state_dict(self) -> dict[str, Any]:
        """Return the state and whether gates are free of charge."""
        return {**super().state_dict(), "free": self._free}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        super().load_state_dict(state)
        self._free = state["free"]


def mask(setting: Setting, density: float) -> HardConcrete:
    """Return the hook."""
    o = setting.options
    scores = setting.flat.weights.new_full((setting.entries,), o["start"])
    target = None if o["lam"] else density
    return HardConcrete(scores, lr=o["lr"], adam=True, lam=o["lam"], density=target, descent=o["descent"])


def find(search: Search) -> Iterable[Found]:
    """Train gates and weights jointly; lam is steered so that the wanted share of gates opens further."""
    return find_by_scores(search, partial(mask, search))


METHOD = Method(
    name="l0",
    summary="hard-concrete gates under an expected l0 penalty, trained with the weights",
    reference="Louizos, Welling, Kingma, Learning sparse networks through l0 regularization, ICLR 2018",
    find=find,
    mask=mask,
    cost=lambda density, epochs, options: epochs,
    needs=("gradients",),
    options=(
        Option("start", 2.0, "initial score (log alpha); 2 opens nine gates in ten"),
        Option("lr", 0.1, "peak learning rate of the scores (Adam)"),
        Option("descent", 0.5, "share of the training over which the density wanted falls"),
        Option("lam", 0.0, "weight of the expected l0 norm; 0: steered to the density"),
    ),
    granularities=("weight", "n:m", "channel"),
    revision=1,
)
