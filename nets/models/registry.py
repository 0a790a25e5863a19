"""The networks known by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from nets.models import lenet

Factory = Callable[[tuple[int, ...], int], nn.Module]


@dataclass(frozen=True)
class Architecture:
    """A network known by name; `factory(input_shape, n_classes)` draws from torch's global generator."""

    name: str
    title: str
    factory: Factory
    reference: str


ARCHITECTURES: dict[str, Architecture] = {
    a.name: a
    for a in (
        Architecture(
            "lenet-300-100",
            "fully connected, 300 and 100 hidden units",
            lenet.lenet_300_100,
            "LeCun et al. 1998; Frankle, Carbin 2019",
        ),
    )
}


def architecture(name: str) -> Architecture:
    """Return the named architecture; underscores and capitals are forgiven.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    key = name.strip().lower().replace("_", "-")
    if key not in ARCHITECTURES:
        raise ValueError(
            f"unknown model {name!r}; choose one of {', '.join(ARCHITECTURES)}, "
            f"or give 'package.module:factory'"
        )
    return ARCHITECTURES[key]
