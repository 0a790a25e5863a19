"""The optimiser of the one training loop, torch's own on one flat parameter, and its learning rates."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from nets import registry
from nets.configuration import Training
from nets.registry import schedules

#: Devices on which torch has fused optimisers.
FUSED = ("cpu", "cuda", "xpu", "mps")


def optimiser(parameter: nn.Parameter, training: Training) -> torch.optim.Optimizer:
    """Return the optimiser that `training` names, stepping on one flat parameter.

    One of the user's own is a function (parameters, training) -> torch optimiser.
    """
    made: torch.optim.Optimizer = registry.optimisers.find(training.optimiser)([parameter], training)
    return made


Kind = TypeVar("Kind", bound=torch.optim.Optimizer)


def _uncompiled(kind: type[Kind]) -> type[Kind]:
    """Return torch's optimiser without what tells torch's compiler to leave it alone.

    Only to say so it loads the compiler, which takes as long as torch itself. No step of ours is compiled:
    `Training.compile` is about forward and backward.
    """
    names = ("add_param_group", "state_dict", "load_state_dict", "zero_grad", "step")
    plain: dict[str, Any] = {name: inspect.unwrap(getattr(kind, name)) for name in names}
    return type(kind.__name__, (kind,), plain | {"step": torch.no_grad()(plain["step"])})


SGD = _uncompiled(torch.optim.SGD)
Adam = _uncompiled(torch.optim.Adam)
AdamW = _uncompiled(torch.optim.AdamW)


def sgd(parameters: list[nn.Parameter], training: Training) -> torch.optim.Optimizer:
    """Return stochastic gradient descent with momentum."""
    return SGD(
        parameters,
        lr=training.lr,
        momentum=training.momentum,
        nesterov=training.nesterov,
        weight_decay=training.weight_decay,
        fused=_fused(parameters),
    )


def adam(parameters: list[nn.Parameter], training: Training) -> torch.optim.Optimizer:
    """Return Adam."""
    return _adaptive(Adam, parameters, training)


def adamw(parameters: list[nn.Parameter], training: Training) -> torch.optim.Optimizer:
    """Return Adam with decoupled weight decay."""
    return _adaptive(AdamW, parameters, training)


def _adaptive(
    kind: type[torch.optim.Adam], parameters: list[nn.Parameter], training: Training
) -> torch.optim.Optimizer:
    return kind(
        parameters,
        lr=training.lr,
        betas=(training.momentum, 0.999),
        weight_decay=training.weight_decay,
        fused=_fused(parameters),
    )


def _fused(parameters: list[nn.Parameter]) -> bool:
    return all(p.device.type in FUSED and p.dtype in (torch.float32, torch.float64) for p in parameters)


#: Running means of gradients, in the words of torch's optimisers, and steps between two looks at them.
MEANS, LOOK = ("momentum_buffer", "exp_avg", "grad_avg"), 100


def flush_denormals(optimiser: torch.optim.Optimizer) -> None:
    """Set running means of gradients to zero where they are too small to be normal numbers.

    Under a mask entry of zero a weight has no gradient, and its momentum shrinks by a constant factor at each
    step; after some 800 it is below 1e-38, where processors take many times as long over a number.
    """
    for state in optimiser.state.values():  # some keep plain values there besides
        for mean in map(state.get, MEANS) if isinstance(state, dict) else ():
            if isinstance(mean, Tensor) and mean.device.type == "cpu" and mean.is_floating_point():
                below = torch.tensor(torch.finfo(mean.dtype).tiny, dtype=mean.dtype)
                torch.hardshrink(mean, float(below.nextafter(torch.zeros_like(below))), out=mean)


#: Share of the peak at which the one-cycle schedule starts and (far below) at which it ends.
ONE_CYCLE_START, ONE_CYCLE_END, ONE_CYCLE_PEAK = 1 / 25, 1e-4, 0.3


def constant(share: float) -> float:
    """Keep the peak."""
    return 1.0


def cosine(share: float) -> float:
    """Fall from the peak to zero along half a cosine (Loshchilov and Hutter 2017)."""
    return 0.5 * (1.0 + math.cos(math.pi * share))


def linear(share: float) -> float:
    """Fall from the peak to zero along a line."""
    return 1.0 - share


def one_cycle(share: float) -> float:
    """Rise to the peak over the first 30%, then fall to nothing, both along half a cosine (Smith 2018)."""
    if share < ONE_CYCLE_PEAK:
        low, high, part = ONE_CYCLE_START, 1.0, share / ONE_CYCLE_PEAK
    else:
        low, high, part = 1.0, ONE_CYCLE_END, (share - ONE_CYCLE_PEAK) / (1.0 - ONE_CYCLE_PEAK)
    return high + 0.5 * (low - high) * (1.0 + math.cos(math.pi * part))


def step(i: int, steps: int, milestones: Sequence[float]) -> int:
    """Return how many milestones step i of a training has passed: the rate has dropped as often."""
    return sum(i >= round(m * steps) for m in sorted(milestones))


def learning_rates(
    schedule: str,
    peak: float,
    steps: int,
    *,
    warm_up: int = 0,
    milestones: Sequence[float] = (0.5, 0.75),
    factor: float = 0.1,
) -> list[float]:
    """Return the learning rate of every step.

    Parameters
    ----------
    schedule : str
        "constant", "cosine", "linear", "one-cycle", "step", or the name or "package.module:function" of one's
        own: share of the training done -> share of the peak rate.
    peak : float
        Largest learning rate.
    steps : int
        Number of steps of the whole training.
    warm_up : int
        Steps over which the rate first rises linearly to its scheduled value.
    milestones : sequence of float
        For "step": shares of the training at which the rate is multiplied by `factor`.
    factor : float
        For "step": the multiplier.

    Returns
    -------
    list of float
        Length `steps`.
    """
    shape = schedules.find(schedule)
    if shape is step:
        rates = [peak * factor ** step(i, steps, milestones) for i in range(steps)]
    else:
        rates = [peak * float(shape(i / max(1, steps - 1))) for i in range(steps)]
    for i in range(min(warm_up, steps)):
        rates[i] *= (i + 1) / (warm_up + 1)
    return rates
