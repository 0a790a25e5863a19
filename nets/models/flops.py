"""What networks cost in operations, of an inference and of a search; the widest network within a budget."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils.rnn import PackedSequence
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from nets.data import AnyData
from nets.data.batches import forward, mapped, size
from nets.masking.layout import Layout, maskable
from nets.models.factory import Architecture, ModelSpec, build
from nets.registry import models

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
COUNTED = (
    *(nn.Linear, *CONVOLUTIONS, *TRANSPOSED),
    *(nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention),
)


def is_counted(module: nn.Module) -> bool:
    """Tell whether the operations of a layer are counted weight by weight."""
    return isinstance(module, COUNTED) or _is_transposed_linear(module)


def _is_transposed_linear(module: nn.Module) -> bool:
    """Tell whether this is the `Conv1D` of Hugging Face: a linear layer of weight (in, out)."""
    weight = getattr(module, "weight", None)
    return type(module).__name__ == "Conv1D" and isinstance(weight, Tensor) and weight.dim() == 2


def weight_names(module: nn.Module) -> list[str]:
    """Return the names of the weights of a counted layer, as seen from it."""
    if isinstance(module, nn.RNNBase):
        return [name for name in module._flat_weights_names if name.startswith("weight")]
    if isinstance(module, nn.RNNCellBase):
        return ["weight_ih", "weight_hh"]
    if isinstance(module, nn.MultiheadAttention):
        packed = ["in_proj_weight"] if module._qkv_same_embed_dim else []
        return [*(packed or ["q_proj_weight", "k_proj_weight", "v_proj_weight"]), "out_proj.weight"]
    return ["weight"]


def _uses(module: nn.Module, args: tuple[Any, ...], named: Mapping[str, Any], out: Any) -> list[Tensor]:
    """Return, for every weight of a layer, how often each of its rows multiplies; shape (rows,) or ()."""
    names = weight_names(module)
    if isinstance(module, nn.MultiheadAttention):
        given = [*args, *(named[key] for key in ("query", "key", "value") if key in named)][:3]
        counts = [torch.tensor(x.numel() // x.shape[-1]) for x in given]
        if names[0] == "in_proj_weight":
            return [torch.stack(counts).repeat_interleave(module.embed_dim), counts[0]]
        return [*counts, counts[0]]
    if isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
        x = args[0] if args else next(iter(named.values()))
        x = x.data if isinstance(x, PackedSequence) else x
        return [torch.tensor(x.numel() // x.shape[-1])] * len(names)
    weight: Tensor = module.weight  # type: ignore[assignment]
    if isinstance(module, TRANSPOSED):  # each weight is used once at every input position
        return [torch.tensor(args[0].numel() // weight.shape[0])]
    outputs = weight.shape[1] if _is_transposed_linear(module) else weight.shape[0]
    return [torch.tensor(out.numel() // outputs)]  # once at every output position


@dataclass(frozen=True)
class FlopCount:
    """Floating point operations for one sample, a multiplication and an addition counting as two.

    Only multiply-adds count (convolutions, matrix products, attention); biases, normalisation, activations
    and pooling do not, as is usual.

    Parameters
    ----------
    layers : dict
        Dense operations of each layer that multiplies by weights, by module name: linear, convolutions
        (transposed too), recurrent layers and cells, the projections of attention.
    sparse_layers : dict
        The same with the masks: a weight that is masked out multiplies nothing.
    other : int
        Operations outside these layers (the products inside attention), which no mask reduces.
    """

    layers: dict[str, int]
    sparse_layers: dict[str, int]
    other: int

    @property
    def dense(self) -> int:
        """Operations of the dense network."""
        return sum(self.layers.values()) + self.other

    @property
    def sparse(self) -> int:
        """Operations that are left with the masks."""
        return sum(self.sparse_layers.values()) + self.other

    @property
    def share(self) -> float:
        """Share of the dense operations that is left."""
        return self.sparse / self.dense if self.dense else 1.0


class _Counting:
    """Counts what torch calculates, by torch's own table of operations; those not in it count nothing."""

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        flops = flop_registry.get(getattr(func, "overloadpacket", None))
        if flops is None and hasattr(func, "decompose"):
            with self:  # type: ignore[attr-defined]
                parts = func.decompose(*args, **named)
            if parts is not NotImplemented:
                return parts
        out = func(*args, **named)
        if flops is not None:
            self.total += flops(*args, **named, out_val=out)
        return out

    def get_total_flops(self) -> int:
        """Return the operations counted so far."""
        return self.total


