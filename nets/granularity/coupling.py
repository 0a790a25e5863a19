"""Which outputs of layers are read by which inputs: found by letting NaN flow through the network.

An output channel that is NaN makes exactly those inputs NaN that depend on it, through activations, pooling,
flattening, residual sums, attention and whatever else lies between two layers. Channels and inputs that hang
together form one unit: a neuron, a channel of all layers on one residual stream, an attention head, a hidden
unit of an LSTM (`nets.granularity.recurrent`).
"""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from nets.granularity import recurrent
from nets.masking.layout import MASKED_LAYERS

#: Modules that act on each channel alone: their vectors go with the channels.
NORMALISATIONS = (nn.modules.batchnorm._NormBase, nn.PReLU)

#: Channels probed one by one in one pass, where the quick code does not tell them apart.
CHUNK = 64

_OUTPUT = "the network's output"


@dataclass(frozen=True)
class Coupling:
    """The units of a network.

    Parameters
    ----------
    units : int
        Their number.
    outputs, inputs : mapping of str to Tensor
        By name of a layer: the unit that each of its output and input channels belongs to, -1 for those that
        cannot be removed. Of recurrent layers by the name of each weight: of its rows and columns.
    vectors : mapping of str to Tensor
        By name of a normalisation (or PReLU): the unit of each entry of its vectors.
    transposed : frozenset of str
        Layers whose weights have their inputs first.
    whole : mapping of str to str
        Recurrent layers whose units cannot be told apart, and why.
    """

    units: int
    outputs: Mapping[str, Tensor]
    inputs: Mapping[str, Tensor]
    vectors: Mapping[str, Tensor]
    transposed: frozenset[str] = frozenset()
    whole: Mapping[str, str] = field(default_factory=dict)

    def key(self, weight: str) -> str | None:
        """Return the name by which `outputs` and `inputs` know a weight; None for no weight of a layer."""
        if weight in self.outputs:
            return weight
        layer, _, last = weight.rpartition(".")
        return layer if last == "weight" and layer in self.outputs else None


def coupling(model: nn.Module, masked: tuple[str, ...], x: Tensor) -> Coupling:
    """Find the units of a network; the network is left as it is.

    Parameters
    ----------
    model : Module
        Any network that keeps samples in the first dimension.
    masked : tuple of str
        Names of the weights that may be pruned. The outputs and inputs of other layers stay whole.
    x : Tensor
        One input or more, the first of which is tried on; shape (n, ...).

    Raises
    ------
    ValueError
        If the samples of a batch are mixed or do not stay in the first dimension.
    """
    return _Probe(model, masked, x[:1]).coupling()


