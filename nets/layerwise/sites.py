"""Where a network can be pruned layer by layer: weights seen as rows over one matrix of inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from nets.masking.layout import refuse_lazy, refuse_pruned
from nets.masking.parametrization import Mask

#: What a module was called with.
Call = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True)
class Site:
    """One matrix of weights W whose outputs W x (+ b) are to be kept.

    Parameters
    ----------
    name : str
        Of the parameter; with the part's name where several matrices are packed in one, "...[query]".
    parameter : str
        The parameter that holds the weights.
    module : str
        The module that is called with the inputs (the first one, of tied weights).
    kind : str
        How the inputs come from the module's call: "linear", "conv1d" (Hugging Face: the weight is
        transposed), "convolution", "query", "key", "value", "attended", or "input" and "state" of a recurrent
        layer.
    rows : tuple of int, optional
        First row and the one behind the last, of a packed matrix.
    bias : str
        The bias that goes with it; "" if there is none.
    groups : int
        Groups of a convolution: each has inputs of its own.
    layer : str
        Suffix of a recurrent layer, e.g. "_l1_reverse".
    ties : tuple of str
        Further modules that use the same weights.
    """

    name: str
    parameter: str
    module: str
    kind: str
    rows: tuple[int, int] | None = None
    bias: str = ""
    groups: int = 1
    layer: str = ""
    ties: tuple[str, ...] = ()

    def matrix(self, weight: Tensor) -> Tensor:
        """Return the weights of the parameter as a matrix a group, shape (groups, out, d).

        The inputs of a convolution are its kernel positions, channels innermost, as in granularity N:M.
        """
        if self.kind == "conv1d":
            return weight.T[None]
        if self.rows is not None:
            weight = weight[slice(*self.rows)]
        return weight.movedim(1, -1).reshape(self.groups, weight.shape[0] // self.groups, -1)

    def put(self, weight: Tensor, matrix: Tensor) -> None:
        """Write such matrices back into the parameter (or a mask of its shape), in place."""
        if self.kind == "conv1d":
            weight.copy_(matrix[0].T)
            return
        if self.rows is not None:
            weight = weight[slice(*self.rows)]
        rows = matrix.reshape(weight.shape[0], *weight.shape[2:], weight.shape[1])
        weight.copy_(rows.movedim(-1, 1))

    def values(self, parameters: Mapping[str, Tensor]) -> NDArray[np.float64]:
        """Return the weights that a network has, by the names of its parameters, shape (groups, out, d)."""
        return self.matrix(parameters[self.parameter].detach()).double().cpu().numpy()

    def shift(self, parameters: Mapping[str, Tensor], by: NDArray[np.float64]) -> None:
        """Add to the biases of these rows, in place; `by` has shape (groups, out)."""
        bias = self.part_of_bias(parameters[self.bias].data)
        bias.add_(torch.from_numpy(by.reshape(-1)).to(bias))

    def part_of_bias(self, bias: Tensor) -> Tensor:
        """Return the view of the bias that belongs to these rows."""
        return bias if self.rows is None else bias[slice(*self.rows)]

    def inputs(self, module: nn.Module, call: Call) -> Tensor:
        """Return what the module's matrix meets: shape (..., d), or images to a convolution."""
        args, named = call
        if self.kind in ("linear", "conv1d", "convolution"):
            first: Tensor = args[0] if args else next(iter(named.values()))
            return first
        if self.kind in ("input", "state"):
            return _recurrent(module, args, named, self.kind, self.layer)
        assert isinstance(module, nn.MultiheadAttention)
        if self.kind == "attended":
            return _attended(module, args, named)
        place = ("query", "key", "value").index(self.kind)
        found: Tensor = args[place] if len(args) > place else named[self.kind]
        return found

    def spread(self, module: nn.Module, x: Tensor) -> Tensor:
        """Return inputs as a matrix a group, shape (groups, n, d); a convolution's as patches."""
        if self.kind != "convolution":
            return x.reshape(1, -1, x.shape[-1])
        return _patches(module, x, self.groups)


