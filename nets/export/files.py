"""A trained sparse network in a file: packed, as sparse CSR tensors, or as a plain state."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, overload

import torch
from torch import Tensor, nn

from nets.storage import packed, tensor_file
from nets.storage.atomic import write_bytes
from nets.tickets import Ticket

FORMAT = "concave-sparsity network"
#: How a network may be written.
FORMS = ("packed", "int8", "csr", "torch", "safetensors")

#: Ending of the name of a weight's scales in a file of 8-bit weights.
SCALE = ":scale"

_Network = TypeVar("_Network", bound=nn.Module)


def save(
    model: nn.Module,
    ticket: Ticket,
    path: str | os.PathLike[str],
    *,
    form: str = "packed",
    dtype: torch.dtype | None = None,
) -> Path:
    """Write a trained network under its ticket's masks, atomically.

    Parameters
    ----------
    model : Module
        The network, trained or not, plain or masked by `Ticket.attach`; left as it is.
    ticket : Ticket
        Its ticket: what it prunes is zero, whatever the network has there.
    path : path
        Where to write; an existing file is replaced.
    form : str
        "packed": masks and surviving weights alone, a safetensors file (docs/files.md) that `load` reads;
        "int8": the same with masked weights rounded to 8 bits, a scale for every output channel, which
        `load` multiplies in again;
        "csr": a state with sparse CSR tensors for masked matrices (convolutions as matrices, one row an
        output channel), and "torch": the plain state with zeros, both for
        ``torch.load(path, weights_only=True)``; "safetensors": the plain state for any reader of
        safetensors.
    dtype : torch.dtype, optional
        Turn floating weights into this dtype, e.g. torch.float16. Default: each as it is, to the bit.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    ValueError
        If the form is unknown, or the ticket is for another network.
    nets.storage.atomic.StorageError
        If it cannot be written; the old file is untouched.
    """
    path = Path(path)
    if form not in FORMS:
        raise ValueError(f"form must be one of {', '.join(FORMS)}, got {form!r}")
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise ValueError(
            f'dtype must be a floating type such as torch.float16, got {dtype!r}; for 8 bits give form="int8"'
        )
    state = ticket.masked(model).state_dict()
    if dtype is not None:
        state = {name: t.to(dtype) if t.is_floating_point() else t for name, t in state.items()}
    _write(state, ticket, path, form)
    return path


def _write(state: Mapping[str, Tensor], ticket: Ticket, path: Path, form: str) -> None:
    if form in ("packed", "int8"):
        metadata: dict[str, Any] = {"metadata": dict(ticket.metadata)}
        if form == "int8":
            state, metadata["int8"] = _rounded(state, ticket.masks)
        packed.write(path, FORMAT, state, ticket.masks, metadata)
    elif form == "safetensors":
        import safetensors.torch

        apart = {name: t.detach().cpu().contiguous().clone() for name, t in state.items()}
        write_bytes(path, safetensors.torch.save(apart))
    else:
        buffer = io.BytesIO()
        torch.save(as_csr(state, ticket.masks) if form == "csr" else dict(state), buffer)
        write_bytes(path, buffer.getvalue())


def as_csr(state: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state whose masked tensors are sparse CSR matrices, one row for the first dimension.

    Weights under the mask that are zero by value are dropped; vectors stay dense.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta", UserWarning)
        return {
            name: tensor.flatten(1).to_sparse_csr() if name in masks and tensor.dim() > 1 else tensor
            for name, tensor in state.items()
        }


def _rounded(
    state: Mapping[str, Tensor], masks: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return a state whose masked weights are integers times a scale a row, and their dtypes by name.

    Symmetric: the largest size of a row is 127. Zeros stay zeros, so the mask does.
    """
    rounded: dict[str, Tensor] = {}
    dtypes = {}
    for name, tensor in state.items():
        if name not in masks or not tensor.is_floating_point():
            rounded[name] = tensor
            continue
        rows = tensor.detach().float().reshape(len(tensor), -1)
        scale = rows.abs().amax(1) / 127
        scale[scale == 0] = 1.0
        whole = (rows / scale[:, None]).round().clamp(-127, 127).to(torch.int8)
        rounded[name], rounded[name + SCALE] = whole.reshape(tensor.shape), scale
        dtypes[name] = str(tensor.dtype).removeprefix("torch.")
    return rounded, dtypes


def _scaled(state: dict[str, Tensor], dtypes: Mapping[str, str]) -> dict[str, Tensor]:
    """Return the state that `_rounded` integers stand for."""
    whole = dict(state)
    for name, dtype in dtypes.items():
        scale = whole.pop(name + SCALE)
        rows = state[name].float().reshape(len(scale), -1) * scale[:, None]
        kind = getattr(torch, dtype)
        if not isinstance(kind, torch.dtype):
            raise TypeError(f"{dtype} is no dtype")
        whole[name] = rows.reshape(state[name].shape).to(kind)
    return whole


