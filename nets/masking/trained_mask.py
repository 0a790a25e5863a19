"""A relaxed mask trained with the weights under lam * sum r(m_i), put together from small parts."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor

from nets.masking.course import Course, falling_density, updates_at_least
from nets.masking.curves import Curves
from nets.masking.laws import Law, Slopes
from nets.masking.relaxations import Relaxation
from nets.masking.relaxed_mask import price_threshold
from nets.masking.selection import select_above, select_nearly
from nets.masking.updates import Update
from nets.training.loop import Hook

#: What is trained: mask and weights at every step, in turns, or the mask alone over frozen weights.
TRAINED = ("joint", "alternating", "mask")

#: How often an entry of the mean gain could cross the box in a training at the usual step size.
PACE = 8.0


class TrainedMask(Hook):
    """Train a relaxed mask by steps of its own under the penalty lam * sum r(m_i).

    The network sees theta * m. The slope of the loss in m_i is theta_i times that in the effective weight, so
    it costs one product a step for all layers; its running mean, negated, is the gain s_i of the entry.

    Parameters
    ----------
    relaxation : Relaxation
        What stands for the binary mask.
    slopes : Slopes
        The weights r'(m), with the penalty.
    update : Update
        How the scores move.
    law : Law
        How lam is chosen.
    density : float
        Density that a law that steers is led to; unused by a given lam.
    start : float
        Entry that the mask starts from, in (0, 1].
    warm_up : float
        Share of the training before the mask begins to move.
    descent : float
        Share of the training at which the density wanted arrives at `density`, from 1 at `warm_up`.
    interval : int
        Steps between two updates of lam; fewer in a training too short for twenty of them.
    memory : float
        Share of the training over which the gain is averaged.
    trained : str
        "joint"; "alternating": `period` steps of the weights, as many of the mask, and so on; "mask": the
        weights of the network are frozen, as in the convex setting.
    period : int
        Steps of one turn.
    alive : Tensor, optional
        Boolean, shape (n,): entries outside are zero and stay so.
    origin : float
        Density from which the density wanted falls.
    threshold : float
        Where lam is given: the cut keeps the entries above it.
    """

    def __init__(
        self,
        relaxation: Relaxation,
        slopes: Slopes,
        update: Update,
        law: Law,
        *,
        density: float,
        start: float = 1.0,
        warm_up: float = 0.0,
        descent: float = 0.5,
        interval: int = 10,
        memory: float = 0.1,
        trained: str = "joint",
        period: int = 10,
        alive: Tensor | None = None,
        origin: float = 1.0,
        threshold: float = 0.5,
    ) -> None:
        if not 0 < start <= 1:
            raise ValueError(f"start must be in (0, 1], got {start!r}")
        if not 0 <= warm_up < descent <= 1:
            raise ValueError(f"warm_up and descent must satisfy 0 <= {warm_up!r} < {descent!r} <= 1")
        if interval < 1:
            raise ValueError(f"interval must be at least 1, got {interval!r}")
        if not memory > 0:
            raise ValueError(f"memory must be positive, got {memory!r}")
        if trained not in TRAINED:
            raise ValueError(f"trained must be one of {', '.join(TRAINED)}, got {trained!r}")
        if period < 1:
            raise ValueError(f"period must be at least 1, got {period!r}")
        self.relaxation = relaxation
        self.slopes = slopes
        self.update = update
        self.law = law
        self.density = density
        self.first = start
        self.warm_up = warm_up
        self.descent = descent
        self.interval = interval
        self.memory = memory
        self.trained = trained
        self.period = period
        self.origin = origin
        self.threshold = threshold
        self.alive = alive
        self._dead = None if alive is None else ~alive
        self.mask = torch.empty(0)
        self._scores = torch.empty(0)
        self._gain = torch.empty(0)
        self._observed = 0
        self._lam: Tensor | None = None
        self._loaded: dict[str, Any] | None = None
        self.curves = Curves(steered=law.steers)

    def start(self, loop: Course) -> None:
        """Start with an even mask, or take up the one that was loaded; show it to the network."""
        flat = loop.flat
        if self.trained == "mask" and loop.decays_frozen:
            raise ValueError("weights frozen under a mask must not decay: train with weight_decay=0")
        if self._scores.numel() == 0:
            self._scores = self.relaxation.scores(torch.full_like(flat.weights, self.first))
            self._gain = torch.zeros_like(flat.weights)
        if self._dead is not None:
            self._dead = self._dead.to(flat.weights.device)
        self._slope = torch.empty_like(flat.weights)
        self._buffer = torch.empty_like(flat.weights)
        self.interval = updates_at_least(self.interval, loop.steps)
        self._keep = math.exp(-1.0 / max(1.0, self.memory * loop.steps))
        self.update.begin(self._scores)
        if self._loaded is not None:
            self.update.load_state_dict(self._loaded)
            self._loaded = None
        self._per_epoch = loop.steps_per_epoch if self.slopes.refresh == "epoch" else 1
        flat.separate()
        self._refresh(loop)

    def after_backward(self, loop: Course) -> None:
        """Take the slope in the mask, and turn the gradient of the effective weights into that of theta."""
        flat = loop.flat
        torch.mul(flat.gradients, flat.weights, out=self._slope)
        if flat.layout.groups is not None:
            self._slope.copy_(flat.layout.groups.share(self._slope))
        self._gain.mul_(self._keep).sub_(self._slope, alpha=1.0 - self._keep)
        self._observed += 1
        turn = self._turn(loop.step)
        if turn == "mask":
            flat.freeze()
        else:
            flat.gradients.mul_(self.mask)

    def after_step(self, loop: Course) -> None:
        """Move the mask, if it is its turn, and the effective weights."""
        done = loop.step - 1
        if self._turn(done) == "mask":
            loop.flat.thaw()
        if self._turn(done) != "weights" and done >= self.warm_up * loop.steps:
            self._move(loop)
        self._refresh(loop)

    def final(self, loop: Course) -> Tensor:
        """Return the mask that the trained network is evaluated under, shape (n,)."""
        return self.mask

    def show(self, loop: Course, mask: Tensor) -> None:
        """Show the network the weights under this mask."""
        loop.flat.show(mask)

    def tie(self, loop: Course) -> Tensor:
        """Return what decides between equal entries at the cut, shape (n,).

        It is the size of theta; a sigmoid that is 1 up to rounding still has a score.
        """
        return loop.flat.weights.abs() if self.relaxation.direct else self._scores

    def cut(self, loop: Course, count: int) -> Tensor:
        """Return the binary mask of `count` weights, or where lam is given of those above the threshold."""
        if not self.law.steers:
            return select_above(self.mask, self.threshold, self.lam)
        return select_nearly(self.mask, self.tie(loop), loop.flat.layout, count, self.alive)

    def target(self, share: float) -> float:
        """Return the density wanted when `share` of the training is done."""
        return falling_density(share, self.density, begin=self.warm_up, end=self.descent, origin=self.origin)

    @property
    def lam(self) -> float:
        """Weight of the penalty as it is at present."""
        return 0.0 if self._lam is None else float(self._lam.mean())

    def _turn(self, step: int) -> str:
        if self.trained == "alternating":
            return "mask" if step // self.period % 2 else "weights"
        return self.trained

    def _move(self, loop: Course) -> None:
        slopes = self.slopes.update(self.mask, loop.step - 1, self._per_epoch)
        if self._lam is None or loop.step % self.interval == 0:
            self._choose(loop, slopes)
        assert self._lam is not None
        share = (loop.step - 1) / loop.steps
        if self.update.whole:
            self._slope.addcmul_(slopes, self._lam)
        self.relaxation.pull_back(self._slope, self.mask, share)
        self.update.step(self._slope, self._lam, loop.rate_share)
        self.relaxation.project(self._scores)

    def _choose(self, loop: Course, slopes: Tensor) -> None:
        """Choose lam and note how things stand."""
        gain = self._gain / (1.0 - self._keep**self._observed)
        self.update.measure(gain, PACE * self.relaxation.reach / loop.steps)
        if self._dead is not None:
            gain.masked_fill_(self._dead, -torch.inf)
        target = self.target(loop.share)
        threshold = partial(price_threshold, loop)
        self._lam = self.law.lam(gain, slopes, self.mask, target, threshold)
        above = (self.mask > 0.5).to(self.mask.dtype).mean()
        self.curves.append(loop.step, target, self._lam.mean(), self.mask.mean(), above)

    def _refresh(self, loop: Course) -> None:
        self.mask = self.relaxation.mask(self._scores, loop.share, self._buffer)
        if self._dead is not None:
            self.mask.masked_fill_(self._dead, 0.0)
        self.show(loop, self.mask)

    @property
    def trace(self) -> dict[str, list[float]]:
        """Curves of the search: step, density wanted, lam, mean of m, share of m above one half."""
        return self.curves.trace

    def state_dict(self) -> dict[str, Any]:
        """Return the scores, the gain, and the states of the parts."""
        return {
            "scores": self._scores,
            "gain": self._gain,
            "observed": self._observed,
            "lam": self._lam,
            "update": self.update.state_dict(),
            "slopes": self.slopes.state_dict(),
            "law": self.law.state_dict(),
            "curves": self.trace,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        self._scores, self._gain = state["scores"], state["gain"]
        self._observed, self._lam = state["observed"], state["lam"]
        self._loaded = state["update"]
        self.slopes.load_state_dict(state["slopes"])
        self.law.load_state_dict(state["law"])
        self.curves.load(state["curves"])