def find_sites(
    model: nn.Module, include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> tuple[list[Site], dict[str, str]]:
    """Return the prunable matrices of a network and, by name, the weights left out and why.

    Parameters
    ----------
    model : Module
        Any network: linear layers (also Hugging Face's Conv1D), convolutions in one and two dimensions,
        `torch.nn.MultiheadAttention`, LSTM, GRU and RNN, and whatever is built of them.
    include, exclude : sequence of str
        Glob patterns over names of parameters; default: all that can be pruned.

    Raises
    ------
    ValueError
        If a pattern matches nothing, or nothing is left.
    """
    refuse_pruned(model)
    refuse_lazy(model)
    owners: dict[int, str] = {id(p): name for name, p in model.named_parameters()}
    sites: dict[str, Site] = {}
    left_out: dict[str, str] = {}
    whole: set[str] = set()  # modules that hand their children's weights on instead of calling them
    for path, module in model.named_modules():
        if path in whole:
            continue
        if isinstance(module, nn.MultiheadAttention):
            whole.add(f"{path}.out_proj".lstrip("."))
        if hasattr(module, "parametrizations"):
            _refuse_parametrizations(path, module)
        for site in _sites_of(path, module, owners):
            if not site.parameter:  # made anew from others, as by the older weight norm
                continue
            known = sites.get(site.name)
            if known is None:
                sites[site.name] = site
            elif known.kind != site.kind:
                left_out[site.parameter] = f"tied between layers of different kinds ({known.module}, {path})"
            else:
                tied = Site(**{**vars(known), "ties": (*known.ties, site.module)})
                sites[site.name] = tied
    held = {site.parameter for site in sites.values()}
    for path, module in model.named_modules():
        reason = _unsupported(module)
        for name, p in module.named_parameters(recurse=False):
            full = owners[id(p)]
            if p.dim() < 2:
                continue
            if full in held and not _holds(sites, full, path):
                left_out[full] = f"shared with {path or 'the network'} ({type(module).__name__})"
            elif full not in held:
                left_out[full] = reason or f"{type(module).__name__}.{name} is no matrix of a known layer"
    names = [name for name in owners.values() if name in held]
    for pattern in (*include, *exclude):
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ValueError(f"pattern {pattern!r} matches no prunable weight; there are {', '.join(names)}")
    chosen = []
    for site in sites.values():
        weight = model.get_parameter(site.parameter)
        if site.parameter in left_out:
            continue
        if not weight.numel():
            left_out[site.parameter] = "it has no weights"
        elif weight.is_complex():
            left_out[site.parameter] = "its weights are complex"
        elif include and not any(fnmatchcase(site.parameter, pattern) for pattern in include):
            left_out[site.parameter] = "not included"
        elif any(fnmatchcase(site.parameter, pattern) for pattern in exclude):
            left_out[site.parameter] = "excluded"
        else:
            chosen.append(site)
    if not chosen:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in list(left_out.items())[:5])
        raise ValueError(f"nothing to prune in {type(model).__name__}" + (f" ({reasons})" if reasons else ""))
    return chosen, left_out


def _refuse_parametrizations(path: str, module: nn.Module) -> None:
    chains: Any = module.parametrizations
    for name, chain in chains.items():
        where = f"{path}.{name}".lstrip(".")
        if any(isinstance(one, Mask) for one in chain):
            raise ValueError(f"{where} carries a mask: nets.make_permanent(model) first")
        raise ValueError(
            f"{where} is made by a parametrization, {type(chain[0]).__name__.lstrip('_')}: "
            f"torch.nn.utils.parametrize.remove_parametrizations(module, {name!r}) first"
        )


