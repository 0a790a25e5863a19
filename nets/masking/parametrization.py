"""Masks attached to any network by ``torch.nn.utils.parametrize``: no private layer classes.

A masked network is an ordinary module: train it with any loop, deep-copy it, pickle it, save and load its
``state_dict``, compile it, wrap it in DistributedDataParallel.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from nets.masking.layout import refuse_pruned, unwrapped


class Mask(nn.Module):
    """Parametrization that multiplies a weight by a mask.

    Parameters
    ----------
    mask : Tensor
        Shaped like the weight: boolean (fixed, kept as a buffer) or floating (relaxed, a trained parameter).
    order : sequence of str
        Names of the layer's parameters in their order, which taking the mask off restores.
    """

    def __init__(self, mask: Tensor, order: Sequence[str] = ()) -> None:
        super().__init__()
        self.order = tuple(order)
        if mask.dtype == torch.bool:
            self.register_buffer("mask", mask.clone())
        else:
            self.mask = nn.Parameter(mask.clone())

    def forward(self, weight: Tensor) -> Tensor:
        """Return the masked weight: exactly zero where a boolean mask is False, whatever it was."""
        mask: Tensor = self.mask
        if mask.dtype == torch.bool:
            return torch.where(mask, weight, 0.0)
        return weight * mask

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Return the weight to keep when one is assigned."""
        return weight


def attach(model: nn.Module, masks: Mapping[str, Tensor]) -> nn.Module:
    """Attach masks to a network, in place.

    Parameters
    ----------
    model : Module
        Any network.
    masks : mapping of str to Tensor
        By parameter name, e.g. ``{"fc1.weight": mask}``. Masks of zeros and ones, of whatever type, are
        fixed; floating ones with other entries are trained. A tied weight is masked wherever it is used.

    Returns
    -------
    Module
        `model`.

    Raises
    ------
    ValueError
        If a name is not a parameter of the network, the shape or the type does not fit, the tensor carries a
        mask already, or the network one of `torch.nn.utils.prune`; the network is then left unchanged.
    """
    inner = unwrapped(model)
    refuse_pruned(inner)
    holders: dict[int, list[tuple[nn.Module, str]]] = {}
    for module in inner.modules():
        for tensor_name, p in module._parameters.items():
            holders.setdefault(id(p), []).append((module, tensor_name))
    places: list[tuple[nn.Module, str, Tensor]] = []
    seen: dict[int, tuple[str, Tensor]] = {}
    for name, given in masks.items():
        path, _, tensor_name = name.rpartition(".")
        try:
            module = inner.get_submodule(path)
        except AttributeError:
            module = nn.Module()
        if parametrize.is_parametrized(module, tensor_name) and any(
            isinstance(p, Mask)
            for p in module.parametrizations[tensor_name]  # type: ignore[index]
        ):
            raise ValueError(f"{name} carries a mask already; make_permanent(model) first")
        weight = getattr(module, tensor_name, None)
        if not isinstance(weight, Tensor):
            raise ValueError(f"{type(inner).__name__} has no parameter {name}; masks name its parameters")
        own = module._parameters.get(tensor_name)
        if own is None and not parametrize.is_parametrized(module, tensor_name):
            raise ValueError(
                f"{name} is computed before every pass and is no parameter: masks go on parameters, and on "
                "those of torch.nn.utils.parametrizations"
            )
        if weight.shape != given.shape:
            raise ValueError(
                f"the mask of {name} has shape {tuple(given.shape)}, the weight {tuple(weight.shape)}"
            )
        mask = _read(name, given).to(weight.device)
        if own is None:
            places.append((module, tensor_name, mask))
        elif id(own) not in seen:  # wherever the weight is used, under all its names
            places += [(*holder, mask) for holder in holders[id(own)]]
            seen[id(own)] = name, mask
        elif not torch.equal(seen[id(own)][1], mask):
            raise ValueError(f"{name} and {seen[id(own)][0]} are one weight, and their masks differ")
    trained: dict[int, Mask] = {}  # tied weights share a mask that is trained
    for module, tensor_name, mask in places:
        order = list(module._parameters)
        made = Mask(mask, order)
        if mask.is_floating_point():
            made = trained.setdefault(id(mask), made)
        parametrize.register_parametrization(module, tensor_name, made)
        _copy_apart(type(module))
    return model


def _read(name: str, mask: Tensor) -> Tensor:
    """Return a mask as it acts: boolean if it consists of zeros and ones, else floating."""
    if mask.dtype == torch.bool:
        return mask
    if bool(((mask == 0) | (mask == 1)).all()):
        return mask != 0
    if not mask.is_floating_point():
        raise ValueError(
            f"the mask of {name} is of {mask.dtype} with entries beside 0 and 1: give True for what stays"
        )
    return mask


