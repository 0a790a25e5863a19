"""A mask trained beside the weights, by gradient or proximal steps on loss + lam * penalty."""

from __future__ import annotations

import math
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from concave_sparsity import Penalty
from nets.configuration import Training
from nets.masking.course import Course, falling_density, updates_at_least
from nets.masking.curves import Curves
from nets.masking.laws import Law, Relaxation, Slopes
from nets.masking.selection import select_above, select_nearly
from nets.training.loop import Hook
from nets.training.optimisers import optimiser

#: Optimisers of the mask: (name in the training loop's words, momentum).
OPTIMISERS = {"sgd": ("sgd", 0.0), "momentum": ("sgd", 0.9), "adam": ("adam", 0.9)}


#: Usual step of Adam.
ADAM_STEP = 0.05


class Update(Protocol):
    """How scores move; `begin` is called once, `step` at every step of the training."""

    #: Whether `step` expects the slope of the loss and of the penalty together; else of the loss alone.
    whole: bool

    def begin(self, scores: Tensor) -> None:
        """Take the scores, which are stepped on in place."""

    def step(self, slope: Tensor, lam: Tensor, rate: float) -> None:
        """Step once; `slope` is used up, `rate` is the learning rate as a share of its peak."""

    def measure(self, gain: Tensor, pace: float) -> None:
        """See the mean of -dL/dm in every entry, and how far its mean size should move a score."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed training needs besides the scores."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned, after `begin`."""


class GradientUpdate:
    """A step of an optimiser of its own along the slope of the loss and the penalty.

    Parameters
    ----------
    lr : float
        Peak step size; with SGD in the unit of m^2 / loss, with Adam in that of m. 0: the usual one. For SGD
        it is measured (`measure`), so that the scale of the loss does not matter; for Adam 0.05.
    name : str
        "sgd", "momentum" (SGD with momentum 0.9) or "adam".
    """

    whole = True

    def __init__(self, lr: float = 0.0, name: str = "momentum") -> None:
        if name not in OPTIMISERS:
            raise ValueError(f"optimiser must be one of {', '.join(OPTIMISERS)}, got {name!r}")
        if not 0 <= lr < math.inf:
            raise ValueError(f"step must be positive, or 0 to be measured, got {lr!r}")
        kind, self.momentum = OPTIMISERS[name]
        self.measured = lr == 0 and kind == "sgd"
        self.lr = lr or ADAM_STEP
        self._unit: Tensor | None = None
        self._settings = Training(optimiser=kind, lr=self.lr, momentum=self.momentum)

    def begin(self, scores: Tensor) -> None:
        """Take the scores, which are stepped on in place."""
        self._parameter = nn.Parameter(scores)
        self._optimiser = optimiser(self._parameter, self._settings)
        self._group = self._optimiser.param_groups[0]
        if "eps" in self._group:
            self._group["eps"] = 1e-12  # slopes in the mask are small: the scale of the loss must not matter

    def step(self, slope: Tensor, lam: Tensor, rate: float) -> None:
        """Step along the slope."""
        if self._unit is not None:
            slope.mul_(self._unit)
        self._parameter.grad = slope
        self._group["lr"] = self.lr * rate
        self._optimiser.step()

    def measure(self, gain: Tensor, pace: float) -> None:
        """Measure the usual step of SGD: an entry of the mean gain moves by `pace` in a step."""
        if self.measured:
            self.lr = pace * (1.0 - self.momentum)
            self._unit = (gain != 0).sum() / gain.abs().sum().clamp(min=torch.finfo(gain.dtype).tiny)

    def state_dict(self) -> dict[str, Any]:
        """Return the optimiser's state and what was measured."""
        return {"optimiser": self._optimiser.state_dict(), "lr": self.lr, "unit": self._unit}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        self._optimiser.load_state_dict(state["optimiser"])
        self._group = self._optimiser.param_groups[0]  # loading replaces the groups
        self.lr, self._unit = state["lr"], state["unit"]


class ProximalUpdate(GradientUpdate):
    """A step along the slope of the loss alone, then m = prox of (step lam) r in [0, 1]: zeros are exact.

    The step of the proximal operator is that which makes stationary points of the objective fixed points:
    lr for SGD, lr / (1 - momentum) with momentum, and with Adam, whose metric is the root of a running mean
    of squared slopes, lr / root in each entry.

    Parameters
    ----------
    penalty : Penalty
        r; its `prox` is the global minimiser, concave or not.
    lr, name
        See `GradientUpdate`.
    """

    whole = False

    def __init__(self, penalty: Penalty, lr: float = 0.0, name: str = "momentum") -> None:
        super().__init__(lr, name)
        self.penalty = penalty

    def step(self, slope: Tensor, lam: Tensor, rate: float) -> None:
        """Step along the slope, then map."""
        super().step(slope, lam, rate)
        mask = self._parameter.data
        step = lam * self._metric(self.lr * rate)
        if self._unit is not None:
            step = step * self._unit
        mask.copy_(self.penalty.prox(mask, step, lower=0.0, upper=1.0))

    def _metric(self, lr: float) -> Tensor | float:
        state = self._optimiser.state[self._parameter]
        if "exp_avg_sq" not in state:
            return lr / (1.0 - self.momentum)
        correction = 1.0 - self._group["betas"][1] ** state["step"]
        root = torch.sqrt(state["exp_avg_sq"] / correction)
        return lr / root.add_(self._group["eps"])


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
        self._lam = self.law.lam(gain, slopes, self.mask, target, loop.flat.layout.groups.threshold)
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
