"""Write a ticket's network in another form: packed, sparse CSR, plain torch, or ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def export(
    ticket: Path,
    /,
    *,
    to: Literal["packed", "int8", "onnx", "csr", "torch", "safetensors"] = "packed",
    out: Path | None = None,
    network: Path | None = None,
    model: str = "",
    classes: int = 0,
    check: bool = False,
) -> None:
    """Write a ticket's network in another form: packed, sparse CSR, plain torch, or ONNX.

    Parameters
    ----------
    ticket
        A ticket's file.
    to
        The form. packed: masks and surviving weights, a safetensors file; int8: the same with 8-bit weights;
        csr: a state with sparse CSR tensors; torch, safetensors: the plain state; onnx: a model whose batch
        may have any size.
    out
        File to write. Default: the ticket's name with the form's ending.
    network
        A trained network (network.safetensors of a stored run, or one packed) whose weights are written.
        Default: the ticket's own rewound weights.
    model
        Name of the model, or package.module:factory, for ONNX. Default: what the ticket remembers.
    classes
        Classes (outputs) of that model. Default: the rows of the ticket's last masked weight.
    check
        Read the file again and compare; ONNX in onnxruntime.
    """
    from rich.console import Console

    from nets.export.files import convert

    target = out or ticket.with_name(ticket.stem + ENDINGS[to])
    if target.resolve() == ticket.resolve():
        raise ValueError(f"{target} is the ticket itself: name another file with --out")
    told = convert(ticket, target, to, network=network, model=model, classes=classes, check=check)
    Console().print(told, highlight=False, soft_wrap=True)


#: Endings of the files, by form.
ENDINGS = {
    "packed": ".packed.safetensors",
    "int8": ".int8.safetensors",
    "safetensors": ".dense.safetensors",
    "csr": ".csr.pt",
    "torch": ".pt",
    "onnx": ".onnx",
}