class PlainCounter(_Counting, TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts plain networks as torch's `FlopCounterMode` does, without loading torch's compiler.

    That takes as long as torch itself, and happens for every mode with a `__torch_dispatch__` of its own;
    this one inherits it. Parts that are compiled and nested tensors need torch's own.
    """


def count_flops(model: nn.Module, inputs: Any, masks: Mapping[str, Tensor] | None = None) -> FlopCount:
    """Count the operations of one inference by running it once; the model is left as it was.

    Parameters
    ----------
    model : nn.Module
        Any network, masked by parametrization or not.
    inputs : tuple of int, or a batch
        Shape of one sample, or the inputs of a batch of any size and form (the count is per sample).
    masks : mapping of str to Tensor, optional
        Masks by parameter name ("0.weight"), of the shape of the weight; a weight counts where its mask is
        not zero. Layers without a mask count in full; a weight that several layers share has one mask.

    Raises
    ------
    ValueError
        If a mask names no weight of a counted layer, or has another shape.
    """
    masks = dict(masks or {})
    layers = {name: module for name, module in model.named_modules() if is_counted(module)}
    attention = [name for name, m in layers.items() if isinstance(m, nn.MultiheadAttention)]
    for name in attention:  # its output layer is not called, its weight is
        layers.pop(f"{name}.out_proj".lstrip("."))
    found = masks_of_layers(model, masks)
    parameter = next(model.parameters(), None)
    device = parameter.device if parameter is not None else torch.device("cpu")
    shape = isinstance(inputs, Sequence) and all(isinstance(side, int) for side in inputs)
    batch = torch.zeros((1, *inputs), device=device) if shape else mapped(lambda x: x.to(device), inputs)
    if "torch._dynamo" not in sys.modules:
        try:
            return _count(model, batch, layers, found, PlainCounter())
        except Exception:  # what lies with the network is raised again
            pass
    return _count(model, batch, layers, found, FlopCounterMode(display=False))


def _count(
    model: nn.Module,
    batch: Any,
    layers: Mapping[str, nn.Module],
    masks: Mapping[str, Tensor],
    counter: PlainCounter | FlopCounterMode,
) -> FlopCount:
    dense, sparse = dict.fromkeys(layers, 0), dict.fromkeys(layers, 0)
    inside = 0  # what torch counts within these layers
    began: list[int] = []

    def before(module: nn.Module, args: tuple[Any, ...]) -> None:
        began.append(counter.get_total_flops())

    def after(name: str) -> Any:
        def count(module: nn.Module, args: tuple[Any, ...], named: dict[str, Any], out: Any) -> None:
            nonlocal inside
            own = 0
            for weight_name, uses in zip(weight_names(module), _uses(module, args, named, out)):
                weight: Any = module
                for part in weight_name.split("."):
                    weight = getattr(weight, part)
                mask = masks.get(f"{name}.{weight_name}".lstrip("."))
                rows = weight.numel() // len(weight)
                whole = 2 * int((uses * torch.ones(len(weight), dtype=torch.int64)).sum()) * rows
                own += whole
                dense[name] += whole
                if mask is None:
                    sparse[name] += whole
                else:
                    left = torch.count_nonzero(mask.reshape(len(mask), -1), 1).cpu()
                    sparse[name] += 2 * int((uses * left).sum())
            counted = counter.get_total_flops() - began.pop()
            # The products inside attention are no weight's.
            inside += own if isinstance(module, nn.MultiheadAttention) else counted

        return count

    modes = {module: module.training for module in model.modules()}
    fused = torch.backends.mha.get_fastpath_enabled()
    handles = [module.register_forward_pre_hook(before) for module in layers.values()]
    handles += [m.register_forward_hook(after(name), with_kwargs=True) for name, m in layers.items()]
    model.eval()
    try:
        # Fused attention is not counted; written out as products, it is.
        torch.backends.mha.set_fastpath_enabled(False)
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
            forward(model, batch)
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode
    n = size(batch)
    return FlopCount(
        {name: value // n for name, value in dense.items()},
        {name: value // n for name, value in sparse.items()},
        (counter.get_total_flops() - inside) // n,
    )


def masks_of_layers(
    model: nn.Module, masks: Mapping[str, Tensor], *, strict: bool = True
) -> dict[str, Tensor]:
    """Return the mask of every weight of a counted layer by its name in that layer, shared ones under each.

    Raises
    ------
    ValueError
        If a mask is of another shape, or, if `strict`, of no such weight.
    """
    shared: dict[int, list[str]] = {}
    for name, p in model.named_parameters(remove_duplicate=False):
        shared.setdefault(id(p), []).append(name)
    aliases = {name: names for names in shared.values() for name in names}
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, module in model.named_modules():
        for name in weight_names(module) if is_counted(module) else ():
            weight: Any = module
            for part in name.split("."):
                weight = getattr(weight, part)
            shapes[f"{layer}.{name}".lstrip(".")] = tuple(weight.shape)
    found = {}
    for name, mask in masks.items():
        places = [place for place in aliases.get(name, [name]) if place in shapes]
        if not places and strict:
            raise ValueError(f"mask {name!r} is no weight of a Linear or convolution layer of the model")
        for place in places:
            if tuple(mask.shape) != shapes[place]:
                raise ValueError(f"mask {name!r} has shape {tuple(mask.shape)}, its weight {shapes[place]}")
            found[place] = mask
    return found


#: Operations of a forward and a backward pass together, in forward passes.
PASSES = 3.0


def inference_flops(network: nn.Module, data: AnyData, masks: Mapping[str, Tensor]) -> FlopCount:
    """Count the operations of one inference; masks of tensors other than layers' weights save none."""
    counted = masks_of_layers(network, masks, strict=False)
    return count_flops(network, data.example(1), counted)


def training_flops(inference: float, samples: int, epochs: float) -> float:
    """Return the operations of trainings, every pass counted as dense, as it is computed.

    Parameters
    ----------
    inference : float
        Operations of one inference of the dense network.
    samples : int
        Training samples an epoch.
    epochs : float
        Epochs in all.
    """
    return PASSES * inference * samples * epochs


#: Halvings of the width that is still open; units are whole numbers, so this is far finer than needed.
HALVINGS = 24


def maskable_weights(model: nn.Module, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> int:
    """Return the number of weights that `nets.masking.layout.maskable` names."""
    return Layout.of(model, maskable(model, include, exclude)).total


def width_for(
    model: ModelSpec,
    data: AnyData,
    most: int,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    *,
    operations: bool = False,
) -> float:
    """Return the width at which a network has as many maskable weights as possible, but at most `most`.

    Parameters
    ----------
    model : str or callable
        A model's name, or a factory with a parameter `width`.
    data : Dataset or Stream
        Gives the shape of the inputs and the number of classes.
    most : int
        Maskable weights at most, e.g. what a ticket keeps.
    include, exclude : sequence of str
        See `nets.masking.layout.maskable`.
    operations : bool
        Count the operations of one inference instead of the weights.

    Raises
    ------
    ValueError
        If the model cannot be narrowed, or has more weights even at one unit a layer.
    """

    def size(width: float) -> int:
        # on the meta device: shapes without numbers
        with torch.device("meta"):
            made = _made(model, data, width)
        if operations:
            return count_flops(made, data.example(1)).dense
        return maskable_weights(made, include, exclude)

    what = "operations" if operations else "weights"
    low, high = 1e-9, 1.0
    smallest = size(low)
    if smallest > most:
        raise ValueError(
            f"no dense network of this architecture is as small as {most} {what}: even with the fewest "
            f"units a layer it has {smallest}; ask for a larger density"
        )
    if size(high) <= most:
        return high
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if size(middle) <= most else (low, middle)
    return low


def _made(model: ModelSpec, data: AnyData, width: float) -> nn.Module:
    found = models.find(model) if isinstance(model, str) else model
    if isinstance(found, Architecture):
        return found.factory(data.input_shape, data.n_classes, width=width)
    with torch.device("cpu"):  # a user's network is tried on an input, which needs numbers
        return build(model, data, width=width)
