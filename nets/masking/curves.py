"""Curves of a training under a mask: noted at every update of it, read when somebody asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from nets.masking.course import MaskHook

#: Bins of a histogram of mask entries over [0, 1].
BINS = 20

#: Name in a ticket's trace of the histogram of the relaxed mask just before the cut.
ENTRIES = "entries"

#: What is noted: step, density wanted, lam, mean of the mask, share of it above one half.
NAMES = ("step", "target", "lam", "mean", "above_half")


class Curves:
    """Lists of numbers by name; what still lies on a device is waited for only when it is read.

    Parameters
    ----------
    steered : bool
        Whether there is a density wanted, hence a curve "target".
    """

    def __init__(self, steered: bool = True) -> None:
        self._lists: dict[str, list[float | Tensor]] = {n: [] for n in NAMES if steered or n != "target"}
        self._read = 0

    def append(
        self, step: int, target: float, lam: float | Tensor, mean: float | Tensor, above_half: float | Tensor
    ) -> None:
        """Note how things stand; tensors are of shape ()."""
        values = (float(step), target, lam, mean, above_half)
        for name, value in zip(NAMES, values):
            if name in self._lists:
                self._lists[name].append(value)

    @property
    def trace(self) -> dict[str, list[float]]:
        """The curves, in numbers."""
        new = {name: values[self._read :] for name, values in self._lists.items()}
        there = [value for values in new.values() for value in values if isinstance(value, Tensor)]
        numbers = iter(torch.stack(there).tolist() if there else ())
        for name, values in new.items():
            self._lists[name][self._read :] = [next(numbers) if isinstance(v, Tensor) else v for v in values]
        self._read = len(self._lists["step"])
        return self._lists  # type: ignore[return-value]

    def load(self, trace: Mapping[str, Sequence[float]]) -> None:
        """Take curves back."""
        self._lists = {name: list(values) for name, values in trace.items()}
        self._read = len(self._lists["step"])


def histogram(mask: Tensor) -> list[int]:
    """Return the counts of mask entries in 20 equal bins over [0, 1]; entries outside count at the ends."""
    index = (mask.detach() * BINS).clamp_(0, BINS - 1).to(torch.uint8)  # small integers are counted faster
    counts: list[int] = torch.bincount(index, minlength=BINS).tolist()
    return counts


def traced(hook: MaskHook, mask: Tensor) -> dict[str, list[float]]:
    """Return the curves of a training and, as "entries", the histogram of its relaxed mask, shape (n,)."""
    return {name: list(values) for name, values in hook.trace.items()} | {ENTRIES: list(histogram(mask))}
