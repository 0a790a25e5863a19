"""What a method needs to know of a training, and the mask that stays or moves in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from concave_sparsity import Penalty
from nets.masking.layout import Layout
from nets.seeds import derive
from nets.tasks import Task
from nets.training import distributed
from nets.training.loop import Hook


class Weights(Protocol):
    """The maskable weights theta of a network as one flat vector, and what the network sees in their place.

    `nets.training.flat_model.FlatModel` keeps a network of our own loop so,
    `nets.masking.shadow.Shadow` any other.
    """

    layout: Layout
    n: int

    @property
    def model(self) -> nn.Module:
        """The network."""

    @property
    def weights(self) -> Tensor:
        """theta, shape (n,)."""

    @property
    def gradients(self) -> Tensor:
        """Gradient of the weights as the network sees them, shape (n,); what is written is stepped along."""

    def separate(self) -> None:
        """Let the network see weights of their own, which `show` and `write` set, in place of theta."""

    def unite(self) -> None:
        """Let the network see theta again."""

    def show(self, mask: Tensor, scale: float = 1.0) -> None:
        """Let the network see theta * mask * scale."""

    def write(self, values: Tensor) -> None:
        """Let the network see these values."""

    def scale_gradients(self, mask: Tensor, squares: Tensor | None = None) -> None:
        """Multiply the gradients by the mask, and add their squares before it to `squares`."""

    def zero(self, gone: Tensor) -> None:
        """Set theta to zero where `gone`, boolean, shape (n,), and let the optimiser forget it there."""

    def freeze(self) -> None:
        """Keep every parameter of the network as it is over the optimiser's step, up to `thaw`."""

    def thaw(self) -> None:
        """End what `freeze` began."""

    def snapshot(self) -> dict[str, Tensor]:
        """Return a copy of the network's whole state, theta in the place of masked weights."""


class Course(Protocol):
    """A training as a mask sees it; `nets.training.loop.Loop` is one and so is `nets.masking.Masking`."""

    step: int
    seed: int

    @property
    def flat(self) -> Weights:
        """The weights."""

    @property
    def steps(self) -> int:
        """Steps of the whole training."""

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch."""

    @property
    def share(self) -> float:
        """Share of the training that is done, in [0, 1]."""

    @property
    def rate_share(self) -> float:
        """Learning rate of the step under way (or just done) as a share of its peak."""

    @property
    def peak_rate(self) -> float:
        """Peak learning rate of the training."""

    @property
    def optimiser(self) -> torch.optim.Optimizer:
        """Steps on the weights."""

    @property
    def decays_frozen(self) -> float:
        """Weight decay that would move weights whose gradient is zero."""


class Entries:
    """The entries of a mask, counted, and random numbers fixed by a seed."""

    flat: Weights
    seed: int

    @property
    def layout(self) -> Layout:
        """Names and shapes of the maskable tensors, and what ties their entries."""
        return self.flat.layout

    @property
    def n(self) -> int:
        """Number of maskable weights."""
        return self.flat.n

    @property
    def entries(self) -> int:
        """Number of mask entries that may be trained on their own: the weights, or the units."""
        return self.layout.groups.entries

    def count(self, density: float) -> int:
        """Return the number of weights a ticket of this density keeps; of single ones round(density * n)."""
        count = self.layout.groups.count(density)
        if count == 0:
            raise ValueError(f"density {density:g} keeps none of the {self.n} weights; ask for a larger one")
        return count

    def generator(self, *purpose: str | int) -> torch.Generator:
        """Return a CPU generator of random numbers of its own, fixed by the seed and the purpose."""
        return torch.Generator().manual_seed(derive(self.seed, "search", *purpose))

    def refuse(self, mask: Tensor, density: float) -> None:
        """Raise AssertionError unless a mask keeps exactly what this density asks for."""
        self.layout.groups.refuse(mask, self.count(density))

    def whole(self, mask: Tensor) -> Tensor:
        """Return a mask, shape (n,), with all that its entries take along, so that its mean is a density."""
        return self.layout.groups.show(mask)


class Setting(Protocol):
    """What a mask is made from: a network, a density, options; `nets.search.Search` is one."""

    @property
    def flat(self) -> Weights:
        """The weights."""

    @property
    def layout(self) -> Layout:
        """Names and shapes of the maskable tensors, and what ties their entries."""

    @property
    def n(self) -> int:
        """Number of maskable weights."""

    @property
    def entries(self) -> int:
        """Number of mask entries."""

    @property
    def seed(self) -> int:
        """Fixes all that is random."""

    @property
    def penalty(self) -> Penalty | None:
        """r, for methods that take one."""

    @property
    def options(self) -> Mapping[str, Any]:
        """The method's options."""

    def count(self, density: float) -> int:
        """Return the number of weights that a ticket of this density keeps."""

    def generator(self, *purpose: str | int) -> torch.Generator:
        """Return random numbers of their own, fixed by the seed and the purpose."""


