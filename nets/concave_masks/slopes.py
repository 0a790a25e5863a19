"""The weights r'(m) of majorize-minimize: what keeping a little more of an entry costs."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from concave_sparsity import Penalty

#: Where r' is infinite at zero it is taken here at the least.
NEAR_ZERO = 1e-3

#: How often the weights are taken anew.
REFRESH = ("step", "epoch")


class Slopes:
    """r' at the mask, taken anew every step or once an epoch.

    A concave r lies below its tangents, r(x) <= r(m) + r'(m) (x - m), so a training under the linear price
    lam * sum r'(m_i) x_i with fixed weights is one step of majorize-minimize: on the box, where |x| = x,
    reweighted l1 is a linear term. With weights taken anew at every step the gradient is that of the concave
    penalty itself.

    Where r'(0) is infinite (lq) a zero would stay zero for ever and its weight would not be a number to
    compute with: r' is then taken at max(m, 0.001), which leaves it finite and lets an entry come back whose
    gain exceeds lam r'(0.001).

    Parameters
    ----------
    penalty : Penalty
        r.
    refresh : str
        "step" or "epoch".

    Attributes
    ----------
    values : Tensor
        The weights, shape (n,).
    """

    def __init__(self, penalty: Penalty, refresh: str = "step") -> None:
        if refresh not in REFRESH:
            raise ValueError(f"refresh must be one of {', '.join(REFRESH)}, got {refresh!r}")
        self.penalty = penalty
        self.refresh = refresh
        self.values = torch.empty(0)
        self._floor = 0.0 if math.isfinite(penalty.slope_at_zero) else NEAR_ZERO

    def update(self, mask: Tensor, step: int, steps_per_epoch: int) -> Tensor:
        """Return the weights for the step after `step`, taken anew if they are due."""
        if self.values.numel() == 0 or self.refresh == "step" or step % steps_per_epoch == 0:
            self.values = self.penalty.derivative(mask.clamp(min=self._floor) if self._floor else mask)
        return self.values

    def state_dict(self) -> dict[str, Any]:
        """Return the weights; those of every step are computed from the mask."""
        return {} if self.refresh == "step" else {"values": self.values}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the weights back."""
        self.values = state.get("values", torch.empty(0))


def usual_start(penalty: Penalty) -> float:
    """Return the largest entry of (0, 1] at which the penalty still pulls: r' >= 0.01.

    It is 1 for most penalties. MCP, SCAD and capped l1 may be flat at 1, where a mask of ones would never
    leave. Found by bisection, as r' does not increase.
    """
    least = 0.01
    if penalty.slope_at_one >= least:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = 0.5 * (low + high)
        if penalty.derivative(middle) >= least:
            low = middle
        else:
            high = middle
    return low
