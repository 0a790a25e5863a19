"""Sparse networks for other tools: ONNX, torch.export, TorchScript, each checked before the file is kept."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nets.export.compact import example_inputs
from nets.storage.atomic import write_bytes
from nets.tickets import Ticket

#: Largest difference of outputs that rounding is believed to make, relative to the largest output.
ROUNDING = 1e-4


def onnx(
    model: nn.Module,
    ticket: Ticket | None,
    path: str | os.PathLike[str],
    *,
    x: Tensor | None = None,
    check: bool = True,
) -> Path:
    """Write a network as an ONNX file whose batch may have any size, atomically.

    ONNX runtimes have no sparse weights, so pruned ones are zeros that are multiplied: a file is smaller and
    faster only if units were removed (`nets.shrink` first, then `onnx(small, None, path, x=x)`).

    Parameters
    ----------
    model : Module
        The network, trained or not, plain or masked by `Ticket.attach`; left as it is.
    ticket : Ticket or None
        Its ticket. None exports the network as it is, e.g. a shrunk one.
    path : path
        Where to write; an existing file is replaced.
    x : Tensor, optional
        Inputs, shape (n, ...), n at least 2. Default: random ones of the shape that the ticket remembers.
    check : bool
        Run the file in onnxruntime on batches of 1 and n and compare with the network.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    ImportError
        If the extra "export" is not installed.
    ValueError
        If the ticket is for another network, the outputs differ, or the network cannot be exported.
    """
    network, x = _ready(model, ticket, x)
    content = onnx_bytes(network, x)
    if check:
        session = onnx_session(content)
        name = session.get_inputs()[0].name
        _compare("ONNX", network, x, lambda part: session.run(None, {name: part.numpy()})[0])
    path = Path(path)
    write_bytes(path, content)
    return path


def onnx_bytes(network: nn.Module, x: Tensor) -> bytes:
    """Return a network in evaluation mode as an ONNX model with a dynamic batch."""
    _need("onnx", "onnxscript")
    with _hushed():
        try:
            program: Any = torch.onnx.export(
                network, (x,), dynamo=True, dynamic_shapes=_dynamic(), verbose=False, input_names=["x"]
            )
        except Exception as error:
            reason = str(error).strip().partition("\n")[0]
            raise ValueError(f"{type(network).__name__} cannot be exported to ONNX: {reason}") from error
        content: bytes = program.model_proto.SerializeToString()
    return content


def onnx_session(content: bytes, threads: int = 0) -> Any:
    """Return an onnxruntime session on the CPU; 0 threads leaves their number to it."""
    _need("onnxruntime")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Threads that wait in a loop for the next call would disturb whoever takes turns with this session.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def program(
    model: nn.Module,
    ticket: Ticket | None,
    path: str | os.PathLike[str],
    *,
    x: Tensor | None = None,
    check: bool = True,
) -> Path:
    """Write a network for `torch.export.load`, with a dynamic batch; arguments as `onnx`."""
    network, x = _ready(model, ticket, x)
    buffer = io.BytesIO()
    with _hushed():
        exported = torch.export.export(network, (x,), dynamic_shapes=_dynamic())
        torch.export.save(exported, buffer)
        if check:
            buffer.seek(0)
            _compare("torch.export", network, x, torch.export.load(buffer).module())
    path = Path(path)
    write_bytes(path, buffer.getvalue())
    return path


def torchscript(
    model: nn.Module,
    ticket: Ticket | None,
    path: str | os.PathLike[str],
    *,
    x: Tensor | None = None,
    check: bool = True,
) -> Path:
    """Write a network, traced, for `torch.jit.load` (torch calls it deprecated); arguments as `onnx`."""
    network, x = _ready(model, ticket, x)
    buffer = io.BytesIO()
    with _hushed():
        traced = torch.jit.trace(network, x, check_trace=False)  # type: ignore[no-untyped-call]
        torch.jit.save(traced, buffer)
        if check:
            buffer.seek(0)
            _compare("TorchScript", network, x, torch.jit.load(buffer))  # type: ignore[no-untyped-call]
    path = Path(path)
    write_bytes(path, buffer.getvalue())
    return path


def _ready(model: nn.Module, ticket: Ticket | None, x: Tensor | None) -> tuple[nn.Module, Tensor]:
    network = model if ticket is None else ticket.masked(model)
    if x is None:
        if ticket is None:
            raise ValueError("without a ticket the inputs are not known: give x, a batch of them")
        x = example_inputs(ticket, model=network).to(next(network.parameters()).dtype)
    if len(x) < 2:
        x = x.repeat(2, *[1] * (x.dim() - 1))
    if ticket is None:
        network = copy.deepcopy(network)
    return network.eval(), x


def _dynamic() -> tuple[dict[int, Any]]:
    return ({0: torch.export.Dim("batch")},)


@torch.no_grad()
def _compare(what: str, network: nn.Module, x: Tensor, run: Any) -> None:
    for part in (x[:1], x):
        wanted = network(part)
        got = torch.as_tensor(run(part))
        far = float((wanted - got).abs().max()) if wanted.shape == got.shape else torch.inf
        if not far <= ROUNDING * (1.0 + float(wanted.abs().max())):
            raise ValueError(
                f"{type(network).__name__} as {what} gives other outputs on a batch of {len(part)} "
                f"(difference {far:.3g}); nothing was written"
            )


def _need(*names: str) -> None:
    for name in names:
        try:
            __import__(name)
        except ImportError:
            raise ImportError(f'{name} is not installed: pip install "concave-sparsity[export]"') from None


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Keep exporters from telling what they deprecate and which other libraries are not there."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
