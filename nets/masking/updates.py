"""One step of the mask: projected gradient, or the penalty's own proximal operator in the box."""

from __future__ import annotations

import math
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from concave_sparsity import Penalty
from nets.configuration import Training
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