@overload
def load(path: str | os.PathLike[str]) -> dict[str, Tensor]: ...
@overload
def load(path: str | os.PathLike[str], model: _Network) -> _Network: ...
def load(path: str | os.PathLike[str], model: nn.Module | None = None) -> Any:
    """Read a network that `save` packed, or the network of a stored run; nothing is unpickled.

    Parameters
    ----------
    path : path
        The file.
    model : Module, optional
        A network of the same architecture, which takes the weights. Its own dtype stays.

    Returns
    -------
    dict of str to Tensor, or Module
        The plain dense state, on the CPU; or `model`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no such file, is truncated, was changed since it was written, or is of another network (which
        is then left unchanged).
    """
    path = Path(path)
    if tensor_file.version(path, FORMAT) == 1:  # every weight: the networks of stored runs
        state = dict(tensor_file.read(path, FORMAT, 1).tensors)
    else:
        state, _, metadata = packed.read(path, FORMAT)
        try:
            state = _scaled(state, metadata.get("int8", {}))
        except (AttributeError, KeyError, TypeError, RuntimeError) as error:
            raise ValueError(f"{path} is not a network that this library wrote ({error!r})") from None
    if model is None:
        return state
    own = model.state_dict()
    odd = sorted(own.keys() ^ state.keys())
    odd += [name for name in own if name in state and own[name].shape != state[name].shape]
    if odd:
        raise ValueError(
            f"{path} is of another network than {type(model).__name__}: see {', '.join(odd[:5])}"
        )
    model.load_state_dict(state)
    return model


def network_of(
    ticket: Ticket,
    *,
    network: Path | None = None,
    model: str = "",
    classes: int = 0,
) -> nn.Module:
    """Return the network of a ticket: a model by its name, with the ticket's weights or those of a file.

    Raises
    ------
    ValueError
        If the ticket remembers neither model nor shape of inputs, or is for another network.
    """
    from nets.models import build

    name = model or str(ticket.metadata.get("model", ""))
    shape = ticket.metadata.get("input_shape")
    if not name or shape is None:
        raise ValueError("the ticket does not remember its model and the shape of inputs: find it again")
    outputs = classes or len(list(ticket.masks.values())[-1])
    made = build(name, tuple(shape), outputs)
    ticket.apply(made)
    return made if network is None else load(network, made)


def convert(
    path: Path,
    target: Path,
    form: str,
    *,
    network: Path | None = None,
    model: str = "",
    classes: int = 0,
    check: bool = False,
) -> str:
    """Write a ticket's network in another form and return a sentence that tells what was written.

    Raises
    ------
    ValueError
        If a file is not what it should be, or a check fails.
    """
    ticket = Ticket.load(path)
    if form == "onnx":
        from nets.export.exchange import onnx

        made = network_of(ticket, network=network, model=model, classes=classes)
        onnx(made, ticket, target, check=check)
        checked = " (outputs equal in onnxruntime, batches of 1 and 8)" if check else ""
    else:
        state = ticket.masked_weights() if network is None else load(network)
        lacking = sorted(ticket.weights.keys() ^ state.keys())
        if lacking:
            raise ValueError(f"{network} is of another network than the ticket: see {', '.join(lacking[:5])}")
        state = {n: t.masked_fill(~ticket.masks[n], 0) if n in ticket.masks else t for n, t in state.items()}
        _write(state, ticket, target, form)
        checked = ""
        if check:
            far = _compare(state, target, form)
            checked = f" (read again: {f'within {far:.2g} of the largest' if far else 'equal to the bit'})"
    share = target.stat().st_size / sum(t.nbytes for t in ticket.weights.values())
    return f"{target}: {target.stat().st_size:,} bytes, {100 * share:.3g}% of the dense weights{checked}"


def _compare(state: Mapping[str, Tensor], path: Path, form: str) -> float:
    """Return how far a file's weights are from a state's, relative to the largest of their tensor.

    Raises
    ------
    ValueError
        Unless the file holds this state, of 8-bit weights up to their rounding.
    """
    worst = 0.0
    if form in ("packed", "int8"):
        again: Mapping[str, Tensor] = load(path)
    elif form == "safetensors":
        import safetensors.torch

        again = safetensors.torch.load_file(path)
    else:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta", UserWarning)
            read = torch.load(path, weights_only=True)
            again = {n: t.to_dense() if t.layout == torch.sparse_csr else t for n, t in read.items()}
    for name, tensor in state.items():
        other = again[name].reshape(tensor.shape) if name in again else None
        if other is not None and torch.equal(other, tensor):
            continue
        far = float((other - tensor).abs().max() / tensor.abs().max()) if other is not None else torch.inf
        if form != "int8" or not far <= 1 / 127:
            raise ValueError(f"{path} does not hold {name} as it was written")
        worst = max(worst, far)
    return worst