@torch.no_grad()
def make_permanent(model: nn.Module) -> nn.Module:
    """Write the masked weights into the network and take the masks off, in place; names are plain again.

    Other parametrizations of a masked weight (weight or spectral normalisation) stay.

    Raises
    ------
    ValueError
        If another parametrization of a weight would not let it be what it is under its mask; the network is
        then left unchanged.
    """
    found = [
        (module, str(name), getattr(module, str(name)).detach().clone())
        for module in model.modules()
        if parametrize.is_parametrized(module)
        for name, chain in module.parametrizations.items()  # type: ignore[operator,union-attr]
        if any(isinstance(p, Mask) for p in chain)
    ]
    for module, name, value in found:
        _refuse_others(module.parametrizations[name], name, value)  # type: ignore[index]
    for module, name, value in found:
        chain: Any = module.parametrizations[name]  # type: ignore[index]
        masks = [i for i, p in enumerate(chain) if isinstance(p, Mask)]
        order = chain[masks[0]].order
        if len(masks) == len(chain):
            chain.original.data.copy_(value)
            parametrize.remove_parametrizations(module, name, leave_parametrized=False)
        else:
            for i in reversed(masks):
                del chain[i]
            setattr(module, name, value)
        for known in order:
            if known in module._parameters:
                module._parameters[known] = module._parameters.pop(known)
        if isinstance(module, nn.RNNBase):
            module._init_flat_weights()
    return model


def _refuse_others(chain: Any, name: str, value: Tensor) -> None:
    """Raise ValueError unless the parametrizations beside the masks can give the masked weight."""
    others = copy.deepcopy([p for p in chain if not isinstance(p, Mask)])
    if not others:
        return
    kinds = ", ".join(type(p).__name__.lstrip("_") for p in others)
    sentence = (
        f"{name} is parametrized by {kinds} besides its mask, which would not keep the masked weight: take "
        "that off first, or leave the mask on"
    )
    got: Any = value
    try:
        for p in reversed(others):
            got = p.right_inverse(*got) if isinstance(got, tuple) else p.right_inverse(got)
        for p in others:
            p.eval()
            got = p(*got) if isinstance(got, (tuple, list)) else p(got)
    except (AttributeError, NotImplementedError, ValueError, RuntimeError):
        raise ValueError(sentence) from None
    if not torch.allclose(got, value, rtol=1e-4, atol=1e-6) or bool((got[value == 0] != 0).any()):
        raise ValueError(sentence)


def _reduce(module: nn.Module, protocol: Any) -> tuple[Callable[..., nn.Module], tuple[Any, ...]]:
    """Pickle a masked layer, whose class torch makes on the fly, by its plain class and its masks."""
    state = dict(module.__dict__)
    state["_modules"] = {k: v for k, v in module._modules.items() if k != "parametrizations"}
    for name in ("_flat_weights", "_flat_weight_refs"):  # of recurrent layers: the masked weights themselves
        state.pop(name, None)
    chains = {}
    for name, chain in module.parametrizations.items():  # type: ignore[operator,union-attr]
        if not all(isinstance(p, Mask) for p in chain):
            raise TypeError(f"{name} carries a parametrization besides its mask: save the state_dict instead")
        chains[name] = (chain.original, list(chain))
    return _rebuild, (type(module).__bases__[0], state, chains)


def _copy_apart(kind: type[nn.Module]) -> None:
    """Let copies of a masked layer have a class of their own, as taking a mask off changes the class."""
    if kind.__reduce_ex__ is _reduce:
        return
    kind.__reduce_ex__ = _reduce  # type: ignore[method-assign,assignment]
    plain: Callable[[nn.Module, dict[int, Any]], nn.Module] | None = kind.__dict__.get("__deepcopy__")
    if plain is None:  # the layer has its own way of being copied
        return

    def deepcopied(module: nn.Module, memo: dict[int, Any], plain: Any = plain) -> nn.Module:
        chains = module.parametrizations.values()  # type: ignore[operator]
        if not all(isinstance(p, Mask) for chain in chains for p in chain):
            other: nn.Module = plain(module, memo)
            return other
        rebuild, arguments = _reduce(module, 4)
        return rebuild(*copy.deepcopy(arguments, memo))

    kind.__deepcopy__ = deepcopied  # type: ignore[attr-defined]


def _rebuild(
    plain: type[nn.Module], state: dict[str, Any], chains: dict[str, tuple[nn.Parameter, list[Mask]]]
) -> nn.Module:
    module = plain.__new__(plain)
    module.__dict__.update(state)
    if isinstance(module, nn.RNNBase):
        module._flat_weights = [None] * len(module._flat_weights_names)
    for name, (original, chain) in chains.items():
        module.register_parameter(name, original)
        for mask in chain:
            parametrize.register_parametrization(module, name, mask)
    _copy_apart(type(module))
    if isinstance(module, nn.RNNBase):
        module._init_flat_weights()
    return module
