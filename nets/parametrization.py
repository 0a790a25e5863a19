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
        By parameter name, e.g. ``{"fc1.weight": mask}``; boolean masks are fixed, floating ones are trained.

    Returns
    -------
    Module
        `model`.

    Raises
    ------
    ValueError
        If a name is not a parameter of the network, the shape differs, or the tensor carries a mask already;
        the network is then left unchanged.
    """
    places: list[tuple[nn.Module, str, Tensor]] = []
    for name, mask in masks.items():
        path, _, tensor_name = name.rpartition(".")
        try:
            module = model.get_submodule(path)
        except AttributeError:
            module = nn.Module()
        if parametrize.is_parametrized(module, tensor_name) and any(
            isinstance(p, Mask)
            for p in module.parametrizations[tensor_name]  # type: ignore[index]
        ):
            raise ValueError(f"{name} carries a mask already; make_permanent(model) first")
        weight = getattr(module, tensor_name, None)
        if not isinstance(weight, Tensor):
            raise ValueError(f"{type(model).__name__} has no parameter {name}; masks name its parameters")
        if weight.shape != mask.shape:
            raise ValueError(
                f"the mask of {name} has shape {tuple(mask.shape)}, the weight {tuple(weight.shape)}"
            )
        places.append((module, tensor_name, mask.to(weight.device)))
    for module, tensor_name, mask in places:
        order = list(module._parameters)
        parametrize.register_parametrization(module, tensor_name, Mask(mask, order))
        _copy_apart(type(module))
    return model


def make_permanent(model: nn.Module) -> nn.Module:
    """Write the masked weights into the network and take the masks off, in place; names are plain again."""
    for module in list(model.modules()):
        if not parametrize.is_parametrized(module):
            continue
        for name in list(module.parametrizations):  # type: ignore[arg-type]
            chain = module.parametrizations[name]  # type: ignore[index]
            masks = [p for p in chain if isinstance(p, Mask)]
            if masks:
                parametrize.remove_parametrizations(module, str(name), leave_parametrized=True)
                for known in masks[0].order:
                    if known in module._parameters:
                        module._parameters[known] = module._parameters.pop(known)
    return model


def masks_of(model: nn.Module) -> dict[str, Tensor]:
    """Return the masks attached to a network, by parameter name."""
    found = {}
    for path, module in model.named_modules():
        if not parametrize.is_parametrized(module):
            continue
        for name, chain in module.parametrizations.items():
            for p in chain:
                if isinstance(p, Mask):
                    found[f"{path}.{name}" if path else name] = p.mask.detach()
    return found


def _reduce(module: nn.Module, protocol: Any) -> tuple[Callable[..., nn.Module], tuple[Any, ...]]:
    """Pickle a masked layer, whose class torch makes on the fly, by its plain class and its masks."""
    state = dict(module.__dict__)
    state["_modules"] = {k: v for k, v in module._modules.items() if k != "parametrizations"}
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
    for name, (original, chain) in chains.items():
        module.register_parameter(name, original)
        for mask in chain:
            parametrize.register_parametrization(module, name, mask)
    _copy_apart(type(module))
    return module
