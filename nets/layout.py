"""Which tensors of a network are masked, and how they lie behind one another in one flat vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import accumulate
from math import prod
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from nets.granularity.groups import Groups

#: Layers whose weight is masked by default.
MASKED_LAYERS = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)


def maskable(
    model: nn.Module, include: str | Sequence[str] = (), exclude: str | Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the names of the parameters that are masked.

    Parameters
    ----------
    model : Module
        Any network.
    include : str or sequence of str
        Glob patterns over the names of all trained parameters, e.g. ``"encoder.*.weight"``; they replace the
        default rule (weights of linear and convolutional layers, no biases, no normalisation).
    exclude : str or sequence of str
        Glob patterns of names to leave unmasked.

    Returns
    -------
    tuple of str
        In the order of ``model.named_parameters()``.

    Raises
    ------
    ValueError
        If a pattern matches nothing, or nothing is left to mask.
    """
    include = (include,) if isinstance(include, str) else include
    exclude = (exclude,) if isinstance(exclude, str) else exclude
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    if include:
        names = [name for name in trained if _matches(name, include)]
    else:
        layers = {
            f"{prefix}.weight" if prefix else "weight"
            for prefix, module in model.named_modules()
            if isinstance(module, MASKED_LAYERS) and module._parameters.get("weight") is not None
        }
        names = [name for name in trained if name in layers]
    for pattern in (*include, *exclude):
        if not any(fnmatchcase(name, pattern) for name in trained):
            raise ValueError(
                f"pattern {pattern!r} matches no trained parameter; there are {', '.join(trained) or 'none'}"
            )
    names = [name for name in names if not _matches(name, exclude)]
    if not names:
        raise ValueError(
            f"nothing to mask in {type(model).__name__}: it has no linear or convolutional weight left; "
            "name the parameters by include patterns"
        )
    return tuple(names)


def tied(model: nn.Module) -> dict[str, str]:
    """Return the name under which `named_parameters` lists each parameter, by all names that it goes by."""
    first = {id(p): name for name, p in model.named_parameters()}
    return {name: first[id(p)] for name, p in model.named_parameters(remove_duplicate=False)}


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


@dataclass(frozen=True)
class Layout:
    """Tensors behind one another in one flat vector.

    Parameters
    ----------
    names : tuple of str
        Names of the tensors.
    shapes : tuple of tuple of int
        Their shapes.
    groups : Groups, optional
        Which entries of a mask are tied to one another; None: every weight has an entry of its own.
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    groups: Groups | None = field(default=None, compare=False)

    @classmethod
    def of(cls, model: nn.Module, names: Sequence[str]) -> Layout:
        """Return the layout of the parameters `names` of `model`."""
        parameters = dict(model.named_parameters())
        return cls(tuple(names), tuple(tuple(parameters[name].shape) for name in names))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of entries of each tensor."""
        return tuple(prod(shape) for shape in self.shapes)

    @property
    def offsets(self) -> tuple[int, ...]:
        """Where each tensor starts, and the total length at the end."""
        return (0, *accumulate(self.sizes))

    @property
    def total(self) -> int:
        """Length of the flat vector."""
        return sum(self.sizes)

    def count(self, density: float) -> int:
        """Return how many entries a mask of this density keeps: round(density * total), at least 1."""
        if not 0 < density <= 1:
            raise ValueError(f"density must be in (0, 1], got {density!r}")
        return max(1, round(density * self.total))

    def segments(self, flat: Tensor) -> list[Tensor]:
        """Return one flat view a tensor."""
        return list(torch.split(flat, list(self.sizes)))

    def split(self, flat: Tensor) -> dict[str, Tensor]:
        """Return views of the flat vector by name, each in its tensor's shape."""
        return {n: s.view(shape) for n, s, shape in zip(self.names, self.segments(flat), self.shapes)}

    def join(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Return the tensors of this layout as one flat vector (a copy).

        Raises
        ------
        ValueError
            If a tensor is missing or has another shape.
        """
        for name, shape in zip(self.names, self.shapes):
            if name not in tensors:
                raise ValueError(f"there is no tensor for {name}; there are {', '.join(tensors) or 'none'}")
            if tuple(tensors[name].shape) != shape:
                raise ValueError(f"{name} has shape {tuple(tensors[name].shape)}, expected {shape}")
        return torch.cat([tensors[name].reshape(-1) for name in self.names])


def shared_out(densities: Sequence[float], sizes: Sequence[int], count: int) -> list[int]:
    """Round to whole numbers that sum to `count`, the largest remainders up; ties go to the first layer."""
    wanted = [d * s for d, s in zip(densities, sizes)]
    counts = [min(int(w), s) for w, s in zip(wanted, sizes)]
    order = sorted(range(len(sizes)), key=lambda i: (counts[i] - wanted[i], i))
    missing = count - sum(counts)
    while missing > 0:
        for i in order:
            if missing and counts[i] < sizes[i]:
                counts[i] += 1
                missing -= 1
    return counts
