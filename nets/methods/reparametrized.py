"""Weights as functions of what training shrinks: under soft thresholds, as products of factors (PILoT)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from nets.granularity.single_weights import kth_smallest
from nets.masking.course import Course, Setting, cubic
from nets.masking.scored_mask import Moment, ScoredMask
from nets.masking.selection import select
from nets.methods.method import Method, Option
from nets.search import Found, Search
from nets.search.rounds import find_by_scores
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

    state = ("thresholds",)

    lam = 0.0

    def __init__(self, layers: tuple[int, ...], count: int, lr: float, descent: float) -> None:
        self.layers = list(layers)
        self.n = sum(layers)
        self._sizes = torch.tensor(layers)
        self.count = count
        self.lr = lr
        self.descent = descent
        self.thresholds = torch.zeros(len(layers))
        self.levels = torch.empty(0)
        self.alive = torch.empty(0)
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
        keep = self.count + round((self.n - self.count) * cubic(left))
        relative = self.relative(flat.weights)
        common = kth_smallest(relative, self.n - keep) if keep < self.n else relative.new_zeros(())
        self.levels = common * self.thresholds.exp()
        size = flat.weights.abs() - self._each(self.levels)
        self.alive = size > 0
        flat.write(flat.weights.sign().mul_(size.clamp_(min=0.0)))

    def after_backward(self, loop: Course) -> None:
        """Turn the gradient of the effective weights into those of the weights and of the thresholds."""
        flat = loop.flat
        flat.gradients.mul_(self.alive)
        pull = [p.sum() for p in torch.split(flat.gradients * flat.weights.sign(), self.layers)]
        rate = self.lr * loop.rate_share
        self.thresholds.add_(torch.stack(pull) * self.levels, alpha=rate)

    def after_step(self, loop: Course) -> None:
        """Show the network the new effective weights."""
        self._refresh(loop)

    def final(self, loop: Course) -> Tensor:
        """Return which weights are above their threshold, in numbers."""
        return self.alive.to(self.thresholds.dtype)

    def show(self, loop: Course, mask: Tensor) -> None:
        """Do nothing: the network sees the thresholded weights."""

    def cut(self, loop: Course, count: int) -> Tensor:
        """Return the binary mask of the `count` weights that are largest beside their threshold."""
        return select(self.relative(loop.flat.weights), loop.flat.layout, count)


def soft_threshold_mask(setting: Setting, density: float) -> SoftThreshold:
    """Return the hook."""
    o = setting.options
    return SoftThreshold(setting.layout.sizes, setting.count(density), o["lr"], o["descent"])


def find_soft_threshold(search: Search) -> Iterable[Found]:
    """Train weights and thresholds once for every density."""

    def one(density: float) -> Found:
        hook = soft_threshold_mask(search, density)
        loop = search.train(hook)
        report = search.reported()
        found = hook.cut(loop, search.count(density))
        search.flat.unite()
        return search.found(found, density, report=report)

    return search.each(one)


SOFT_THRESHOLD = Method(
    name="soft-threshold",
    summary="weights under learned thresholds of the layers, whose common factor follows the density",
    reference="Kusupati et al., Soft threshold weight reparameterization, ICML 2020, arXiv 2002.03231",
    find=find_soft_threshold,
    mask=soft_threshold_mask,
    cost=lambda density, epochs, options: epochs,
    options=(
        Option("lr", 0.1, "peak learning rate of the logarithms of the thresholds"),
        Option("descent", 0.7, "share of the training over which the density falls"),
    ),
)


def balanced_factors(product: Tensor, gap: float) -> tuple[Tensor, Tensor]:
    """Return (m, w) with m w = product and m^2 - w^2 = 2 gap, m > 0.

    Under gradient flow the difference of the squares is conserved up to decay (Jacobs, Burkholz 2025,
    section 3), so that with a positive gap w can pass through zero: the sign is free to flip.
    """
    root = torch.sqrt(product.square() + gap**2)
    larger = torch.sqrt(root + product.abs())
    other = gap / larger  # sqrt(root - |product|) without cancellation
    mask, weight = (larger + other) / math.sqrt(2), (larger - other) / math.sqrt(2)
    return mask, weight * product.sign()


class MirrorMask(ScoredMask):
    """A factor m beside the weights w; both are decayed by lam, which is turned off in the second half.

    Decay of both factors acts on the product x = m w as a penalty that moves from l2 to l1 as it accumulates
    (mirror flow with a time-varying potential). As in the paper lam is high in the first half of the training
    and falls off in the second. Different here, as the paper's trainings are 20 times longer:

    * The paper raises lam while the l1 norm of x is above a constant that is tuned for a density, epoch by
      epoch. Here lam follows the (1 - target) quantile of the averaged |dL/dx|, times `strength`: where the
      flow stands still, |dL/dx| = lam at every x that is not zero and |dL/dx| <= lam at zero, so just the
      wanted share can hold out against the decay.
    * Decay has no time to bring the others near zero, so the cut would hurt. Every `interval` steps, factor
      w of the smallest products is set to zero, along the falling target; m stays, so they may grow again.

    Parameters
    ----------
    product : Tensor
        Initial weights of the network, shape (n,).
    gap : float
        See `balanced_factors`.
    density, **settings
        See `ScoredMask`.
    count : int
        Products that are left in the end.
    strength : float
        Factor of lam; above 1, as a short training leaves the decay little time.
    memory : float
        Weight of a step in the running mean of dL/dx.
    fade : float
        Factor of lam at each of its updates in the second half of the training.
    """

    state = ("_begun", "_gain", "lr")

    #: A factor is no mask: what counts as kept is what is not zero.
    halfway = 0.0

    def __init__(
        self,
        product: Tensor,
        gap: float,
        *,
        density: float,
        count: int,
        strength: float = 1.0,
        memory: float = 0.02,
        fade: float = 0.9,
        **settings: Any,
    ) -> None:
        if not gap > 0:
            raise ValueError(f"gap must be positive, got {gap!r}")
        if not 0 <= fade <= 1:
            raise ValueError(f"fade must be in [0, 1], got {fade!r}")
        factor, self._weight = balanced_factors(product, gap)

        def identity(scores: Tensor, moment: Moment) -> Tensor:
            return scores * 1.0

        def decay(scores: Tensor, moment: Moment) -> Tensor:
            return scores.square() / 2

        super().__init__(factor, identity, lr=1.0, cost=decay, density=density, **settings)
        self._begun = False
        self.count = count
        self.strength = strength
        self.memory = memory
        self.fade = fade
        self._gain = torch.zeros_like(product)

    def start(self, loop: Course) -> None:
        """Give the network its factor of the initial weights; both factors learn at the training's rate."""
        if not self._begun:
            self.lr = loop.peak_rate
            loop.flat.separate()
            loop.flat.weights.copy_(self._weight)
            self._begun = True
        super().start(loop)

    def after_backward(self, loop: Course) -> None:
        """Add the decay of the weights to their gradient."""
        self._gain.lerp_(loop.flat.gradients, self.memory)
        super().after_backward(loop)
        loop.flat.gradients.add_(loop.flat.weights, alpha=self.lam)

    def after_step(self, loop: Course) -> None:
        """Set the smallest products to zero when it is due, and step the factor m."""
        if loop.step % self.interval == 0 or loop.step == loop.steps:
            self._drop(loop)
        super().after_step(loop)

    def _drop(self, loop: Course) -> None:
        flat = loop.flat
        n = flat.weights.numel()
        keep = max(self.count, round(self.target(loop.share) * n))
        if keep < n:
            sizes = (flat.weights * self.scores.detach()).abs()
            flat.zero(~select(sizes, flat.layout, keep))

    def density_now(self, loop: Course) -> float:
        """Return the share of products that are not zero."""
        return float((loop.flat.weights * self._mask.detach() != 0).float().mean())

    def ranked(self, loop: Course) -> Tensor:
        """Return the sizes of the products."""
        return (loop.flat.weights * self._mask.detach()).abs()

    def final(self, loop: Course) -> Tensor:
        """Return the factor m, zero where the product is."""
        return self._mask.detach() * (loop.flat.weights != 0)

    def show(self, loop: Course, mask: Tensor) -> None:
        """Show the network the weights under this factor; of a binary mask, the products inside it."""
        super().show(loop, self._mask.detach() * mask if mask.dtype == torch.bool else mask)

    def _update_lam(self, loop: Course, loss_slope: Tensor, target: float) -> None:
        """Set lam to `strength` times the gain of the weakest weight that is wanted, or let it fall."""
        if loop.share >= 0.5:
            self.lam *= self.fade
            return
        dropped = min(self._gain.numel(), round((1.0 - target) * self._gain.numel()))
        if dropped:
            self.lam = self.strength * kth_smallest(self._gain.abs(), dropped).item()


def pilot_mask(setting: Setting, density: float) -> MirrorMask:
    """Return the hook for a network that stands at its initial weights."""
    o = setting.options
    return MirrorMask(
        setting.flat.weights.clone(),
        o["gap"],
        density=density,
        count=setting.count(density),
        fade=o["fade"],
        descent=o["descent"],
        strength=o["strength"],
    )


def find_pilot(search: Search) -> Iterable[Found]:
    """Train both factors and keep the largest products."""
    return find_by_scores(search, partial(pilot_mask, search))


PILOT = Method(
    name="pilot",
    summary="weights as a product of two decayed factors, started so that signs can flip",
    reference="Jacobs, Burkholz, Mask in the mirror: implicit sparsification, ICLR 2025, arXiv 2408.09966",
    find=find_pilot,
    mask=pilot_mask,
    cost=lambda density, epochs, options: epochs,
    needs=("gradients",),
    options=(
        Option("gap", 0.1, "half the difference of the squared factors at the start"),
        Option("strength", 2.0, "lam over the gain of the weakest weight that is wanted"),
        Option("fade", 0.9, "factor of lam, every ten steps in the second half of the training"),
        Option("descent", 0.7, "share of the training over which the density wanted falls"),
    ),
    revision=1,
)