class Scoring(Setting, Protocol):
    """A setting with data and a loss, for criteria that look at gradients."""

    def batches(self, samples: int) -> Iterable[tuple[Any, Any]]:
        """Return training samples (inputs, targets) in batches, the same whenever asked."""

    @property
    def task(self) -> Task:
        """The loss."""

    def like_inputs(self, dtype: torch.dtype) -> Tensor:
        """Return an input of ones, shape (1, ...)."""

    def charge(self, samples: int, seconds: float = 0.0) -> None:
        """Count passes made for scores."""


class MaskHook(Protocol):
    """A hook that carries a mask through one training and cuts it to a binary one in the end."""

    @property
    def lam(self) -> float:
        """Weight of the penalty as it is at present."""

    @property
    def trace(self) -> Mapping[str, Sequence[float]]:
        """Curves of the training."""

    def final(self, loop: Course) -> Tensor:
        """Return the mask that the trained network is evaluated under, shape (n,)."""

    def show(self, loop: Course, mask: Tensor) -> None:
        """Show the network the weights under this mask."""

    def cut(self, loop: Course, count: int) -> Tensor:
        """Return the binary mask of `count` weights (or what the granularity makes of it), shape (n,)."""


def updates_at_least(interval: int, steps: int, updates: int = 20) -> int:
    """Return the interval, shorter where the training is too short for so many updates of the mask.

    Raises
    ------
    ValueError
        If the training has fewer than two steps, in which no mask can move and be judged.
    """
    if steps < 2:
        raise ValueError(
            f"a training of {steps} step is too short for a mask to move: give more epochs or smaller batches"
        )
    return max(1, min(interval, steps // updates))


def cubic(left: float) -> float:
    """Return what is left of a fall when `left` of its time is: quick at first (Zhu and Gupta 2017)."""
    return left**3


def falling_density(
    share: float, density: float, *, begin: float = 0.0, end: float = 1.0, origin: float = 1.0
) -> float:
    """Return the density wanted when `share` of a training is done, along a cubic (Zhu, Gupta 2017, eq. 1).

    Parameters
    ----------
    share : float
        Share of the training that is done, in [0, 1].
    density : float
        Density from `end` on.
    begin, end : float
        Shares of the training between which it falls, begin < end.
    origin : float
        Density up to `begin`.
    """
    if share <= begin:
        return origin  # to the last bit
    left = max(0.0, 1.0 - (share - begin) / (end - begin))
    return density + (origin - density) * cubic(left)


class SparseTraining(Hook):
    """Keep the weights outside a mask exactly zero.

    They start at zero, their gradient is zeroed before the optimiser sees it and so is the optimiser's memory
    of them, hence neither momentum, weight decay nor Adam can move them. This costs one product a step for
    all layers; the forward pass is the dense one.

    Parameters
    ----------
    mask : Tensor
        Boolean, shape (n,): True where a weight is kept.
    """

    state = ("mask",)

    lam = 0.0

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask
        self._factor = mask.to(torch.float32)
        self.trace: Mapping[str, Sequence[float]] = {}

    def start(self, loop: Course) -> None:
        """Zero the weights outside the mask."""
        self.change(loop, self.mask)

    def change(self, loop: Course, mask: Tensor) -> None:
        """Replace the mask: weights outside it become zero and the optimiser forgets them."""
        weights = loop.flat.weights
        self.mask = mask.to(weights.device)
        distributed.agree(self.mask)
        self._factor = self.mask.to(weights.dtype)
        loop.flat.zero(~self.mask)

    def after_backward(self, loop: Course) -> None:
        """Zero the gradient outside the mask."""
        loop.flat.scale_gradients(self._factor)

    def final(self, loop: Course) -> Tensor:
        """Return the mask, in numbers."""
        return self._factor

    def show(self, loop: Course, mask: Tensor) -> None:
        """Do nothing: the network sees the weights that are trained."""

    def cut(self, loop: Course, count: int) -> Tensor:
        """Return the mask."""
        return self.mask

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the mask back."""
        super().load_state_dict(state)
        self._factor = self.mask.to(torch.float32)
