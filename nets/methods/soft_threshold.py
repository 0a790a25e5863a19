"""Soft threshold reparametrisation: thresholds of the layers are learned with the weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from nets.granularity.single_weights import kth_smallest
from nets.masking.course import Course, Setting
from nets.masking.selection import select
from nets.methods.method import Method, Option
from nets.search import Found, Search
from nets.training.loop import Hook


class SoftThreshold(Hook):
    """Show the network sign(w) max(|w| - a_l, 0), with a threshold a_l = c exp(t_l) for every layer l.

    The relative thresholds t are trained by gradient descent, as in the paper; their common factor c, which
    the paper leaves to weight decay, so that the density cannot be asked for, is set at every step such that
    the wanted share of weights stays above its threshold. That share falls from 1 along a cubic.

    Parameters
    ----------
    layers : sequence of int
        Number of weights of each layer.
    count : int
        Weights above their threshold in the end.
    lr : float
        Learning rate of t at the peak of the training's schedule, which it follows.
    descent : float
        Share of the training over which the number falls.
    """

    lam = 0.0

    def __init__(self, layers: tuple[int, ...], count: int, lr: float, descent: float) -> None:
        self.layers = list(layers)
        self.n = sum(layers)
        self._sizes = torch.tensor(layers)
        self.count = count
        self.lr = lr
        self.descent = descent
        self.thresholds = torch.zeros(len(layers))
        self._alpha = torch.empty(0)
        self._alive = torch.empty(0)
        self.trace: Mapping[str, Sequence[float]] = {}

    def start(self, loop: Course) -> None:
        """Show the network the thresholded weights."""
        flat = loop.flat
        self._sizes = self._sizes.to(flat.weights.device)
        self.thresholds = self.thresholds.to(flat.weights)
        flat.separate()
        self._refresh(loop)

    def relative(self, weights: Tensor) -> Tensor:
        """Return |w| / exp(t_l), by which weights of all layers are compared."""
        return weights.abs() / self._each(self.thresholds.exp())

    def _each(self, values: Tensor) -> Tensor:
        """Return the value of a weight's layer for every weight; told the size, the device is not asked."""
        return values.repeat_interleave(self._sizes, output_size=self.n)

    def _refresh(self, loop: Course) -> None:
        flat = loop.flat
        left = max(0.0, 1.0 - loop.share / self.descent)
        keep = self.count + round((self.n - self.count) * left**3)
        relative = self.relative(flat.weights)
        common = kth_smallest(relative, self.n - keep) if keep < self.n else relative.new_zeros(())
        self._alpha = common * self.thresholds.exp()
        size = flat.weights.abs() - self._each(self._alpha)
        self._alive = size > 0
        flat.write(flat.weights.sign().mul_(size.clamp_(min=0.0)))

    def after_backward(self, loop: Course) -> None:
        """Turn the gradient of the effective weights into those of the weights and of the thresholds."""
        flat = loop.flat
        flat.gradients.mul_(self._alive)
        pull = [p.sum() for p in torch.split(flat.gradients * flat.weights.sign(), self.layers)]
        rate = self.lr * loop.rate_share
        self.thresholds.add_(torch.stack(pull) * self._alpha, alpha=rate)

    def after_step(self, loop: Course) -> None:
        """Show the network the new effective weights."""
        self._refresh(loop)

    def final(self, loop: Course) -> Tensor:
        """Return which weights are above their threshold, in numbers."""
        return self._alive.to(self.thresholds.dtype)

    def show(self, loop: Course, mask: Tensor) -> None:
        """Do nothing: the network sees the thresholded weights."""

    def cut(self, loop: Course, count: int) -> Tensor:
        """Return the binary mask of the `count` weights that are largest beside their threshold."""
        return select(self.relative(loop.flat.weights), loop.flat.layout, count)

    def state_dict(self) -> dict[str, Any]:
        """Return the relative thresholds."""
        return {"thresholds": self.thresholds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        self.thresholds = state["thresholds"]


def mask(setting: Setting, density: float) -> SoftThreshold:
    """Return the hook."""
    o = setting.options
    return SoftThreshold(setting.layout.sizes, setting.count(density), o["lr"], o["descent"])


def find(search: Search) -> Iterable[Found]:
    """Train weights and thresholds once for every density."""

    def one(density: float) -> Found:
        hook = mask(search, density)
        loop = search.train(hook)
        report = search.reported()
        found = hook.cut(loop, search.count(density))
        search.flat.unite()
        return search.found(found, density, report=report)

    return search.each(one)


METHOD = Method(
    name="soft-threshold",
    summary="weights under learned thresholds of the layers, whose common factor follows the density",
    reference="Kusupati et al., Soft threshold weight reparameterization, ICML 2020, arXiv 2002.03231",
    find=find,
    mask=mask,
    cost=lambda density, epochs, options: epochs,
    options=(
        Option("lr", 0.1, "peak learning rate of the logarithms of the thresholds"),
        Option("descent", 0.7, "share of the training over which the density falls"),
    ),
)
