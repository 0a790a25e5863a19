"""Build a network by name, by factory, or from a module, with its initial weights fixed by a seed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from nets.models.registry import architecture

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


def build(model: ModelSpec, data: Any, n_classes: int | None = None, *, seed: int = 0) -> nn.Module:
    """Build a network on the CPU.

    Parameters
    ----------
    model : str, nn.Module or callable
        A name (see `nets.models.registry.ARCHITECTURES`), a module (deep-copied, its weights kept), a
        "package.module:factory" string or a callable ``factory(input_shape, n_classes)``.
    data : tuple of int or Dataset
        Shape of one input, or a data set, which gives shape and number of classes.
    n_classes : int, optional
        Number of classes; needed with a shape.
    seed : int
        Fixes the initial weights to the bit; torch's global generator is left as it was.
    """
    if isinstance(model, nn.Module):
        return copy.deepcopy(model)
    shape = data.input_shape if hasattr(data, "input_shape") else tuple(data)
    classes = data.n_classes if n_classes is None and hasattr(data, "n_classes") else n_classes
    if classes is None:
        raise ValueError("give n_classes along with an input shape, or a data set instead of the shape")
    factory = architecture(model).factory if isinstance(model, str) else model
    with seeded(seed):
        return factory(shape, classes)
