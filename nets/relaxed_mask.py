"""The relaxed mask m in [0, 1]^n, trained with the weights under the penalty lam * sum r(m_i)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from concave_sparsity import Penalty
from nets.hooks import Hook
from nets.order_statistics import kth_smallest
from nets.training import Loop

#: Points at which the proximal map is tabulated, evenly in log(lam / h), and how many decades they span.
POINTS, DECADES = 8192, 8.0


class RelaxedMask(Hook):
    """Train a mask clipped to [0, 1] with the weights; lam is steered so that the mask reaches a density.

    The network sees the weights theta * m. Taking m_i from 1 down costs the loss about h_i (1 - m_i)^2 / 2,
    where h_i = theta_i^2 H_ii is its curvature in m_i. Under the penalty lam * sum r(m_i) on the box this
    model is solved coordinate by coordinate, by the penalty's own boxed proximal operator,

        m_i = argmin over [0, 1] of h_i (m - 1)^2 / 2 + lam r(m) = prox of (lam / h_i) r at 1,

    which is one proximal step with the curvature as its metric. For H_ii stands the root of a running mean of
    squared gradients, as in Adam (the square itself, the empirical Fisher, did no better on validation).

    How lam follows the density: m_i > 1/2 exactly if lam / h_i is below a number c of the penalty alone, so
    lam is set at every update to c times the (1 - target) quantile of h; just the share of entries wanted
    now lies above one half. The target falls from 1 to the density asked for along a cubic, over the first
    part `descent` of the training, and stays there while the weights settle. A strictly concave penalty makes
    the map jump from 0 to near 1: the mask is nearly binary when the run ends and the cut only breaks
    near-ties (of m, then by h). The l1 map is a soft threshold and leaves entries in between. Where m_i = 0
    theta_i is kept and its gradient is measured still, so an entry may come back.

    Scaling the loss, or lam, changes nothing: the updates depend on lam / h alone.

    Parameters
    ----------
    penalty : Penalty
        r.
    density : float
        Density to reach.
    descent : float
        Share of the training over which the target falls, in (0, 1].
    interval : int
        Steps between two updates of the mask.
    memory : float
        Share of the training over which squared gradients are averaged.
    """

    def __init__(
        self,
        penalty: Penalty,
        density: float,
        *,
        descent: float = 0.8,
        interval: int = 10,
        memory: float = 0.02,
    ) -> None:
        if not 0 < descent <= 1:
            raise ValueError(f"descent must be in (0, 1], got {descent!r}")
        if interval < 1:
            raise ValueError(f"interval must be at least 1, got {interval!r}")
        if not memory > 0:
            raise ValueError(f"memory must be positive, got {memory!r}")
        self.penalty = penalty
        self.density = density
        self.descent = descent
        self.interval = interval
        self.memory = memory
        self.mask = torch.empty(0)
        self._squares = torch.empty(0)
        self._curves: dict[str, list[float]] = {
            name: [] for name in ("step", "target", "lam", "mean", "above_half")
        }
        self._pending: list[Tensor] = []

    def start(self, loop: Loop) -> None:
        """Start with a mask of ones, or show the network the mask that was loaded."""
        flat = loop.flat
        if self.mask.numel() == 0:
            self.mask = torch.ones_like(flat.weights)
            self._squares = torch.zeros_like(flat.weights)
        self._keep = math.exp(-self.interval / max(self.interval, self.memory * loop.steps))
        self._critical = critical_step(self.penalty)
        self._table = proximal_table(self.penalty, self._critical).to(flat.weights)
        flat.separate()
        torch.mul(flat.weights, self.mask, out=flat.effective)

    def after_backward(self, loop: Loop) -> None:
        """Sum the squared gradients of the effective weights and turn them into gradients of the weights."""
        gradients = loop.flat.gradients
        self._squares.addcmul_(gradients, gradients)
        gradients.mul_(self.mask)

    def after_step(self, loop: Loop) -> None:
        """Update the mask when it is due, and the effective weights."""
        if loop.step % self.interval == 0:
            self._update(loop)
        torch.mul(loop.flat.weights, self.mask, out=loop.flat.effective)

    def target(self, share: float) -> float:
        """Return the density wanted when `share` of the training is done."""
        left = max(0.0, 1.0 - share / self.descent)
        return self.density + (1.0 - self.density) * left**3

    def curvature(self, loop: Loop) -> Tensor:
        """Return h, the curvature of the loss in every mask entry, up to a common factor; shape (n,)."""
        h = self._squares.sqrt().mul_(loop.flat.weights).mul_(loop.flat.weights).abs_()
        groups = loop.flat.layout.groups
        return h if groups is None else groups.share(h)

    def _update(self, loop: Loop) -> None:
        h = self.curvature(loop)
        target = self.target(loop.share)
        middle = price_threshold(h, loop, target)
        self._squares.mul_(self._keep)
        if middle is None:
            return
        middle = middle.clamp(min=torch.finfo(h.dtype).tiny)
        # log10(h / middle) from -DECADES / 2 to DECADES / 2 addresses the table; h = 0 is its first entry
        place = (
            h.div_(middle).log10_().mul_(POINTS / DECADES).add_(POINTS / 2 - 1).ceil_().nan_to_num_(nan=0.0)
        )
        torch.index_select(self._table, 0, place.clamp_(0, POINTS - 1).to(torch.int32), out=self.mask)
        lam = self._critical * middle.mean()
        self._curves["step"].append(float(loop.step))
        self._curves["target"].append(float(target))
        self._pending.append(torch.stack([lam, self.mask.mean(), (self.mask > 0.5).to(h.dtype).mean()]))

    @property
    def trace(self) -> dict[str, list[float]]:
        """Curves of the search: step, target, lam, mean of m, share of m above one half."""
        if self._pending:
            # Only now wait for the device: an update of the mask never does.
            for name, values in zip(("lam", "mean", "above_half"), torch.stack(self._pending, 1).tolist()):
                self._curves[name] += values
            self._pending.clear()
        return self._curves

    def state_dict(self) -> dict[str, Any]:
        """Return the mask and the running sum of squared gradients."""
        return {"mask": self.mask, "squares": self._squares, "curves": self.trace}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        self.mask, self._squares = state["mask"], state["squares"]
        self._curves = {name: list(values) for name, values in state["curves"].items()}
        self._pending = []


def critical_step(penalty: Penalty) -> float:
    """Return the step beyond which the proximal point of 1 in [0, 1] is one half or less, by bisection."""
    low, high = 1e-9, 1e9
    for _ in range(100):
        middle = math.sqrt(low * high)
        if penalty.prox(1.0, middle, lower=0.0, upper=1.0) > 0.5:
            low = middle
        else:
            high = middle
    return low


def proximal_table(penalty: Penalty, critical: float) -> Tensor:
    """Return the boxed proximal point of 1 for curvatures h, evenly in log10(h) around the critical one.

    Entry i belongs to h / h_critical = 10**((i - POINTS / 2 + 1/2) * DECADES / POINTS) and the step
    ``critical * h_critical / h``: the first half is what falls to one half or below, the second what stays.
    """
    exponent = (torch.arange(POINTS, dtype=torch.float64) - POINTS / 2 + 0.5) * (DECADES / POINTS)
    step = critical * 10.0**-exponent
    table: Tensor = penalty.prox(torch.ones_like(step), step, lower=0.0, upper=1.0)
    table[0] = 0.0  # stands for all smaller ones, h = 0 among them
    return table


def price_threshold(h: Tensor, loop: Loop, density: float) -> Tensor | None:
    """Return the curvature up to which entries are dropped, shape () or (n,); None if none are."""
    groups, n = loop.flat.layout.groups, h.numel()
    if groups is not None:
        return groups.threshold(h, density)
    dropped = min(n, round((1.0 - density) * n))
    return kth_smallest(h, dropped) if dropped else None
