"""Curves of a training under a mask: noted at every update of it, read when somebody asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

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
