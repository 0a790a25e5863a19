"""Take units out of a network: layers and normalisations lose the rows and columns that are not needed.

All layers and directions of a recurrent module have equally many units: those with fewer keep some dead ones.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from nets.granularity import recurrent
from nets.granularity.coupling import Coupling
from nets.seeds import derive

#: Largest difference of outputs that rounding is believed to make, relative to the largest output.
ROUNDING = 1e-4


def without(model: nn.Module, coupling: Coupling, alive: Tensor) -> nn.Module:
    """Return a copy of a network without some of its units.

    Parameters
    ----------
    model : Module
        The network; its weights that read the units taken out should be zero.
    coupling : Coupling
        Its units.
    alive : Tensor
        Boolean, shape (units,): which stay.

    Returns
    -------
    Module
        Of the same class, with smaller layers.
    """
    small = copy.deepcopy(model)
    modules = dict(small.named_modules())
    alive = torch.cat([alive.cpu(), torch.ones(1, dtype=torch.bool)])  # -1 stands for what cannot be removed
    cells = {n: m for n, m in modules.items() if isinstance(m, nn.RNNBase) and n not in coupling.whole}
    alive = recurrent.balanced(cells, coupling.outputs, alive)
    for name, module in cells.items():
        keys = {w.name: f"{name}.{w.name}".lstrip(".") for w in recurrent.recurrent_weights(module)}
        kept_rows = {own: alive[coupling.outputs[key]] for own, key in keys.items()}
        kept_columns = {own: alive[coupling.inputs[key]] for own, key in keys.items()}
        for parameter, kept in recurrent.narrow(module, kept_rows, kept_columns).items():
            _replace(module, parameter, kept)
        module.flatten_parameters()
    for name, units in coupling.vectors.items():
        _shorten(modules[name], alive[units])
    for name, outputs in coupling.outputs.items():
        rows, columns = alive[outputs], alive[coupling.inputs[name]]
        if name in modules and not (rows.all() and columns.all()):
            _narrow(modules[name], rows, columns)
    return small


def _narrow(layer: nn.Module, rows: Tensor, columns: Tensor) -> None:
    """Leave some outputs and inputs of a layer."""
    weight, bias = layer.weight, layer.bias
    assert isinstance(weight, Tensor)
    rows, columns = rows.to(weight.device), columns.to(weight.device)
    first, second = (
        (columns, rows) if isinstance(layer, nn.modules.conv._ConvTransposeNd) else (rows, columns)
    )
    kept = weight.detach()[first]
    if isinstance(layer, nn.Linear):
        layer.in_features, layer.out_features = int(columns.sum()), int(rows.sum())
        kept = kept[:, columns]
    else:
        groups, inputs = int(layer.groups), len(columns)  # type: ignore[arg-type]
        layer.in_channels, layer.out_channels = int(columns.sum()), int(rows.sum())  # type: ignore[assignment]
        if groups == 1:
            kept = kept[:, second]
        else:  # whole groups go
            layer.groups = int(columns.sum()) // (inputs // groups)  # type: ignore[assignment]
    _replace(layer, "weight", kept)
    if isinstance(bias, Tensor):
        _replace(layer, "bias", bias.detach()[rows])


def _shorten(norm: nn.Module, kept: Tensor) -> None:
    """Leave some channels of a normalisation or PReLU."""
    for name, tensor in (*norm._parameters.items(), *norm._buffers.items()):
        if tensor is not None and tensor.shape == kept.shape:
            _replace(norm, name, tensor.detach()[kept.to(tensor.device)])
    attribute = "num_parameters" if isinstance(norm, nn.PReLU) else "num_features"
    setattr(norm, attribute, int(kept.sum()))


def _replace(module: nn.Module, name: str, tensor: Tensor) -> None:
    old = getattr(module, name)
    new = tensor.clone(memory_format=torch.contiguous_format)
    setattr(module, name, nn.Parameter(new, old.requires_grad) if isinstance(old, nn.Parameter) else new)


@torch.no_grad()
def refuse_other_outputs(model: nn.Module, small: nn.Module, x: Tensor) -> None:
    """Raise ValueError unless the smaller network computes the same, in evaluation mode, up to rounding."""
    name = type(model).__name__
    wanted = _evaluated(model, x)
    try:
        got = _evaluated(small, x)
    except (RuntimeError, ValueError, IndexError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"{name} cannot be made smaller, its forward pass fails once channels are gone ({reason}): take "
            "numbers of channels from the shapes of tensors, as in x.shape[1]; or prune by weight or N:M"
        ) from None
    far = float((wanted - got).abs().max()) if wanted.shape == got.shape else torch.inf
    if not far <= ROUNDING * (1.0 + float(wanted.abs().max())):
        raise ValueError(
            f"{name} cannot be made smaller: without the pruned channels its outputs differ by {far:.3g}; "
            "prune by weight or N:M"
        )


def _evaluated(model: nn.Module, x: Tensor) -> Tensor:
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        out: Tensor = model(x)
        return out
    finally:
        for module, mode in modes.items():
            module.training = mode


def disturbed(model: nn.Module, seed: int = 0) -> nn.Module:
    """Return a copy whose parameters and running statistics are moved at random: no zero hides a mistake."""
    moved = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(derive(seed, "disturbed"))

    def noise(tensor: Tensor) -> Tensor:
        return 0.1 * torch.randn(tensor.shape, generator=generator).to(tensor)

    with torch.no_grad():
        for p in moved.parameters():
            if p.is_floating_point():
                p.add_(noise(p))
        for name, buffer in moved.named_buffers():
            if name.endswith("running_mean"):
                buffer.add_(noise(buffer))
            elif name.endswith("running_var"):
                buffer.mul_(1.0 + noise(buffer).abs())
    return moved
