"""Which tensors of a network are masked, and how they lie behind one another in one flat vector."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import accumulate
from math import prod

import torch
from torch import Tensor, nn

from nets.granularity.groups import Groups
from nets.granularity.single_weights import SingleWeights

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


#: What is masked by default in other modules, by the names of their parameters.
MASKED_TENSORS: tuple[tuple[type[nn.Module], tuple[str, ...]], ...] = (
    (nn.RNNBase, ("weight_*",)),
    (nn.RNNCellBase, ("weight_*",)),
    (nn.MultiheadAttention, ("in_proj_weight", "[qkv]_proj_weight")),
)

#: Share of the parameters above which a tensor that the default rule leaves out is told.
TOLD = 0.01

_told: set[tuple[str, ...]] = set()


def maskable(
    model: nn.Module,
    include: str | Sequence[str] = (),
    exclude: str | Sequence[str] = (),
    *,
    units: bool = False,
) -> tuple[str, ...]:
    """Return the names of the parameters that are masked.

    By default these are the weights of linear, convolutional and recurrent layers, of attention projections
    and of the `Conv1D` of Hugging Face: no biases, no normalisation, and no embedding, nor a weight that is
    tied to one.

    Parameters
    ----------
    model : Module
        Any network.
    include : str or sequence of str
        Glob patterns over the names of all trained parameters, e.g. ``"encoder.*.weight"``; they replace the
        default rule.
    exclude : str or sequence of str
        Glob patterns of names to leave unmasked.
    units : bool
        Whether rows and columns must be units: only linear, convolutional and recurrent layers by default.

    Returns
    -------
    tuple of str
        In the order of ``model.named_parameters()``.

    Raises
    ------
    ValueError
        If a pattern matches nothing, nothing is left to mask, a parameter has no shape yet or is complex, or
        the network carries masks of `torch.nn.utils.prune`.

    Warns
    -----
    UserWarning
        Once, if the default rule leaves out a matrix that holds more than 1% of the parameters.
    """
    include = (include,) if isinstance(include, str) else include
    exclude = (exclude,) if isinstance(exclude, str) else exclude
    refuse_pruned(model)
    refuse_lazy(model)
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    trained = list(parameters)
    sizes = {name: p.numel() for name, p in parameters.items()}
    if include:
        names = [name for name in trained if _matches(name, include)]
    else:
        rule = _by_default(model, units)
        names = [name for name in trained if name in rule]
    for pattern in (*include, *exclude):
        if not any(fnmatchcase(name, pattern) for name in trained):
            raise ValueError(
                f"pattern {pattern!r} matches no trained parameter; there are {', '.join(trained) or 'none'}"
            )
    if not include and not units and names:
        matrices = {name for name, p in parameters.items() if p.dim() > 1 and not p.is_complex()}
        left = [name for name in trained if name in matrices and name not in names]
        _tell([n for n in left if sizes[n] > TOLD * sum(sizes.values()) and not _matches(n, exclude)], names)
    names = [name for name in names if sizes[name] and not _matches(name, exclude)]  # a layer may be empty
    if others := [name for name in names if parameters[name].is_complex()]:
        raise ValueError(
            f"{others[0]} is of {parameters[others[0]].dtype}, and masks are for real weights: "
            f"exclude={others!r}"
        )
    if not names:
        raise ValueError(
            f"nothing to mask in {type(model).__name__}: it has no linear or convolutional weight left; "
            "name the parameters by include patterns"
        )
    return tuple(names)


def _by_default(model: nn.Module, units: bool) -> set[str]:
    """Return the first names of the parameters that are masked by default."""
    first = {id(p): name for name, p in model.named_parameters()}
    chosen: set[str] = set()
    embeddings: set[str] = set()
    for module in model.modules():
        patterns: tuple[str, ...] = ()
        if isinstance(module, MASKED_LAYERS) or (not units and _is_conv1d(module)):
            patterns = ("weight",)
        elif not units or isinstance(module, nn.RNNBase):
            patterns = next((names for kind, names in MASKED_TENSORS if isinstance(module, kind)), ())
        for name, p in module._parameters.items():
            if p is not None and id(p) in first and _matches(name, patterns):
                chosen.add(first[id(p)])
            if p is not None and isinstance(module, (nn.Embedding, nn.EmbeddingBag)):
                embeddings.add(first.get(id(p), ""))
    return chosen - embeddings


def _is_conv1d(module: nn.Module) -> bool:
    """Tell by name and shape whether a module is the `Conv1D` of Hugging Face, a transposed linear layer."""
    weight = module._parameters.get("weight")
    return (
        type(module).__name__ == "Conv1D"
        and weight is not None
        and weight.dim() == 2
        and getattr(module, "nf", None) == weight.shape[1]
    )


def _tell(left: Sequence[str], names: Sequence[str]) -> None:
    if left and (key := (*left, *names)) not in _told:
        _told.add(key)
        warnings.warn(
            f"not masked, though more than {TOLD:.0%} of the parameters each: {', '.join(left)}; "
            f"include=[*nets.masking.layout.maskable(model), {str(list(left))[1:-1]}] masks them too, "
            f"exclude={list(left)!r} says that they are meant to stay",
            stacklevel=4,
        )


def refuse_pruned(model: nn.Module) -> None:
    """Raise ValueError if the network carries masks of `torch.nn.utils.prune`."""
    for path, module in model.named_modules():
        for name in module._buffers:
            tensor = name.removesuffix("_mask")
            if tensor != name and f"{tensor}_orig" in module._parameters:
                where = f"{path}.{tensor}".lstrip(".")
                raise ValueError(
                    f"{where} carries a mask of torch.nn.utils.prune: nets.Ticket.from_pruned(model) takes "
                    f"it over, torch.nn.utils.prune.remove(module, {tensor!r}) makes it permanent"
                )


def refuse_lazy(model: nn.Module) -> None:
    """Raise ValueError if a parameter gets its shape from the first inputs, and has seen none."""
    if lazy := next((name for name, p in model.named_parameters() if nn.parameter.is_lazy(p)), ""):
        raise ValueError(f"{lazy} has no shape yet: run the network once before it is masked")


def copied(model: nn.Module, wrapped: bool = False) -> nn.Module:
    """Return a copy of the network inside its wrappers, whose names are no other network's, or of all.

    Masks of `torch.nn.utils.prune`, which torch cannot copy, are refused.
    """
    model = model if wrapped else unwrapped(model)
    refuse_pruned(model)
    return copy.deepcopy(model)


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the network inside the wrappers of `torch.compile`, of data parallelism and of averaging."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if inner is None and isinstance(
            model, (nn.parallel.DistributedDataParallel, nn.DataParallel, torch.optim.swa_utils.AveragedModel)
        ):
            inner = model.module
        if inner is None:
            return model
        model = inner


def plain(names: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state with the prefixes of `torch.compile` and of wrappers taken off its names."""
    state = {}
    for name, tensor in names.items():
        while True:
            short = name.removeprefix("_orig_mod.").removeprefix("module.")
            if short == name:
                break
            name = short
        state[name] = tensor
    return state


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
        Which entries of a mask are tied to one another; by default every weight has an entry of its own.
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    groups: Groups = field(default=None, compare=False)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.groups is None:
            object.__setattr__(self, "groups", SingleWeights(self.names, self.shapes))

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

    @property
    def whole(self) -> int:
        """What densities are shares of: the number of weights, or the operations that they do."""
        return self.groups.whole

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