def _holds(sites: Mapping[str, Site], parameter: str, path: str) -> bool:
    """Tell whether a module's weight is used as one of the sites of the parameter."""
    for site in sites.values():
        if site.parameter == parameter:
            paths = (site.module, *site.ties)
            return any(path in (p, f"{p}.out_proj".lstrip(".")) for p in paths)
    return False


def _sites_of(path: str, module: nn.Module, owners: Mapping[int, str]) -> list[Site]:
    def owner(name: str) -> str:
        tensor = module.get_parameter(name) if _has(module, name) else None
        return "" if tensor is None else owners[id(tensor)]

    if isinstance(module, nn.MultiheadAttention):
        return _attention_sites(path, module, owner)
    if isinstance(module, nn.LSTM | nn.GRU | nn.RNN):
        if getattr(module, "proj_size", 0):
            return []
        sites = []
        for name in [n for n in module._flat_weights_names if n.startswith("weight_")]:
            layer = name[len("weight_ih") :]
            bias = owner(name.replace("weight", "bias"))
            kind = "input" if "_ih" in name else "state"
            sites.append(Site(owner(name), owner(name), path, kind, bias=bias, layer=layer))
        return sites
    if isinstance(module, nn.Linear):
        return [Site(owner("weight"), owner("weight"), path, "linear", bias=owner("bias"))]
    if isinstance(module, nn.Conv1d | nn.Conv2d) and not isinstance(module, nn.modules.conv._ConvTransposeNd):
        name = owner("weight")
        return [Site(name, name, path, "convolution", bias=owner("bias"), groups=module.groups)]
    if type(module).__name__ == "Conv1D" and _has(module, "weight") and hasattr(module, "nf"):
        return [Site(owner("weight"), owner("weight"), path, "conv1d", bias=owner("bias"))]
    return []


def _has(module: nn.Module, name: str) -> bool:
    try:
        return module.get_parameter(name) is not None
    except AttributeError:
        return False


def _attention_sites(path: str, module: nn.MultiheadAttention, owner: Callable[[str], str]) -> list[Site]:
    bias, sites = owner("in_proj_bias"), []
    for place, kind in enumerate(("query", "key", "value")):
        rows = (place * module.embed_dim, (place + 1) * module.embed_dim)
        if module._qkv_same_embed_dim:
            name = owner("in_proj_weight")
            sites.append(Site(f"{name}[{kind}]", name, path, kind, rows, bias))
        else:
            # The bias is packed though the weights are not: it stays as it is.
            name = owner(f"{kind[0]}_proj_weight")
            sites.append(Site(name, name, path, kind))
    name = owner("out_proj.weight")
    return [*sites, Site(name, name, path, "attended", bias=owner("out_proj.bias"))]


def _unsupported(module: nn.Module) -> str:
    """Return why the weights of a module are not pruned, "" if there is nothing to say."""
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):
        return "an embedding: a table of rows, not a matrix product"
    if isinstance(module, nn.modules.conv._ConvTransposeNd):
        return "a transposed convolution"
    if isinstance(module, nn.Conv3d):
        return "a convolution in three dimensions"
    if isinstance(module, nn.Bilinear):
        return "a bilinear layer"
    if getattr(module, "proj_size", 0):
        return "a recurrent layer with a projection"
    return ""


