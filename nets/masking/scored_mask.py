"""Masks computed from trained scores: the network sees weights * mask(scores)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nets.granularity.groups import Groups
from nets.masking.course import Course, falling_density, updates_at_least
from nets.masking.curves import Curves
from nets.masking.selection import select
from nets.seeds import derive
from nets.training.loop import Hook
from nets.training.optimisers import SGD, Adam


@dataclass(frozen=True)
class Moment:
    """Where a training stands when a mask is computed.

    Parameters
    ----------
    share : float
        Share of the training that is done, in [0, 1].
    generator : torch.Generator
        Random numbers of this step, the same after a resumption.
    """

    share: float
    generator: torch.Generator


#: (scores, moment) -> mask of shape (n,), differentiable in the scores (straight-through where it is a step).
Relaxation = Callable[[Tensor, Moment], Tensor]
#: (scores, moment) -> what keeping each weight costs, shape (n,), differentiable in the scores.
Cost = Callable[[Tensor, Moment], Tensor]


class ScoredMask(Hook):
    """Train scores by gradient descent, jointly with the weights or over frozen ones.

    The objective is L(weights * mask(scores)) + lam * sum of cost(scores). Given a density, lam is steered by
    dual ascent on its logarithm: at every update it grows by a factor that is larger the more the mean of the
    mask exceeds the share wanted at present, starting from the mean gain of the mask, -dL/dm.

    Parameters
    ----------
    scores : Tensor
        Initial scores, one a mask entry: shape (n,), or (units,) where whole units share an entry.
    relaxation : callable
        The mask as a function of the scores.
    lr : float
        Learning rate of the scores at the peak of the training's schedule, which it follows.
    momentum : float
        Momentum of the scores.
    adam : bool
        Adam instead of SGD.
    freeze : bool
        Leave all weights of the network as they are. The training must have no weight decay.
    cost : callable, optional
        What keeping each weight costs.
    lam : float
        Weight of the cost where no density is given.
    density : float, optional
        Density that lam is steered to.
    descent : float
        Share of the training over which the density wanted falls, along a cubic.
    origin : float
        Density wanted at first.
    clip : tuple of float, optional
        Scores are kept between these two.
    scale : float
        The network sees weights * mask * scale; 1 / sqrt(density) gives the masked network activations of the
        size of those of the dense one, where frozen weights cannot grow.
    interval : int
        Steps between two updates of a steered lam; fewer in a training too short for twenty of them.
    ascent : float
        Largest change of log(lam) at an update.
    distribution : str
        How the cut shares out weights over layers; see `nets.masking.selection.select`.

    Attributes
    ----------
    teacher : Module or None
        A network whose outputs the masked one is trained to keep, in place of the targets.
    """

    teacher: nn.Module | None = None
    _groups: Groups

    def __init__(
        self,
        scores: Tensor,
        relaxation: Relaxation,
        *,
        lr: float,
        momentum: float = 0.9,
        adam: bool = False,
        freeze: bool = False,
        cost: Cost | None = None,
        lam: float = 0.0,
        density: float | None = None,
        descent: float = 0.5,
        origin: float = 1.0,
        clip: tuple[float, float] | None = None,
        scale: float = 1.0,
        interval: int = 10,
        ascent: float = 0.5,
        distribution: str = "global",
    ) -> None:
        if not lr > 0:
            raise ValueError(f"the learning rate of the scores must be positive, got {lr!r}")
        self.scores = scores.clone().requires_grad_()
        self.relaxation = relaxation
        self.lr = lr
        self.freeze = freeze
        self.cost = cost
        self.lam = lam
        self.density = density
        self.descent = descent
        self.origin = origin
        self.clip = clip
        self.scale = scale
        self.interval = interval
        self.ascent = ascent
        self.distribution = distribution
        if adam:
            self.optimiser: torch.optim.Optimizer = Adam([self.scores], lr, (momentum, 0.999))
        else:
            self.optimiser = SGD([self.scores], lr, momentum)
        self._mask = torch.empty(0)
        self._spent = False
        self.curves = Curves()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_mask": self._mask.detach(), "_spent": True}  # no copy has the graph

    def start(self, loop: Course) -> None:
        """Show the network the weights under the mask."""
        if self.freeze and loop.decays_frozen:
            raise ValueError("weights frozen under a mask must not decay: train with weight_decay=0")
        self._groups = loop.flat.layout.groups
        self.interval = updates_at_least(self.interval, loop.steps)
        loop.flat.separate()
        self._refresh(loop)

    def after_backward(self, loop: Course) -> None:
        """Turn the gradient of the effective weights into those of the scores and of the weights."""
        flat = loop.flat
        if self._spent:  # a step failed, or this is a copy: the mask is as it was, its graph is gone
            self._refresh(loop)
        self._spent = True
        loss_slope = flat.gradients * flat.weights
        if self.scale != 1.0:
            loss_slope *= self.scale
        (slope,) = torch.autograd.grad(self._mask, self.scores, loss_slope)
        if self.cost is not None:
            if self.density is not None:
                self._steer(loop, loss_slope)
            cost = self.cost(self.scores, self._moment(loop))
            (price,) = torch.autograd.grad(cost.sum(), self.scores)
            slope = slope.add(self.price(slope, price), alpha=self.lam)
        self.scores.grad = slope
        if self.freeze:
            flat.freeze()
        else:
            flat.gradients.mul_(self._mask.detach())
            if self.scale != 1.0:
                flat.gradients.mul_(self.scale)

    def after_step(self, loop: Course) -> None:
        """Step the scores and show the network the new effective weights."""
        if self.freeze:
            loop.flat.thaw()
        self.optimiser.param_groups[0]["lr"] = self.lr * loop.rate_share
        self.optimiser.step()
        if self.clip is not None:
            self.scores.data.clamp_(*self.clip)
        self._refresh(loop)

    def mask(self, loop: Course) -> Tensor:
        """Return the mask as the network sees it, shape (n,)."""
        return self._mask.detach()

    def final(self, loop: Course) -> Tensor:
        """Return the mask that the trained network is evaluated under: without noise, shape (n,)."""
        return self._mask.detach()

    def show(self, loop: Course, mask: Tensor) -> None:
        """Show the network the weights under this mask."""
        loop.flat.show(mask, self.scale)

    def ranked(self, loop: Course) -> Tensor:
        """Return what the weights are ranked by at the cut, shape (n,): their scores."""
        return self.spread(self.scores.detach())

    def cut(self, loop: Course, count: int) -> Tensor:
        """Return the binary mask of the `count` weights that rank highest."""
        return select(self.ranked(loop), loop.flat.layout, count, self.distribution, pooling="own")

    def spread(self, entries: Tensor) -> Tensor:
        """Return mask entries at the weights that they mask, shape (n,)."""
        return self._groups.spread(entries)

    def whole(self, mask: Tensor) -> Tensor:
        """Return a mask, shape (n,), with all that its entries take along, so that its mean is a density."""
        return self._groups.show(mask)

    def price(self, slope: Tensor, price: Tensor) -> Tensor:
        """Return the gradient of the cost as it is added, lam times, to that of the loss, `slope`."""
        return price

    def density_now(self, loop: Course) -> float:
        """Return the density that is compared with the one wanted: the mean of the mask."""
        return float(self.whole(self._mask.detach()).mean())

    def target(self, share: float) -> float:
        """Return the density wanted when `share` of the training is done."""
        assert self.density is not None
        return falling_density(share, self.density, end=self.descent, origin=self.origin)

    def _moment(self, loop: Course) -> Moment:
        generator = torch.Generator(self.scores.device).manual_seed(derive(loop.seed, "gates", loop.step))
        return Moment(loop.share, generator)

    def _refresh(self, loop: Course) -> None:
        self._mask = self.spread(self.relaxation(self.scores, self._moment(loop)))
        self._spent = False
        self.show(loop, self._mask.detach())

    def _steer(self, loop: Course, loss_slope: Tensor) -> None:
        if loop.step % self.interval:
            return
        mask, target, now = self._mask.detach(), self.target(loop.share), self.density_now(loop)
        self._update_lam(loop, loss_slope, target)
        above = (self.whole(mask) > 0.5).float().mean()
        self.curves.append(loop.step, target, self.lam, now, above)

    def _update_lam(self, loop: Course, loss_slope: Tensor, target: float) -> None:
        """Set lam, by dual ascent on its logarithm."""
        if self.lam == 0.0:
            slopes = self._groups.gather(loss_slope)
            self.lam = float(slopes.abs().mean())
        excess = math.log(max(self.density_now(loop), 1e-12) / target)
        self.lam *= math.exp(self.ascent * min(1.0, max(-1.0, excess)))

    @property
    def trace(self) -> dict[str, list[float]]:
        """Curves of the search: step, density wanted, lam, mean of the mask, share of it above one half."""
        return self.curves.trace

    def state_dict(self) -> dict[str, Any]:
        """Return the scores, their optimiser's state and the steering."""
        return {
            "scores": self.scores.detach(),
            "optimiser": self.optimiser.state_dict(),
            "lam": self.lam,
            "trace": self.trace,
            **super().state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        super().load_state_dict(state)
        self.scores.data.copy_(state["scores"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.lam = state["lam"]
        self.curves.load(state["trace"])


def straight_through(hard: Tensor, soft: Tensor) -> Tensor:
    """Return `hard` in the forward pass with the gradient of `soft`."""
    return hard + soft - soft.detach()
