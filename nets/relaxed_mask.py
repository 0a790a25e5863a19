"""The relaxed mask m in [0, 1]^n, trained with the weights under the penalty lam * sum r(m_i)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from concave_sparsity import Penalty
from nets.hooks import Hook
from nets.training import Loop


class RelaxedMask(Hook):
    """Train a mask clipped to [0, 1] with the weights; lam is steered so that the mask reaches a density.

    The network sees the weights theta * m. Let s_i be a running mean of -dL/dm_i, the gain per unit of
    mask, and r the penalty. At a stationary point of L + lam * sum r(m_i) on the box (T6 of the theory)
    coordinates with s_i > lam r'(m_i) sit at one and those with s_i < lam r'(m_i) at zero. So lam is set, at
    every update, to the (1 - target) quantile of s_i / r'(m_i): just the share of coordinates wanted now is
    pushed up and the rest down. The share wanted falls from 1 to the density asked for over the first part
    `descent` of the training, along a cubic, and then stays; a strictly concave r makes the state
    self-reinforcing (r' is large at zero and small at one), so the mask is nearly binary when the run ends
    and the final cut only breaks near-ties.

    The step is relative to lam, ``m += speed * (s / lam - r'(m))``, so that its time scale depends neither on
    the scale of the loss nor on that of the weights.

    Parameters
    ----------
    penalty : Penalty
        r.
    density : float
        Density to reach.
    travel : float
        How often a mask entry without any gain could fall from 1 to 0 within the training.
    descent : float
        Share of the training over which the target falls.
    interval : int
        Steps between two updates of the mask.
    memory : float
        Share of the training over which the gains are averaged.
    """

    def __init__(
        self,
        penalty: Penalty,
        density: float,
        *,
        travel: float = 20.0,
        descent: float = 0.5,
        interval: int = 5,
        memory: float = 0.05,
    ) -> None:
        self.penalty = penalty
        self.density = density
        self.travel = travel
        self.descent = descent
        self.interval = interval
        self.memory = memory
        self.mask = torch.empty(0)
        self.gain = torch.empty(0)
        self._sum = torch.empty(0)
        self._updates = 0
        self._curves: dict[str, list[float]] = {
            name: [] for name in ("step", "lam", "target", "mean", "above_half")
        }
        self._pending: list[Tensor] = []

    def start(self, loop: Loop) -> None:
        """Start with a mask of ones, or show the network the mask that was loaded."""
        flat = loop.flat
        if self.mask.numel() == 0:
            self.mask = torch.ones_like(flat.weights)
            self.gain = torch.zeros_like(flat.weights)
            self._sum = torch.zeros_like(flat.weights)
        updates = max(1, loop.steps // self.interval)
        fall = _fall_time(self.penalty)
        self._speed = self.travel * fall / updates
        self._forget = min(1.0, 1.0 / max(1.0, self.memory * updates))
        flat.separate()
        torch.mul(flat.weights, self.mask, out=flat.effective)

    def after_backward(self, loop: Loop) -> None:
        """Turn the gradient of the effective weights into those of the mask and of the weights."""
        flat = loop.flat
        self._sum.addcmul_(flat.gradients, flat.weights)
        flat.gradients.mul_(self.mask)

    def after_step(self, loop: Loop) -> None:
        """Update the mask when it is due, and the effective weights."""
        if loop.step % self.interval == 0:
            self._update(loop)
        torch.mul(loop.flat.weights, self.mask, out=loop.flat.effective)

    def target(self, share: float) -> float:
        """Return the density wanted when `share` of the training is done."""
        left = max(0.0, 1.0 - share / self.descent)
        return self.density + (1.0 - self.density) * left**3

    def _update(self, loop: Loop) -> None:
        self._updates += 1
        weight = max(self._forget, 1.0 / self._updates)
        self.gain.lerp_(self._sum.div_(-self.interval), weight)
        self._sum.zero_()
        slope = self.penalty.derivative(self.mask)
        target = self.target(loop.share)
        lam = self._lam(self.gain / slope, target)
        self.mask.add_(self.gain.div(lam).sub_(slope), alpha=self._speed).clamp_(0.0, 1.0)
        self._curves["step"].append(float(loop.step))
        self._curves["target"].append(float(target))
        self._pending.append(torch.stack([lam, self.mask.mean(), (self.mask > 0.5).float().mean()]))

    @staticmethod
    def _lam(ratio: Tensor, target: float) -> Tensor:
        n = ratio.numel()
        rank = min(n, max(1, round((1.0 - target) * n)))
        return ratio.kthvalue(rank).values.clamp(min=1e-12)

    @property
    def trace(self) -> dict[str, list[float]]:
        """Curves of the search: step, lam, target, mean of m, share of m above one half."""
        if self._pending:
            # Only now wait for the device: an update of the mask never does.
            for name, values in zip(("lam", "mean", "above_half"), torch.stack(self._pending, 1).tolist()):
                self._curves[name] += values
            self._pending.clear()
        return self._curves

    def state_dict(self) -> dict[str, Any]:
        """Return the mask and the running means."""
        return {
            "mask": self.mask,
            "gain": self.gain,
            "sum": self._sum,
            "updates": self._updates,
            "curves": self.trace,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        self.mask, self.gain, self._sum = state["mask"], state["gain"], state["sum"]
        self._updates = state["updates"]
        self._curves = {name: list(values) for name, values in state["curves"].items()}
        self._pending = []


def _fall_time(penalty: Penalty, points: int = 1000) -> float:
    """Return the time a mask entry takes to fall from 1 to 0 at speed r'(m): the integral of 1 / r'."""
    middles = (torch.arange(points, dtype=torch.float64) + 0.5) / points
    slopes = penalty.derivative(middles)
    return (1.0 / slopes.clamp(min=1e-3)).mean().item() if math.isfinite(slopes.sum()) else 1.0