def _patches(module: nn.Module, x: Tensor, groups: int) -> Tensor:
    """Return the patches that a convolution multiplies, shape (groups, n, positions * channels)."""
    assert isinstance(module, nn.Conv1d | nn.Conv2d)
    if x.dim() == len(module.kernel_size) + 1:  # a sample without a batch
        x = x[None]
    kernel, stride, dilation = tuple(module.kernel_size), tuple(module.stride), tuple(module.dilation)
    if module.padding == "same":
        reach = [d * (k - 1) for d, k in zip(dilation, kernel)]
        sides = [side for r in reversed(reach) for side in (r // 2, r - r // 2)]
    else:
        plain = (0,) * len(kernel) if module.padding == "valid" else module.padding
        sides = [side for p in reversed(tuple(plain)) for side in (p, p)]  # type: ignore[misc]
    if any(sides):
        mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
        x = functional.pad(x, sides, mode)
    if len(kernel) == 1:
        x, kernel, stride, dilation = x[..., None, :], (1, *kernel), (1, *stride), (1, *dilation)
    patches = functional.unfold(x, kernel, dilation, 0, stride)
    channels, positions = x.shape[1] // groups, kernel[0] * kernel[1]
    split = patches.view(x.shape[0], groups, channels, positions, -1)
    return split.permute(1, 0, 4, 3, 2).reshape(groups, -1, positions * channels)


def _attended(module: nn.MultiheadAttention, args: Any, named: dict[str, Any]) -> Tensor:
    """Return what the output projection of an attention is applied to."""
    weight = module.out_proj.weight
    identity = {"out_proj.weight": torch.eye(len(weight), dtype=weight.dtype, device=weight.device)}
    if module.out_proj.bias is not None:
        identity["out_proj.bias"] = torch.zeros_like(module.out_proj.bias)
    out: Tensor = torch.func.functional_call(module, identity, args, named)[0]
    return out


def _recurrent(module: nn.Module, args: Any, named: dict[str, Any], kind: str, layer: str) -> Tensor:
    """Return the inputs, or the states before each step, of one layer and direction, shape (n, d)."""
    assert isinstance(module, nn.RNNBase)
    x = args[0] if args else named["input"]
    start = args[1] if len(args) > 1 else named.get("hx")
    depth, reverse = int(layer[2:].partition("_")[0]), layer.endswith("_reverse")
    directions = 2 if module.bidirectional else 1
    for below in range(depth):
        x = _one_layer(module, below, module.bidirectional, x, start)
    if kind == "input":
        return x.data if isinstance(x, PackedSequence) else x
    states = _one_layer(module, depth, module.bidirectional, x, start)
    first = start[0] if isinstance(start, tuple) else start
    if isinstance(states, PackedSequence):
        out, lengths = pad_packed_sequence(states, batch_first=True)
    else:
        out = states[None] if states.dim() == 2 else states
        if states.dim() == 3 and not module.batch_first:
            out = out.transpose(0, 1)
        lengths = torch.full((len(out),), out.shape[1])
    hidden = module.hidden_size
    out = out[..., hidden:] if reverse else out[..., :hidden]
    place = depth * directions + int(reverse)
    if first is None:
        begin = out.new_zeros(len(out), hidden)
    else:
        begin = first[place] if first.dim() == 3 else first[place][None]
    rows = []
    for sample, length, initial in zip(out, lengths.tolist(), begin):
        kept = sample[:length]
        rows.append(torch.cat([kept[1:], initial[None]] if reverse else [initial[None], kept[:-1]]))
    return torch.cat(rows)


def _one_layer(module: nn.RNNBase, layer: int, both: bool, x: Any, start: Any) -> Any:
    """Run one layer of a recurrent network, in both directions if there are two."""
    directions = 2 if both else 1
    size = x.data.shape[-1] if isinstance(x, PackedSequence) else x.shape[-1]
    kind: Any = type(module)
    extra = {"nonlinearity": module.nonlinearity} if isinstance(module, nn.RNN) else {}
    one = kind(  # on no device: draws no random numbers
        size, module.hidden_size, 1, bias=module.bias, batch_first=module.batch_first,
        bidirectional=both, device="meta", dtype=module.weight_hh_l0.dtype, **extra,
    )  # fmt: skip
    one.to_empty(device=module.weight_hh_l0.device)
    with torch.no_grad():
        for name, own in one.named_parameters():
            own.copy_(getattr(module, name.replace("_l0", f"_l{layer}")))
    if start is not None:
        part = slice(layer * directions, (layer + 1) * directions)
        start = tuple(s[part] for s in start) if isinstance(start, tuple) else start[part]
    return one(x, start)[0]
