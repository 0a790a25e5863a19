"""PILoT ("mask in the mirror"): weights as a product of two decayed factors whose signs can flip."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from nets.granularity.single_weights import kth_smallest
from nets.masking.course import Course, Setting
from nets.masking.scored_mask import Moment, ScoredMask
from nets.masking.selection import select
from nets.methods.method import Method, Option
from nets.search import Found, Search
from nets.search.scored_search import find_by_scores


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

    def state_dict(self) -> dict[str, Any]:
        """Return the state and that the training has begun."""
        return {**super().state_dict(), "begun": self._begun, "gain": self._gain, "lr": self.lr}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        super().load_state_dict(state)
        self._begun = state["begun"]
        self._gain, self.lr = state["gain"], state["lr"]


def mask(setting: Setting, density: float) -> MirrorMask:
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


def find(search: Search) -> Iterable[Found]:
    """Train both factors and keep the largest products."""
    return find_by_scores(search, partial(mask, search))


METHOD = Method(
    name="pilot",
    summary="weights as a product of two decayed factors, started so that signs can flip",
    reference="Jacobs, Burkholz, Mask in the mirror: implicit sparsification, ICLR 2025, arXiv 2408.09966",
    find=find,
    mask=mask,
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
