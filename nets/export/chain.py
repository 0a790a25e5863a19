"""Networks that are one chain of linear layers: found in any module, packed, run by one compiled call."""

from __future__ import annotations

import ctypes
import operator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

#: Elementwise functions between the layers, by the code that the kernel knows them by; 0 is the identity.
ACTIVATIONS: dict[Any, int] = {
    nn.ReLU: 1, F.relu: 1, torch.relu: 1, "relu": 1, "relu_": 1,
    nn.Tanh: 2, torch.tanh: 2, F.tanh: 2, "tanh": 2,
    nn.Sigmoid: 3, torch.sigmoid: 3, F.sigmoid: 3, "sigmoid": 3,
    nn.GELU: 4, F.gelu: 4,
    nn.SiLU: 5, F.silu: 5,
}  # fmt: skip

#: What changes nothing in evaluation.
_IDLE = (nn.Identity, nn.Dropout, nn.AlphaDropout, F.dropout)

_NORMS = (nn.BatchNorm1d,)

#: What a call of the kernel is told, and where in it the shares done are counted, in a cache line apart.
_Order, DONE = ctypes.c_int64 * 32, 24 * 8

#: Multiplications from which a batch is shared out: below, waiting for each other takes longer.
SHARED = 100_000


class NotAChain(ValueError):
    """A network is no chain of linear layers; the message says at what."""


@dataclass(frozen=True, eq=False)
class _Layer:
    weight: Tensor
    bias: Tensor
    code: int = 0


class Chain:
    """A compiled chain of sparse linear layers: inputs to outputs in one call, without gradients.

    Batches of SHARED multiplications and more are shared out among torch's threads, layer by layer.

    Parameters
    ----------
    model : Module
        A network with zeros where it is pruned: linear layers with elementwise activations, batch
        normalisation, dropout and flattening between them, in float32 on the CPU.

    Attributes
    ----------
    sizes : tuple of int
        Inputs and the outputs of every layer.
    weights : int
        Weights that are not zero.

    Raises
    ------
    NotAChain
        If the network is another one, or its layers too wide.
    """

    def __init__(self, model: nn.Module) -> None:
        from nets.export.chain_kernel import LANES

        layers = linear_layers(model)
        self.sizes = (layers[0].weight.shape[1], *(len(layer.weight) for layer in layers))
        values: list[np.ndarray] = []
        columns: list[np.ndarray] = []
        counts: list[np.ndarray] = []
        for layer in layers:
            weight = layer.weight.numpy()
            rows, places = np.nonzero(weight)
            kept = np.bincount(rows, minlength=len(weight))
            padded = -(-kept // LANES) * LANES
            first = np.cumsum(padded) - padded - (np.cumsum(kept) - kept)
            target = np.arange(len(rows)) + first[rows]
            for parts, content in ((values, weight[rows, places]), (columns, places)):
                part = np.zeros(int(padded.sum()), dtype=content.dtype)
                part[target] = content
                parts.append(part)
            counts.append(padded)
        self.weights = int(sum(np.count_nonzero(layer.weight.numpy()) for layer in layers))
        self._pack(
            np.array(self.sizes, dtype=np.int64),
            np.array([layer.code for layer in layers], dtype=np.int64),
            np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int64),
            np.concatenate(values).astype(np.float32),
            np.concatenate(columns).astype(np.uint16 if max(self.sizes) <= 1 << 16 else np.uint32),
            np.concatenate([layer.bias.numpy() for layer in layers]).astype(np.float32),
        )

    def _pack(self, *arrays: Any) -> None:
        """Hold what the kernel reads: sizes, codes, starts, values, columns, bias; see `_Order`."""
        from nets.export.chain_kernel import LANES, shared

        self._arrays, self._chain = arrays, shared()
        self._memory = 2 * max(self.sizes) * LANES
        self._order = _Order(
            *(0, 0, 0, 8 * arrays[4].itemsize, len(arrays[1]), max(self.sizes)),
            *(array.ctypes.data for array in arrays),
            len(arrays[3]),
        )

    def __getstate__(self) -> dict[str, Any]:
        return {"sizes": self.sizes, "weights": self.weights, "arrays": self._arrays}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.sizes, self.weights = state["sizes"], state["weights"]
        self._pack(*state["arrays"])

    def __call__(self, x: Tensor) -> Tensor:
        """Return the outputs, shape (n, outputs), of samples x, shape (n, ...), float32 on the CPU."""
        rows = x.detach().numpy()  # refuses what does not lie in plain memory
        if rows.ndim != 2:
            rows = rows.reshape(len(rows), -1)
        if rows.dtype != np.float32 or rows.shape[1] != self.sizes[0]:
            raise ValueError(
                f"this chain takes {self.sizes[0]} float32 numbers a sample, got {rows.shape[1]} {x.dtype}"
            )
        given, n = torch.from_numpy(np.ascontiguousarray(rows)), len(rows)
        out = torch.empty((n, self.sizes[-1]), dtype=torch.float32)
        memory = torch.empty(self._memory, dtype=torch.float32)
        order = _Order.from_buffer_copy(self._order)
        at = ctypes.addressof(order)
        order[1], order[2] = at + DONE, n
        order[13:16] = [memory.data_ptr(), given.data_ptr(), out.data_ptr()]
        many = self.weights * n >= SHARED
        self._chain.run(at, torch.get_num_threads() if many else 1, long=many)
        return out


