"""Scores by which weights are ranked: magnitude, chance, and those computed from gradients."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from nets.data.batches import forward, size
from nets.masking.course import Scoring, Setting
from nets.masking.layout import Layout
from nets.search.search import timed
from nets.seeds import derive
from nets.tasks.losses import prediction

#: A criterion returns scores of shape (n,) for the network as it stands in ``setting.flat``; larger is kept.
Criterion = Callable[[Any], Tensor]


def magnitude(setting: Setting) -> Tensor:
    """Absolute value of the weight."""
    return setting.flat.weights.abs()


def random(setting: Setting) -> Tensor:
    """Uniform random numbers, fixed by the seed."""
    scores = torch.rand(setting.n, generator=setting.generator("random"), dtype=torch.float64)
    return scores.to(setting.flat.weights.device)


def snip(search: Scoring, samples: int = 1280) -> Tensor:
    """Return the connection sensitivities |theta_i dL/dtheta_i|.

    Lee, Ajanthan, Torr, ICLR 2019, eq. 5, without the normalisation, which does not change the ranking.

    Parameters
    ----------
    search : Scoring
        The network at its present weights, and the data.
    samples : int
        Training samples, drawn by the seed, over which the loss is averaged.

    Returns
    -------
    Tensor
        Shape (n,), not negative.
    """
    seconds = timed()
    model, tensors = _working_copy(search)
    gradient = torch.zeros(search.n, device=search.flat.weights.device)
    task, total, seen = search.task, 0, 0
    for x, y in search.batches(samples):
        loss = task.total(_output(search, model, x), y)
        gradient += search.layout.join(dict(zip(tensors, torch.autograd.grad(loss, list(tensors.values())))))
        total += task.count(y)
        seen += size(y)
    search.charge(seen, seconds())
    return (search.flat.weights * gradient).abs_().div_(float(total))


def grasp(search: Scoring, samples: int = 1280, temperature: float = 200.0) -> Tensor:
    """Return theta_i (H g)_i, large where removing the weight would lower the norm of the gradient.

    H and g are the Hessian and the gradient of the task's loss, at logits divided by `temperature` (Wang,
    Zhang, Grosse, ICLR 2020, eq. 8; the paper removes the largest of -theta H g).

    Parameters
    ----------
    search : Scoring
        The network at its present weights, and the data.
    samples : int
        Training samples, drawn by the seed, over which the loss is averaged.
    temperature : float
        Divides the logits; outputs that are none stay as they are.

    Returns
    -------
    Tensor
        Shape (n,), of either sign.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature!r}")
    seconds = timed()
    model, tensors = _working_copy(search)
    parameters = list(tensors.values())
    gradient = [torch.zeros_like(p) for p in parameters]
    task, total, seen = search.task, 0, 0
    for x, y in search.batches(samples):
        loss = task.total(task.cooled(_output(search, model, x), temperature), y)
        for g, part in zip(gradient, torch.autograd.grad(loss, parameters)):
            g += part
        total += task.count(y)
        seen += size(y)
    product = torch.zeros(search.n, device=search.flat.weights.device)
    for x, y in search.batches(samples):
        loss = task.total(task.cooled(_output(search, model, x), temperature), y)
        parts = torch.autograd.grad(loss, parameters, create_graph=True)
        inner = torch.stack([(g * part).sum() for g, part in zip(gradient, parts)]).sum()
        product += search.layout.join(dict(zip(tensors, torch.autograd.grad(inner, parameters))))
    search.charge(3 * seen, seconds())
    return (search.flat.weights * product).div_(float(total) ** 2)


def synflow(search: Scoring, mask: Tensor) -> Tensor:
    """Return the synaptic flow |theta_i| dR/d|theta_i|.

    R is the sum of the outputs of the network of absolute weights at the input of ones; no data is used
    (Tanaka, Kunin, Yamins, Ganguli, NeurIPS 2020, eq. 3). In float64, as products over many layers leave the
    range of float32; batch normalisation acts as the affine map of its running statistics.

    Parameters
    ----------
    search : Scoring
        The network at its present weights.
    mask : Tensor
        Boolean, shape (n,): the weights that are still there; the others count as zero.

    Returns
    -------
    Tensor
        Shape (n,), float64, not negative; zero outside the mask.
    """
    model, tensors = _working_copy(search, torch.float64)
    model.eval()
    with torch.no_grad():
        for p in model.parameters():
            p.abs_()
        masks = search.layout.split(mask)
        for name, p in tensors.items():
            p.mul_(masks[name])
    ones = search.like_inputs(torch.float64)
    flow = prediction(model(ones)).sum()
    gradient = search.layout.join(dict(zip(tensors, torch.autograd.grad(flow, list(tensors.values())))))
    return gradient.mul_(search.layout.join({n: p.detach() for n, p in tensors.items()})).abs_()


def _working_copy(
    search: Scoring, dtype: torch.dtype | None = None
) -> tuple[nn.Module, Mapping[str, nn.Parameter]]:
    """Return a copy of the network, in training mode, and its maskable parameters by name."""
    model = copy.deepcopy(search.flat.model)
    if dtype is not None:
        model = model.to(dtype)
    model.train()
    parameters = dict(model.named_parameters())
    layout: Layout = search.layout
    return model, {name: parameters[name] for name in layout.names}


def _output(search: Scoring, model: nn.Module, x: Any) -> Any:
    """Return the output; dropout draws from a stream of the search, the same whenever it is asked."""
    device = search.flat.weights.device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(derive(search.seed, "search", "dropout"))
        return forward(model, x)
