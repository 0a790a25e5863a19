"""Networks known by name or made by a factory, their initial weights fixed by a seed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from nets.data import AnyData, Dataset, Stream
from nets.data.batches import forward, mapped, tensors
from nets.masking.layout import copied
from nets.models.plain import conv, lenet_5, lenet_300_100, vgg
from nets.models.resnet import resnet_18, resnet_cifar, wide_resnet
from nets.models.vision_transformer import vit_lite
from nets.registry import models
from nets.tasks import CLASSIFICATION, Task

#: (input_shape, n_classes, width=1.0) -> network, its weights drawn from torch's global CPU generator.
Factory = Callable[..., nn.Module]


@dataclass(frozen=True)
class Architecture:
    """A network known by name.

    Parameters
    ----------
    name : str
        Lower case, words joined by hyphens.
    title : str
        What it is, in one line.
    factory : callable
        Makes it: ``factory(input_shape, n_classes, width=1.0)``; the width is a factor of all units.
    reference : str
        The paper.
    """

    name: str
    title: str
    factory: Factory
    reference: str


FRANKLE = "Frankle and Carbin, ICLR 2019"
HE = "He, Zhang, Ren and Sun, CVPR 2016"
SIMONYAN = "Simonyan and Zisserman, ICLR 2015"
ZAGORUYKO = "Zagoruyko and Komodakis, BMVC 2016"
HASSANI = "Hassani et al., arXiv 2104.05704"

ARCHITECTURES: dict[str, Architecture] = {
    architecture.name: architecture
    for architecture in (
        Architecture("lenet-300-100", "fully connected, 300 and 100 hidden units", lenet_300_100, FRANKLE),
        Architecture(
            "lenet-5", "two convolutions and 500 hidden units", lenet_5, "LeCun et al. 1998 (Caffe)"
        ),
        *(
            Architecture(
                f"conv-{d}", f"{d} convolutions, two hidden layers of 256", partial(conv, depth=d), FRANKLE
            )
            for d in (2, 4, 6)
        ),
        *(
            Architecture(
                f"resnet-{d}", f"residual, {d} layers, for CIFAR", partial(resnet_cifar, depth=d), HE
            )
            for d in (20, 32, 56)
        ),
        Architecture("resnet-18", "residual, 18 layers, stem for CIFAR", resnet_18, HE),
        Architecture(
            "resnet-18-imagenet",
            "residual, 18 layers, stem for ImageNet",
            partial(resnet_18, stem="imagenet"),
            HE,
        ),
        *(
            Architecture(
                f"vgg-{d}", f"{d} layers, batch normalisation, for CIFAR", partial(vgg, depth=d), SIMONYAN
            )
            for d in (11, 16, 19)
        ),
        *(
            Architecture(
                f"wide-resnet-{d}-{w}",
                f"residual, {d} layers, {w} times as wide",
                partial(wide_resnet, depth=d, widen=w),
                ZAGORUYKO,
            )
            for d, w in ((16, 8), (22, 2), (28, 10))
        ),
        Architecture(
            "vit-lite-6", "vision transformer, 6 blocks of width 256", partial(vit_lite, depth=6), HASSANI
        ),
    )
}


def architecture(name: str) -> Architecture:
    """Return the named architecture; underscores and capitals are forgiven.

    Raises
    ------
    ValueError
        If the name is unknown, or is that of a factory of the user's.
    """
    found = models.find(name)
    if not isinstance(found, Architecture):
        raise ValueError(f"{name!r} is a {type(found).__name__}, not an Architecture")
    return found


ModelSpec = str | nn.Module | Callable[..., nn.Module]


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's CPU generator for the duration and restore it; CUDA generators are not touched."""
    generator = torch.default_generator
    state = generator.get_state()
    generator.manual_seed(seed)
    try:
        yield
    finally:
        generator.set_state(state)


def build(
    model: ModelSpec,
    data: Sequence[int] | AnyData,
    n_classes: int | None = None,
    *,
    seed: int = 0,
    width: float = 1.0,
) -> nn.Module:
    """Build a network on the CPU, in training mode.

    Parameters
    ----------
    model : str, nn.Module or callable
        A name (see `nets.models.ARCHITECTURES`), a module (deep-copied, its weights kept), or a factory: a
        callable, or "package.module:name" of one. A factory is called with what it asks for: parameters named
        `input_shape` and `n_classes` (or `num_classes`) by name, else two required positional ones in this
        order, else nothing.
    data : Dataset or tuple of int
        The data set, which gives both; or the shape of one input.
    n_classes : int, optional
        Number of classes; needed with a shape.
    seed : int
        Fixes the initial weights to the bit (torch's CPU generator is seeded while the network is made, and
        restored). A module that is given keeps the weights it has.
    width : float
        Factor of the units of every hidden layer. A factory of your own must take a parameter `width` for it.

    Raises
    ------
    ValueError, TypeError
        If the name is unknown, the network cannot take the inputs, or its output is not (n, n_classes).
    """
    if isinstance(data, Stream):
        return _streamed(model, data, seed, width)
    if isinstance(data, Dataset):
        shape, classes = data.input_shape, data.n_classes if n_classes is None else n_classes
    elif n_classes is None:
        raise TypeError("give n_classes along with an input shape, or a data set instead of the shape")
    else:
        shape, classes = tuple(int(side) for side in data), n_classes
    task = data.task if isinstance(data, Dataset) else CLASSIFICATION
    if classes < (2 if task.targets == "classes" else 1):
        raise ValueError(f"n_classes must be at least 2, got {classes}")
    found = models.find(model) if isinstance(model, str) else model
    with seeded(seed):
        if isinstance(found, Architecture):
            return found.factory(shape, classes, width=width)
        built = _made(found, shape, classes, width)
        if not isinstance(built, nn.Module):
            raise TypeError(
                f"a model must be a torch.nn.Module or a factory of one, got {type(built).__name__}"
            )
        tokens = isinstance(data, Dataset) and data.x_train.dtype == torch.int64
        kind = torch.int64 if tokens else torch.float32
        out = _tried(built, torch.zeros((2, *shape), dtype=kind))
        if not isinstance(data, Dataset) or task.targets == "classes":
            _refuse_other_logits(out, classes)
        else:
            _refuse_unfit(out, task, data.y_train[[0, -1]])
    return built


