"""Inference of a sparse network by every route there is, timed side by side on this machine."""

from __future__ import annotations

import contextlib
import copy
import math
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nets.export.chain import Chain, NotAChain, linear_layers
from nets.export.compact import example_inputs, shrink
from nets.export.exchange import ROUNDING, onnx_bytes, onnx_session
from nets.tickets import Ticket

#: Inputs to outputs.
Run = Callable[[Tensor], Tensor]

#: The routes, dense torch first.
ROUTES = ("dense", "shrunk", "chain", "torch-csr", "scipy-csr", "onnxruntime", "onnxruntime-shrunk")
#: Seconds before a route is timed: the threads of the one before spin for a while, which slows what follows.
SETTLED = 0.01


class Unavailable(ValueError):
    """A route does not exist for a network; the message says why."""


@dataclass(frozen=True)
class Timing:
    """One route.

    Parameters
    ----------
    route : str
        One of `ROUTES`.
    seconds : float
        Median seconds a batch; NaN if the route does not exist here.
    speedup : float
        Median over the rounds of dense seconds / its seconds: pairs timed one after the other.
    low, high : float
        Quartiles of these ratios.
    note : str
        Why the route does not exist here; else empty.
    """

    route: str
    seconds: float
    speedup: float
    low: float
    high: float
    note: str = ""


@dataclass(frozen=True, eq=False)
class Measurement:
    """Times of all routes for one batch size on this machine.

    Parameters
    ----------
    batch, threads : int
        Samples a batch; threads of torch, onnxruntime and the chain. Scipy uses one.
    timings : tuple of Timing
        In the order of `ROUTES`.
    best : str
        The fastest route; "dense" unless another one is faster in at least three quarters of the rounds.
    run : callable
        Inputs to outputs by the best route, without gradients.
    """

    batch: int
    threads: int
    timings: tuple[Timing, ...]
    best: str
    run: Run

    def __getitem__(self, route: str) -> Timing:
        return {timing.route: timing for timing in self.timings}[route]

    def __str__(self) -> str:
        lines = [f"batch {self.batch}, {self.threads} thread{'s' * (self.threads > 1)}"]
        for t in self.timings:
            mark = " <- fastest" if t.route == self.best else ""
            measured = (
                t.note or f"{1e6 * t.seconds:9.1f} us  {t.speedup:5.2f} x [{t.low:.2f}, {t.high:.2f}]{mark}"
            )
            lines.append(f"{t.route:20} {measured}")
        return "\n".join(lines)


def measure(
    model: nn.Module,
    ticket: Ticket,
    batch: int | Tensor = 1,
    *,
    threads: int | None = None,
    routes: Sequence[str] = ROUTES,
    rounds: int = 15,
    seconds: float = 0.02,
) -> Measurement:
    """Time all routes of inference side by side, and say which wins; dense torch is among them.

    In every round each route runs for about `seconds`, so that what disturbs the machine disturbs all of
    them. Every route's outputs are compared with the dense network's first.

    Parameters
    ----------
    model : Module
        The network, on the CPU, trained or not, plain or masked; left as it is.
    ticket : Ticket
        Its ticket.
    batch : int or Tensor
        Samples a batch, or a batch. A number needs a ticket that remembers the shape of inputs.
    threads : int, optional
        Threads of torch and onnxruntime; default: torch's present number.
    routes : sequence of str
        Some of `ROUTES`. "dense" is always timed.
    rounds : int
        Rounds.
    seconds : float
        Seconds of a route in a round.

    Returns
    -------
    Measurement
        `str()` of it is a table.

    Raises
    ------
    ValueError
        If a route is unknown, or the shape of inputs is.
    """
    return next(
        measurements(model, ticket, [(batch, threads)], routes=routes, rounds=rounds, seconds=seconds)
    )


def measurements(
    model: nn.Module,
    ticket: Ticket,
    settings: Iterable[tuple[int | Tensor, int | None]],
    *,
    routes: Sequence[str] = ROUTES,
    rounds: int = 15,
    seconds: float = 0.02,
) -> Iterator[Measurement]:
    """Yield what `measure` returns for each batch and number of threads; the network is exported once."""
    odd = sorted(set(routes) - set(ROUTES))
    if odd:
        raise ValueError(f"unknown route {odd[0]!r}; choose among {', '.join(ROUTES)}")
    network = ticket.masked(model).eval()
    maker: _Routes | None = None
    for batch, asked in settings:
        x = example_inputs(ticket, batch, network) if isinstance(batch, int) else torch.as_tensor(batch)
        threads = torch.get_num_threads() if asked is None else asked
        maker = maker or _Routes(network, ticket, x)
        runs: dict[str, Run] = {}
        notes: dict[str, str] = {}
        with _threads(threads), torch.inference_mode():
            wanted = network(x)
            for route in ROUTES:
                if route != "dense" and route not in routes:
                    continue
                try:
                    run = maker.make(route, threads)
                    far = float((run(x) - wanted).abs().max())
                    if not far <= ROUNDING * (1.0 + float(wanted.abs().max())):
                        raise Unavailable(f"its outputs differ by {far:.3g}")
                    runs[route] = run
                except (Unavailable, NotAChain, ImportError, ValueError) as error:
                    notes[route] = str(error)
            times = _times(runs, x, rounds, seconds)
        timings = []
        for route in ROUTES:
            if route in runs:
                ratios = [dense / own for dense, own in zip(times["dense"], times[route])]
                low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
                timings.append(Timing(route, statistics.median(times[route]), middle, low, high))
            elif route in notes:
                timings.append(Timing(route, math.nan, math.nan, math.nan, math.nan, notes[route]))
        faster = [t for t in timings if not t.note and t.low > 1.0]
        best = max(faster, key=lambda t: t.speedup).route if faster else "dense"
        yield Measurement(len(x), threads, tuple(timings), best, _without_gradients(runs[best]))


