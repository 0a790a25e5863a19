"""One training on several devices: every process sees its share of each batch, gradients are added up.

Start the processes with torchrun. All parameters lie in one flat vector, so one sum over all processes a step
takes the place of the buckets of DistributedDataParallel: nothing is wrapped, every hook sees the gradient of
the whole batch, identical in all processes, and so masks, lam and tickets are identical, too. Without several
processes everything here does nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.modules.batchnorm import _BatchNorm

Value = TypeVar("Value")


def size() -> int:
    """Return the number of processes that train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Return the number of this process, from 0."""
    return dist.get_rank() if size() > 1 else 0


@contextmanager
def processes(device: str = "cpu") -> Iterator[str]:
    """Join the processes that torchrun started, and yield the device of this one; alone, yield `device`.

    Parameters
    ----------
    device : str
        "cpu", or "cuda", of which each process of a machine takes its own.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or "RANK" not in os.environ or dist.is_initialized():
        yield device
        return
    cuda = torch.device(device).type == "cuda"
    if cuda:
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield device
    finally:
        dist.destroy_process_group()


def share(x: Tensor) -> Tensor:
    """Return the part of a batch that this process works on: an equal part, or one sample more."""
    return x if size() == 1 else x.tensor_split(size())[rank()]


def add_up(*tensors: Tensor) -> None:
    """Replace each tensor by its sum over all processes, in place."""
    if size() > 1:
        for tensor in tensors:
            dist.all_reduce(tensor)


def agree(*tensors: Tensor) -> None:
    """Replace each tensor by that of the first process, in place."""
    if size() > 1:
        for tensor in tensors:
            sent = tensor.to(torch.uint8) if tensor.dtype == torch.bool else tensor.contiguous()
            dist.broadcast(sent, 0)
            if sent is not tensor:
                tensor.copy_(sent)


def on_first(act: Callable[[], Value]) -> Value:
    """Let the first process act, and return what it got, or raise what it raised, in all of them."""
    if size() == 1:
        return act()
    outcome: list[Any] = [None, None]
    if rank() == 0:
        try:
            outcome = [act(), None]
        except Exception as error:
            outcome = [None, error]
    dist.broadcast_object_list(outcome, 0)
    if outcome[1] is not None:
        raise outcome[1]
    return cast("Value", outcome[0])


@contextmanager
def whole_batch_statistics(model: nn.Module) -> Iterator[None]:
    """Let batch normalisation see the statistics of the whole batch rather than of this process's share."""
    if size() == 1:
        yield
        return
    layers = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    for layer in layers:
        layer.forward = MethodType(_forward, layer)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _forward(layer: _BatchNorm, x: Tensor) -> Tensor:
    """Do what batch normalisation does, with sums over all processes; differentiable."""
    if not (layer.training or layer.running_mean is None):
        return type(layer).forward(layer, x)
    axes = [axis for axis in range(x.dim()) if axis != 1]
    shape = [1, -1] + [1] * (x.dim() - 2)
    # Sums of the deviations from the running mean, the same in all processes, cancel less than plain sums.
    wide = x.float() if layer.running_mean is None else x.float() - layer.running_mean.clone().view(shape)
    local = torch.cat([wide.sum(axes), wide.square().sum(axes), wide.new_tensor([x.numel() / x.shape[1]])])
    total, squares, count = _Sum.apply(local).split([x.shape[1], x.shape[1], 1])  # type: ignore[no-untyped-call]
    mean = total / count
    variance = (squares / count - mean.square()).clamp(min=0.0)
    normal = (wide - mean.view(shape)) * torch.rsqrt(variance + layer.eps).view(shape)
    if layer.training and layer.running_mean is not None:
        _track(layer, layer.running_mean + mean.detach(), (variance * count / (count - 1)).detach())
    if layer.weight is not None:
        normal = normal * layer.weight.view(shape) + layer.bias.view(shape)
    result: Tensor = normal.to(x.dtype)
    return result


class _Sum(torch.autograd.Function):
    """The sum over all processes; so is its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total


def _track(layer: _BatchNorm, mean: Tensor, variance: Tensor) -> None:
    assert layer.running_mean is not None
    assert layer.running_var is not None
    assert layer.num_batches_tracked is not None
    layer.num_batches_tracked.add_(1)
    momentum = 1.0 / float(layer.num_batches_tracked) if layer.momentum is None else layer.momentum
    layer.running_mean.lerp_(mean.to(layer.running_mean.dtype), momentum)
    layer.running_var.lerp_(variance.to(layer.running_var.dtype), momentum)