class _Probe:
    """Runs a copy of a network whose layers answer with stored outputs, some channels of which are NaN."""

    def __init__(self, model: nn.Module, masked: tuple[str, ...], x: Tensor) -> None:
        self.x = x
        self.model = copy.deepcopy(model).eval()
        modules = dict(self.model.named_modules())
        self.layers = {n: m for n, m in modules.items() if isinstance(m, MASKED_LAYERS)}
        self.norms = {n: m for n, m in modules.items() if isinstance(m, NORMALISATIONS) and _size(m) > 1}
        self.all_cells = {n: m for n, m in modules.items() if isinstance(m, nn.RNNBase)}
        self.whole = {n: "it has a projection" for n, m in self.all_cells.items() if m.proj_size}
        self.cells = {n: m for n, m in self.all_cells.items() if not m.proj_size}
        weights: dict[str, list[str]] = {n: ["weight"] for n in self.layers}
        weights |= {n: [w.name for w in recurrent.recurrent_weights(m)] for n, m in self.cells.items()}
        count = Counter(id(getattr(modules[n], w)) for n, own in weights.items() for w in own)
        self.free = {
            n: all(f"{n}.{w}".lstrip(".") in masked and count[id(getattr(modules[n], w))] == 1 for w in own)
            for n, own in weights.items()
        }
        self.clean: dict[str, list[Any]] = {n: [] for n in weights}
        self.calls: dict[str, int] = {}
        self.nan: dict[str, Tensor] = {}
        self.noted: dict[str, Tensor] = {}
        self.samples = 0
        for name, layer in self.layers.items():
            layer.forward = self._layer(name, layer)  # type: ignore[method-assign,assignment]
        for name, norm in self.norms.items():
            norm.forward = self._norm(name)  # type: ignore[method-assign]
        for name, cells in self.cells.items():
            cells.forward = self._recurrent(name, cells)

    def coupling(self) -> Coupling:
        """Probe layer by layer and join what hangs together."""
        with torch.no_grad(), _plain_attention():
            self.samples = 0  # the layers compute, and their outputs are stored
            out = self.model(self.x)
            self.cells = {n: m for n, m in self.cells.items() if n not in self.whole}
            sizes = self._sizes(out)
            first = dict(zip(sizes, np.cumsum([0, *sizes.values()]).tolist()))
            held = np.zeros(sum(sizes.values()), dtype=bool)
            edges: list[np.ndarray] = []

            def place(what: str, name: str) -> slice:
                start = first[what, name]
                return slice(start, start + sizes[what, name])

            for name, layer in self.layers.items():
                if not self.free[name] or not self.clean[name]:
                    held[place("out", name)] = held[place("in", name)] = True
                elif getattr(layer, "groups", 1) != 1:
                    edges += _whole_groups(layer, first["out", name], first["in", name])
            for name, cells in self.cells.items():
                if not self.free[name] or not self.clean[name]:
                    for key in (("in", name), *(("state", key) for key in _states(name, cells))):
                        held[place(*key)] = True
            held[place("in", _OUTPUT)] = True
            sources = [("out", name) for name in self.layers if self.clean[name]]
            sources += [("state", k) for n, m in self.cells.items() if self.clean[n] for k in _states(n, m)]
            for what, name in sources:
                for reader, reads in self._readers(name, sizes[what, name]):
                    edges += _edges(reads, first[what, name], first["in", reader])
            for reader, noted in self._foreign().items():
                held[place("in", reader)] |= noted[0].numpy()
        unit = self._units(held, edges, first, sizes)
        where = {key: torch.from_numpy(unit[place(*key)]) for key in sizes}
        outputs = {n: where["out", n] for n in self.layers}
        inputs = {n: where["in", n] for n in self.layers}
        for name, cells in self.all_cells.items():
            if name in self.cells:
                states = torch.stack([where["state", key] for key in _states(name, cells)])
                rows, columns = recurrent.places(cells, where["in", name], states)
            else:
                matrices = [(n, p) for n, p in cells.named_parameters() if p.dim() == 2]
                rows, columns = ({n: torch.full((p.shape[i],), -1) for n, p in matrices} for i in (0, 1))
            outputs |= {f"{name}.{w}".lstrip("."): units for w, units in rows.items()}
            inputs |= {f"{name}.{w}".lstrip("."): units for w, units in columns.items()}
        return Coupling(
            int(unit.max(initial=-1)) + 1,
            outputs,
            inputs,
            {n: where["in", n] for n in self.norms},
            frozenset(n for n, m in self.layers.items() if inputs_first(m)),
            self.whole,
        )

    def _sizes(self, out: Tensor) -> dict[tuple[str, str], int]:
        sizes = {}
        for name, layer in self.layers.items():
            sizes["out", name], sizes["in", name] = _channels(layer)
        sizes |= {("in", name): _size(norm) for name, norm in self.norms.items()}
        for name, cells in self.cells.items():
            sizes["in", name] = cells.input_size
            width = cells.hidden_size * (2 if cells.bidirectional else 1)
            sizes |= {("state", key): width for key in _states(name, cells)}
        sizes["in", _OUTPUT] = out[0].numel()
        return sizes

    def _units(
        self,
        held: np.ndarray,
        edges: list[np.ndarray],
        first: Mapping[tuple[str, str], int],
        sizes: Mapping[tuple[str, str], int],
    ) -> np.ndarray:
        """Return the number of the removable set that each node is in, -1 for the others."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        n = len(held)
        pairs = np.concatenate(edges) if edges else np.empty((0, 2), dtype=np.int64)
        graph = coo_array((np.ones(len(pairs), dtype=np.int8), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
        count, part = connected_components(graph, directed=False)
        kept = np.zeros((3, count), dtype=bool)  # held, has an output, has an input
        kept[0, part[held]] = True
        for (what, name), start in first.items():
            if what == "state":  # the recurrent weight reads it
                kept[1:, part[start : start + sizes[what, name]]] = True
            elif name in self.layers or name in self.cells:
                kept[1 if what == "out" else 2, part[start : start + sizes[what, name]]] = True
        removable = ~kept[0] & kept[1] & kept[2]
        _, earliest = np.unique(part, return_index=True)
        order = [p for p in part[np.sort(earliest)] if removable[p]]
        number = np.full(count, -1, dtype=np.int64)
        number[order] = np.arange(len(order))
        return number[part]

    def _readers(self, name: str, channels: int) -> Iterator[tuple[str, np.ndarray]]:
        """Yield who reads the outputs of a layer: reader, boolean (inputs, channels).

        The channels are told apart by the binary digits of their numbers: for every digit one sample has NaN
        where it is 1 and one where it is 0. An input that reads several channels shows both; then they are
        probed one by one, unless it shows all there is.
        """
        digits = [(np.arange(channels) >> k) & 1 for k in range(max(1, math.ceil(math.log2(channels))))]
        tests = np.stack([digit == value for digit in digits for value in (0, 1)])
        noted = {r: p.numpy() for r, p in self._run(name, torch.from_numpy(tests)).items() if p.any()}
        exact: dict[str, np.ndarray] = {}
        for reader, shown in noted.items():
            reads = np.ones((shown.shape[1], channels), dtype=bool)
            for test, pattern in zip(tests.reshape(-1, 2, channels), shown.reshape(-1, 2, shown.shape[1])):
                reads &= (pattern[0][:, None] & test[0]) | (pattern[1][:, None] & test[1])
            several = reads.sum(1) > 1
            if (several & ~reads.all(1)).any():
                exact = exact or self._one_by_one(name, channels)
                reads = exact[reader]
            yield reader, reads

    def _one_by_one(self, name: str, channels: int) -> dict[str, np.ndarray]:
        parts: dict[str, list[np.ndarray]] = {}
        for part in torch.split(torch.eye(channels, dtype=torch.bool), CHUNK):
            for reader, shown in self._run(name, part).items():
                parts.setdefault(reader, []).append(shown.numpy().T)
        return {reader: np.concatenate(shown, axis=1) for reader, shown in parts.items()}

    def _run(self, name: str, tests: Tensor) -> dict[str, Tensor]:
        """Return what every reader sees, boolean (tests, inputs), where `tests` (tests, channels) is NaN."""
        none = torch.zeros((1, tests.shape[1]), dtype=torch.bool)
        self.nan = {name: torch.cat([none, tests, none])}  # a sample without NaN at each end must stay so
        noted = self._pass(self.x.expand(len(tests) + 2, *self.x.shape[1:]))
        self.nan = {}
        if any(bool(shown[0].any() or shown[-1].any()) for shown in noted.values()):
            raise ValueError(
                f"{type(self.model).__name__} mixes the samples of a batch, so its channels cannot be told "
                "apart; prune by weight or N:M"
            )
        return {reader: shown[1:-1] for reader, shown in noted.items()}

    def _foreign(self) -> dict[str, Tensor]:
        """Return which inputs depend on the network's input or on parameters outside the layers."""
        own = {
            id(t)
            for m in (*self.layers.values(), *self.norms.values(), *self.cells.values())
            for t in (*m.parameters(), *m.buffers())
        }
        for tensor in (*self.model.parameters(), *self.model.buffers()):
            if id(tensor) not in own and tensor.is_floating_point():
                tensor.data.fill_(torch.nan)
        return self._pass(torch.full_like(self.x, torch.nan) if self.x.is_floating_point() else self.x)

    def _pass(self, x: Tensor) -> dict[str, Tensor]:
        self.samples = len(x)
        self.noted, self.calls = {}, {}
        self._note(_OUTPUT, self.model(x).flatten(1), 1)
        return self.noted

    def _note(self, reader: str, x: Tensor, axis: int) -> None:
        if x.shape[0] % self.samples:
            raise ValueError(
                f"{reader} of {type(self.model).__name__} takes an input of shape {tuple(x.shape)} from a "
                f"batch of {self.samples}: samples must stay in the first dimension; prune by weight or N:M"
            )
        shown = torch.isnan(x).movedim(axis, -1).reshape(self.samples, -1, x.shape[axis]).any(1)
        self.noted[reader] = self.noted[reader] | shown if reader in self.noted else shown

    def _layer(self, name: str, module: nn.Module) -> Callable[[Tensor], Tensor]:
        compute = module.forward
        axis = -1 if isinstance(module, nn.Linear) else 1

        def forward(x: Tensor, *others: Any, **named: Any) -> Tensor:
            if not self.samples:
                computed: Tensor = compute(x, *others, **named)
                self.clean[name].append(computed)
                return computed
            self._note(name, x, axis)
            call = self.calls[name] = self.calls.get(name, -1) + 1
            return self._repeated(self.clean[name][call], self.nan.get(name), axis)

        return forward

    def _repeated(self, out: Tensor, nan: Tensor | None, axis: int = -1, batch: int = 0) -> Tensor:
        """Return a stored output once for each sample, NaN along an axis where that is asked for."""
        shape = list(out.shape)
        out = out.unsqueeze(batch).expand(*shape[:batch], self.samples, *shape[batch:])
        if nan is not None:
            shape = [1] * out.dim()
            shape[batch], shape[axis if axis < 0 else axis + 1] = nan.shape
            out = torch.where(nan.view(shape), torch.nan, out)
        return out.flatten(batch, batch + 1)

    def _recurrent(self, name: str, module: nn.RNNBase) -> Callable[..., Any]:
        compute = module.forward
        batch = 0 if module.batch_first else 1
        keys = _states(name, module)

        def forward(x: Any, state: Any = None) -> Any:
            if not self.samples and (why := recurrent.why_whole(module, x, state)):
                self.whole[name] = why
            if name in self.whole:
                return compute(x, state)
            if not self.samples:
                self.clean[name].append(compute(x))
                return self.clean[name][-1]
            self._note(name, x.movedim(batch, 0), -1)
            call = self.calls[name] = self.calls.get(name, -1) + 1
            out, states = self.clean[name][call]
            nan = [self.nan.get(key) for key in keys]
            out = self._repeated(out, nan[-1], batch=batch)
            halves = 2 if module.bidirectional else 1

            def repeated(states: Tensor) -> Tensor:  # (layers * directions, n, units)
                each = [
                    n if n is None else n.view(len(n), halves, -1)[:, d] for n in nan for d in range(halves)
                ]
                return torch.stack([self._repeated(own, part) for own, part in zip(states, each)])

            return out, tuple(map(repeated, states)) if isinstance(states, tuple) else repeated(states)

        return forward

    def _norm(self, name: str) -> Callable[[Tensor], Tensor]:
        def forward(x: Tensor) -> Tensor:
            if self.samples:
                self._note(name, x, 1)
            return x  # channels stay channels; statistics of the batch would mix the samples

        return forward