def _times(runs: dict[str, Run], x: Tensor, rounds: int, seconds: float) -> dict[str, list[float]]:
    """Return seconds a call of every route in every round."""
    calls = {}
    for route, run in runs.items():
        began = time.perf_counter()
        run(x)
        calls[route] = max(1, min(1000, round(seconds / max(1e-6, time.perf_counter() - began))))
    times: dict[str, list[float]] = {route: [] for route in runs}
    for _ in range(rounds):
        for route, run in runs.items():
            time.sleep(SETTLED)
            run(x)
            began = time.perf_counter()
            for _ in range(calls[route]):
                run(x)
            times[route].append((time.perf_counter() - began) / calls[route])
    return times


class _Routes:
    """Makes the routes of a network, sharing what several need."""

    def __init__(self, network: nn.Module, ticket: Ticket, x: Tensor) -> None:
        self.network = network
        self.x = x[: max(2, min(8, len(x)))].clone()
        self._small: nn.Module | None = None
        self._why = ""
        self._exported: dict[nn.Module, bytes] = {}
        with torch.inference_mode(False), torch.no_grad():
            try:
                small = shrink(network, ticket, self.x).eval()
            except ValueError as error:
                self._why = str(error)
            else:
                if _weights(small) < _weights(network):
                    self._small = small
                else:
                    self._why = "every unit is read: nothing can be removed"

    def make(self, route: str, threads: int) -> Run:
        """Return how a route runs."""
        if route == "dense":
            return self.network
        if route == "shrunk":
            return self._shrunk()
        if route == "chain":
            return Chain(self._small or self.network)
        if route == "torch-csr":
            return _with_csr(self._small or self.network)
        if route == "scipy-csr":
            return _scipy_chain(self._small or self.network)
        return self._onnx(self._shrunk() if route.endswith("shrunk") else self.network, threads)

    def _shrunk(self) -> nn.Module:
        if self._small is None:
            raise Unavailable(self._why)
        return self._small

    def _onnx(self, network: nn.Module, threads: int) -> Run:
        if network not in self._exported:
            with torch.inference_mode(False), torch.no_grad():
                x = self.x if len(self.x) > 1 else self.x.repeat(2, *[1] * (self.x.dim() - 1))
                self._exported[network] = onnx_bytes(network, x)
        session = onnx_session(self._exported[network], threads)
        name = session.get_inputs()[0].name
        return lambda x: torch.from_numpy(session.run(None, {name: x.numpy()})[0])


class _CsrLinear(nn.Module):
    """A linear layer that multiplies by a sparse CSR matrix."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        from nets.export.files import as_csr

        self.matrix = as_csr({"w": layer.weight.detach()}, {"w": layer.weight})["w"]
        self.bias = layer.bias

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = (self.matrix @ x.reshape(-1, x.shape[-1]).T).T.reshape(*x.shape[:-1], -1)
        return out if self.bias is None else out + self.bias


def _with_csr(network: nn.Module) -> nn.Module:
    """Return a copy whose linear layers are sparse CSR products."""
    changed = copy.deepcopy(network)
    found = {name: m for name, m in changed.named_modules() if type(m) is nn.Linear}
    if not found:
        raise Unavailable("it has no linear layer")
    for name, layer in found.items():
        if not name:
            return _CsrLinear(layer).eval()
        changed.set_submodule(name, _CsrLinear(layer).eval())
    return changed


def _scipy_chain(network: nn.Module) -> Run:
    """Return a chain of linear layers as products of scipy's CSR matrices."""
    import numpy as np
    from scipy.sparse import csr_array

    layers = [
        (csr_array(layer.weight.numpy()), layer.bias.numpy(), layer.code) for layer in linear_layers(network)
    ]
    if any(code > 1 for *_, code in layers):
        raise Unavailable("it has other activations than ReLU")

    def run(x: Tensor) -> Tensor:
        rows = x.reshape(len(x), -1).numpy().T
        for matrix, bias, code in layers:
            rows = matrix @ rows + bias[:, None]
            if code:
                np.maximum(rows, 0, out=rows)
        return torch.from_numpy(np.ascontiguousarray(rows.T))

    return run


def _weights(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def _without_gradients(run: Run) -> Run:
    def infer(x: Tensor) -> Tensor:
        with torch.inference_mode():
            return run(x)

    return infer


@contextlib.contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