def linear_layers(model: nn.Module) -> list[_Layer]:
    """Return the layers of a chain in their order, normalisations folded into them.

    Raises
    ------
    NotAChain
        If the network is not one.
    """
    try:
        graph = fx.symbolic_trace(model).graph
    except Exception as error:
        raise NotAChain(f"its forward pass cannot be traced ({str(error).partition(chr(10))[0]})") from None
    modules = dict(model.named_modules())
    layers: list[_Layer] = []
    last: Any = None
    for node in graph.nodes:
        if node.op == "placeholder":
            if last is not None:
                raise NotAChain("it takes several inputs")
            last = node
            continue
        if node.op == "output":
            if node.args[0] is not last:
                raise NotAChain("it returns something else than its last layer's output")
            break
        if node.op == "call_function" and node.target in (getattr, operator.getitem):
            raise NotAChain(f"{node.name} computes with shapes")
        if (
            node.op == "get_attr"
            or node.args[:1] != (last,)
            or any(isinstance(other, fx.Node) for other in (*node.args[1:], *node.kwargs.values()))
        ):
            raise NotAChain(f"{node.name} is not the only reader of what comes before it")
        if len(last.users) > 1:
            raise NotAChain(f"{last.name} is read more than once")
        module = modules[node.target] if node.op == "call_module" else None
        _take(node, module, layers)
        last = node
    if not layers:
        raise NotAChain("it has no linear layer")
    return layers


def _take(node: fx.Node, module: nn.Module | None, layers: list[_Layer]) -> None:
    """Append a layer, or change the last one by what follows it."""
    kind: Any = node.target if module is None else type(module)
    plain = module is not None and len(node.args) == 1
    if isinstance(module, nn.Linear) and plain:
        weight = module.weight.detach()
        if weight.dtype != torch.float32 or weight.device.type != "cpu":
            raise NotAChain(f"{node.target} is {weight.dtype} on {weight.device}, not float32 on the CPU")
        bias = torch.zeros(len(weight)) if module.bias is None else module.bias.detach()
        layers.append(_Layer(weight, bias))
        return
    flat = (isinstance(module, nn.Flatten) and (module.start_dim, module.end_dim) == (1, -1)) or (
        kind in (torch.flatten, "flatten") and (*node.args[1:], *node.kwargs.values()) in ((1,), (1, -1))
    )
    if flat or kind in _IDLE or node.target == F.dropout:
        if flat and layers:
            return  # what comes out of a layer is flat
        return
    code = ACTIVATIONS.get(kind)
    if code is not None and layers and layers[-1].code == 0:
        exact = getattr(module, "approximate", node.kwargs.get("approximate", "none")) == "none"
        if exact:
            layers[-1] = _Layer(layers[-1].weight, layers[-1].bias, code)
            return
    if isinstance(module, _NORMS) and layers and layers[-1].code == 0 and module.running_mean is not None:
        assert module.running_var is not None
        scale = torch.rsqrt(module.running_var + module.eps)
        if module.affine:
            scale = scale * module.weight.detach()
        shift = -module.running_mean * scale
        if module.affine:
            shift = shift + module.bias.detach()
        before = layers[-1]
        layers[-1] = _Layer(before.weight * scale[:, None], before.bias * scale + shift)
        return
    name = kind if isinstance(kind, str) else getattr(kind, "__name__", str(kind))
    raise NotAChain(f"{node.name} ({name}) is no linear layer and no activation that the chain knows")
