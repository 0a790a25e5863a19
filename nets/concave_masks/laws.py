"""Laws of lam: how it is steered to the density that is wanted, or given."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

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
        """Return what a resumed training needs."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""


class Given:
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

    def state_dict(self) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take nothing."""


class Quantile:
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

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: the law has no memory of its own."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take nothing."""


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