def _streamed(model: ModelSpec, data: Stream, seed: int, width: float) -> nn.Module:
    """Return a network for data that come batch by batch, tried on the first of them."""
    with seeded(seed):
        found = models.find(model) if isinstance(model, str) else model
        if isinstance(found, Architecture):
            return found.factory(data.input_shape, data.n_classes, width=width)
        asks = [] if isinstance(found, nn.Module) else list(inspect.signature(found).parameters.values())
        plain = not any(p.name in KNOWN or p.default is p.empty for p in asks)
        shape, classes = ((), 0) if plain else (data.input_shape, data.n_classes)
        built = _made(found, shape, classes, width)
    if not isinstance(built, nn.Module):
        raise TypeError(f"a model must be a torch.nn.Module or a factory of one, got {type(built).__name__}")
    _refuse_unfit(_tried(built, data.example(2)), data.task, data.example_target(2))
    return built


#: What a factory may ask for by name.
KNOWN = ("input_shape", "n_classes", "num_classes")


def _made(model: Any, shape: tuple[int, ...], n_classes: int, width: float = 1.0) -> Any:
    if isinstance(model, nn.Module):
        if width != 1.0:
            raise ValueError(
                f"{type(model).__name__} cannot be narrowed: give a factory with a parameter width "
                "instead of a module"
            )
        return copied(model)
    if not callable(model):
        return model
    parameters = inspect.signature(model).parameters.values()
    known = {"input_shape": shape, "n_classes": n_classes, "num_classes": n_classes}
    named = {p.name: known[p.name] for p in parameters if p.name in known and p.kind is not p.POSITIONAL_ONLY}
    extra: dict[str, Any] = {}
    if width != 1.0 and any(p.name == "width" and p.kind is not p.POSITIONAL_ONLY for p in parameters):
        extra["width"] = width
    elif width != 1.0:
        name = getattr(model, "__name__", type(model).__name__)
        raise ValueError(
            f"the model {name} cannot be narrowed: its factory takes no parameter width, by which it scales "
            "its layers; add it, or leave out the control small-dense"
        )
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [p for p in parameters if p.default is p.empty and p.kind in positional]
    if named:
        return model(**named, **extra)
    return model(shape, n_classes, **extra) if len(required) == 2 else model(**extra)


def _tried(model: nn.Module, inputs: Any) -> Any:
    """Return the outputs for inputs, in evaluation mode so that nothing in the network changes."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    parameter = next(model.parameters(), None)
    device = parameter.device if parameter is not None else torch.device("cpu")
    try:
        with torch.no_grad():
            return forward(model, mapped(lambda x: x.to(device), inputs))
    except (RuntimeError, TypeError, IndexError) as error:
        shapes = " and ".join(str(tuple(x.shape[1:])) for x in tensors(inputs))
        raise ValueError(f"the model cannot take inputs of shape {shapes}: {error}") from error
    finally:
        for module, mode in modes.items():
            module.training = mode


def _refuse_other_logits(out: Any, n_classes: int) -> None:
    if not isinstance(out, torch.Tensor):
        out = getattr(out, "logits", out)
    if not isinstance(out, torch.Tensor) or out.shape != (2, n_classes):
        found = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
        raise ValueError(f"the model must return logits of shape (n, {n_classes}); for n = 2 it gave {found}")


def _refuse_unfit(out: Any, task: Task, y: Any) -> None:
    """Refuse outputs that the task's loss cannot take."""
    try:
        with torch.no_grad():
            device = next(tensors(out)).device if any(True for _ in tensors(out)) else torch.device("cpu")
            y = mapped(lambda x: x.to(device), y)
            loss = task.loss(out, y)
            task.metric.reset()
            task.metric.sums(out, y)
            task.metric.reset()
    except (RuntimeError, TypeError, IndexError, ValueError) as error:
        found = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
        shapes = " and ".join(str(tuple(x.shape)) for x in tensors(y))
        raise ValueError(
            f"the model's output {found} and targets {shapes} do not go with the task {task.name}: {error}"
        ) from error
    if not isinstance(loss, torch.Tensor) or loss.dim():
        raise ValueError(f"the loss of the task {task.name} must return one number, a tensor of shape ()")


def reinitialise(model: nn.Module, *, seed: int) -> nn.Module:
    """Return a copy of any network, drawn anew by the `reset_parameters` of its modules, in their order.

    For a network that was built by name or factory, ``build`` with another seed is the same and keeps that
    network's own initialisation.

    Raises
    ------
    ValueError
        If a module that owns parameters has no `reset_parameters`.
    """
    fresh = copied(model)
    with seeded(seed):
        for name, module in fresh.named_modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
            elif next(module.parameters(recurse=False), None) is not None:
                raise ValueError(
                    f"{name or type(module).__name__} owns parameters but has no reset_parameters(), so the "
                    "model cannot be re-initialised; give a factory instead of a module"
                )
    return fresh
