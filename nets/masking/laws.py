"""What drives a trained mask: from parameters to [0, 1], and how lam is steered to the density."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from concave_sparsity import Penalty


class Relaxation(Protocol):
    """A mask in [0, 1] as a function of scores that are trained."""

    #: Whether the scores are the mask itself.
    direct: bool

    #: How far scores must move, in units of the slope in the mask, for a mask entry to cross the box.
    reach: float

    def scores(self, mask: Tensor) -> Tensor:
        """Return new scores for a mask at the start of a training, shape (n,)."""

    def mask(self, scores: Tensor, share: float, out: Tensor) -> Tensor:
        """Return the mask when `share` of the training is done, in `out` or in the scores themselves."""

    def pull_back(self, slope: Tensor, mask: Tensor, share: float) -> None:
        """Turn the slope in the mask into that in the scores, in place."""

    def project(self, scores: Tensor) -> None:
        """Move the scores to the nearest allowed ones, in place."""


class Clipped:
    """The mask itself is trained and projected on [0, 1] (Fracastoro et al. 2024)."""

    direct = True
    reach = 1.0

    def scores(self, mask: Tensor) -> Tensor:
        """Return a copy of the mask."""
        return mask.clone()

    def mask(self, scores: Tensor, share: float, out: Tensor) -> Tensor:
        """Return the scores."""
        return scores

    def pull_back(self, slope: Tensor, mask: Tensor, share: float) -> None:
        """Leave the slope as it is."""

    def project(self, scores: Tensor) -> None:
        """Clip to [0, 1]."""
        scores.clamp_(0.0, 1.0)


class Sigmoid:
    """m = sigmoid(s / T), the re-parametrisation: no projection is needed, and no entry is ever exactly 0.

    Parameters
    ----------
    temperature : float
        T at the end of the training; it falls from 1 exponentially (Savarese, Silva, Maire 2020).
    """

    direct = False
    reach = 20.0  # from one side of the box to the other in s, over a typical dm/ds

    #: Largest mask entry that a training starts from: nearer to 1 the sigmoid is too flat to learn.
    NEAREST = 0.9

    def __init__(self, temperature: float = 1.0) -> None:
        if not 0 < temperature < math.inf:
            raise ValueError(f"temperature must be positive, got {temperature!r}")
        self.temperature = temperature

    def scores(self, mask: Tensor) -> Tensor:
        """Return the scores at T = 1 of a mask, moved into [0.1, 0.9]."""
        return torch.logit(mask.clamp(1.0 - self.NEAREST, self.NEAREST))

    def mask(self, scores: Tensor, share: float, out: Tensor) -> Tensor:
        """Return the sigmoid in `out`."""
        return torch.mul(scores, self.temperature**-share, out=out).sigmoid_()

    def pull_back(self, slope: Tensor, mask: Tensor, share: float) -> None:
        """Multiply by dm/ds = m (1 - m) / T."""
        slope.mul_(mask).mul_(1.0 - mask)
        if self.temperature != 1.0:
            slope.mul_(self.temperature**-share)

    def project(self, scores: Tensor) -> None:
        """Leave the scores as they are."""


#: (values, density) -> the value up to which entries are dropped, shape () or (n,); None if none are.
Threshold = Callable[[Tensor, float], Tensor | None]


class Law(Protocol):
    """How lam is chosen at an update, from the state of the mask; no call waits for the device."""

    #: Whether lam follows a density.
    steers: bool

    def lam(self, gain: Tensor, slopes: Tensor, mask: Tensor, target: float, threshold: Threshold) -> Tensor:
        """Return lam, shape (), or (n,) where the granularity sets a price for every group.

        Parameters
        ----------
        gain : Tensor
            s, the running mean of -dL/dm, shape (n,): what a little more of an entry is worth. Entries that
            are out of the game have -inf.
        slopes : Tensor
            r'(m), shape (n,).
        mask : Tensor
            m, shape (n,).
        target : float
            Density wanted at present.
        threshold : callable
            Which value the granularity cuts at for a density.
        """

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed training needs: nothing, where a law has no memory of its own."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        return None


class Given(Law):
    """A lam that stays as it is; the density follows.

    Parameters
    ----------
    value : float
        lam.
    """

    steers = False

    def __init__(self, value: float) -> None:
        if not 0 < value < math.inf:
            raise ValueError(f"lam must be positive, got {value!r}")
        self.value = value

    def lam(self, gain: Tensor, slopes: Tensor, mask: Tensor, target: float, threshold: Threshold) -> Tensor:
        """Return the value given."""
        return torch.full((), self.value, dtype=gain.dtype, device=gain.device)


class Quantile(Law):
    """lam from the stationarity conditions (T6): the (1 - target) quantile of s_i / r'(m_i).

    An entry is pushed up where its gain exceeds its price, s_i > lam r'(m_i), and down where it does not.
    With this lam just the wanted share is pushed up, whatever the scale of the loss: there is no gain to tune
    and no integral that overshoots. A concave r makes the price of an entry at zero r'(0) / r'(1) times that
    of one at one, so decisions stick.
    """

    steers = True

    #: Smallest r' divided by: penalties may be flat at 1.
    FLAT = 1e-6

    def lam(self, gain: Tensor, slopes: Tensor, mask: Tensor, target: float, threshold: Threshold) -> Tensor:
        """Return the quantile, or 0 where it is negative: more than the wanted share would fall unpriced."""
        found = threshold(gain / slopes.clamp(min=self.FLAT), target)
        return gain.new_zeros(()) if found is None else found.clamp(min=0.0)


class DualAscent:
    """Dual ascent on log lam: it grows where the mask is denser than wanted and falls where it is sparser.

    It starts from the mean of |s|. The mask answers with a delay, so lam swings about the value it looks for.

    Parameters
    ----------
    ascent : float
        Largest change of log lam at an update.
    """

    steers = True

    def __init__(self, ascent: float = 0.5) -> None:
        if not ascent > 0:
            raise ValueError(f"ascent must be positive, got {ascent!r}")
        self.ascent = ascent
        self._lam: Tensor | None = None

    def lam(self, gain: Tensor, slopes: Tensor, mask: Tensor, target: float, threshold: Threshold) -> Tensor:
        """Return lam after one step of ascent."""
        if self._lam is None:
            finite = torch.nan_to_num(gain.abs(), posinf=0.0)
            self._lam = finite.mean()
        excess = torch.log(mask.mean().clamp(min=1e-12) / target).clamp(-1.0, 1.0)
        self._lam = self._lam * torch.exp(self.ascent * excess)
        return self._lam

    def state_dict(self) -> dict[str, Any]:
        """Return lam."""
        return {"lam": self._lam}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take lam back."""
        self._lam = state["lam"]


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