def _states(name: str, module: nn.RNNBase) -> list[str]:
    """Return names of the states of each layer of a recurrent module."""
    return [f"{name}:{layer}" for layer in range(module.num_layers)]


def _edges(reads: np.ndarray, outputs: int, inputs: int) -> list[np.ndarray]:
    """Return edges (output, input) that join every input with the channels it reads, not all of them."""
    readers = np.flatnonzero(reads.any(1))
    lead = reads.argmax(1)
    edges = [np.stack([outputs + lead[readers], inputs + readers], axis=1)]
    several = reads[reads.sum(1) > 1]
    for row in np.unique(several, axis=0):
        members = outputs + np.flatnonzero(row)
        edges.append(np.stack([np.full(len(members) - 1, members[0]), members[1:]], axis=1))
    return edges


def _whole_groups(layer: nn.Module, outputs: int, inputs: int) -> list[np.ndarray]:
    """Return edges that tie all channels of each group of a convolution: groups go whole, as one unit."""
    out, into = _channels(layer)
    groups = int(layer.groups)  # type: ignore[arg-type]
    lead = inputs + np.arange(groups) * (into // groups)  # the first input of each group
    pairs = [
        np.stack([outputs + np.arange(out), lead[np.arange(out) // (out // groups)]], axis=1),
        np.stack([inputs + np.arange(into), lead[np.arange(into) // (into // groups)]], axis=1),
    ]
    return pairs


def inputs_first(layer: nn.Module) -> bool:
    """Tell whether the weight of a layer has its inputs in the first dimension, its outputs in the second."""
    return isinstance(layer, nn.modules.conv._ConvTransposeNd) and layer.groups == 1


def _channels(layer: nn.Module) -> tuple[int, int]:
    """Return the number of output and of input channels of a layer."""
    if isinstance(layer, nn.Linear):
        return layer.out_features, layer.in_features
    return int(layer.out_channels), int(layer.in_channels)  # type: ignore[arg-type]


def _size(norm: nn.Module) -> int:
    return int(norm.num_parameters if isinstance(norm, nn.PReLU) else norm.num_features)  # type: ignore[arg-type]


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Keep torch from fusing layers, which would not be called, and attention, which would lose the NaN."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
