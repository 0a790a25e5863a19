"""A step of SGD on weights under a mask in one pass over the flat vectors, on a processor.

In separate calls the step reads and writes the vectors of gradients, squares, mask, momentum, weights and
effective weights sixteen times in all, which takes longer than the arithmetic; in one pass it is ten times,
as often as the unmasked step takes with torch's calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nets.masking.course import Course
from nets.masking.shadow import Shadow
from nets.training.flat_model import FlatModel

TYPES = (torch.float32, torch.float64)


def in_one_pass(loop: Course) -> bool:
    """Return whether `step` can act: torch's own SGD with momentum, a processor, float32 or float64.

    In a loop of the user's the optimiser must be at its defaults besides, and have no step hooks but ours:
    they would find no gradients.
    """
    flat, optimiser = loop.flat, loop.optimiser
    if type(optimiser) is not torch.optim.SGD:  # one derived from it may step otherwise
        return False
    if isinstance(flat, Shadow):
        groups = [optimiser.param_groups[i] for i in set(flat.places)]
        hooks = (optimiser._optimizer_step_pre_hooks, optimiser._optimizer_step_post_hooks)
        if any(len(ours) > 1 for ours in hooks) or any(g.get("foreach") or g.get("fused") for g in groups):
            return False
        return all(map(_usual, groups)) and flat.plain()
    return (
        isinstance(flat, FlatModel)
        and _usual(optimiser.param_groups[0])
        and flat.parameter.device.type == "cpu"
        and flat.parameter.dtype in TYPES
    )


def _usual(group: Mapping[str, Any]) -> bool:
    """Return whether a group of SGD asks for what the pass does."""
    special = ("dampening", "maximize", "differentiable")
    return group["momentum"] > 0 and not isinstance(group["lr"], Tensor) and not any(map(group.get, special))


def step(loop: Course, mask: Tensor, squares: Tensor | None = None) -> None:
    """Step the optimiser on the weights theta of which the network sees theta * mask.

    The same as, up to rounding, ``squares += gradients**2; gradients *= mask``, the step of the optimiser,
    and ``effective = weights * mask``. The momentum stays in the optimiser's state. In our own loop gradients
    are zeroed; in a user's they stay, and the optimiser leaves the masked parameters out.

    Parameters
    ----------
    loop : Course
        With gradients of the effective weights; `in_one_pass` holds for it.
    mask : Tensor
        Shape (n,).
    squares : Tensor, optional
        Running sum of squared gradients of the effective weights, shape (n,), changed in place. Without, of
        networks that see theta itself: it is kept zero outside the mask.
    """
    from nets.masking.kernels import held_sgd, masked_sgd

    flat, optimiser = loop.flat, loop.optimiser
    if isinstance(flat, FlatModel):
        momenta, rates = _momenta(optimiser, flat.parameter), _rates(optimiser.param_groups[0], mask)
        vectors = (flat.gradients_of_all, flat.parameter, momenta, flat.effective, mask, squares)
        arguments: list[Any] = [*_arrays(*vectors), *rates, True]
        masked_sgd(*arguments)
        return
    assert isinstance(flat, Shadow)
    for p, place, (theta, *others) in flat.pieces(mask) if squares is None else flat.pieces(mask, squares):
        if p.grad is None:
            continue
        gradient, momenta = _arrays(p.grad, _momenta(optimiser, p))
        rates = _rates(optimiser.param_groups[place], mask)
        if squares is None:
            arguments = [gradient, theta, momenta, others[1], *rates]
            held_sgd(*arguments)
        else:
            arguments = [gradient, theta, momenta, *others, *rates, False]
            masked_sgd(*arguments)
    flat.stepped()


def _momenta(optimiser: torch.optim.Optimizer, p: nn.Parameter) -> Tensor:
    state = optimiser.state[p]
    if state.get("momentum_buffer") is None:
        state["momentum_buffer"] = torch.zeros_like(p, memory_format=torch.contiguous_format)
    momenta: Tensor = state["momentum_buffer"]
    return momenta


def _rates(group: Mapping[str, Any], like: Tensor) -> tuple[Any, ...]:
    kind: Any = np.float32 if like.dtype == torch.float32 else np.float64
    return *(kind(group[name]) for name in ("lr", "momentum", "weight_decay")), bool(group["nesterov"])


def _arrays(*tensors: Any) -> list[Any]:
    return [tensor.detach().view(-1).numpy() for tensor in tensors]
