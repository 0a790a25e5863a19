"""Write a ticket's network in another form, or as a smaller network."""

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
    report = convert(ticket, target, to, network=network, model=model, classes=classes, check=check)
    Console().print(report, highlight=False, soft_wrap=True)


#: Endings of the files, by form.
ENDINGS = {
    "packed": ".packed.safetensors",
    "int8": ".int8.safetensors",
    "safetensors": ".dense.safetensors",
    "csr": ".csr.pt",
    "torch": ".pt",
    "onnx": ".onnx",
}


def shrink(
    ticket: Path,
    /,
    *,
    network: Path | None = None,
    model: str = "",
    classes: int = 0,
    out: Path | None = None,
) -> None:
    """Take the units out of a network that its ticket leaves unread, and write what is left.

    Parameters
    ----------
    ticket
        A ticket's file.
    network
        A trained network of that ticket (network.safetensors of a stored run, or one packed). Default: the
        ticket's own rewound weights.
    model
        Name of the model, or package.module:factory. Default: what the ticket remembers.
    classes
        Classes (outputs) of that model. Default: the rows of the ticket's last masked weight.
    out
        Write the smaller network as a program for torch.export.load to this file (.pt2). Default: the
        ticket's name with .small.pt2.
    """
    from rich.console import Console

    from nets import shrink as shrunk
    from nets.export.compact import example_inputs
    from nets.export.exchange import program
    from nets.export.files import network_of
    from nets.tickets import Ticket

    read = Ticket.load(ticket)
    whole = network_of(read, network=network, model=model, classes=classes)
    x = example_inputs(read, model=whole)
    small = shrunk(whole, read, x)
    before, after = (sum(p.numel() for p in m.parameters()) for m in (whole, small))
    console = Console()
    own = dict(whole.named_parameters())
    for name, weight in small.named_parameters():
        was = own[name].shape
        if len(was) > 1:
            text = " x ".join(map(str, was)) + " -> " + " x ".join(map(str, weight.shape))
            console.print(f"{name}: {text if weight.shape != was else 'kept whole'}", highlight=False)
    console.print(f"{before:,} parameters before, {after:,} after", highlight=False)
    target = out or ticket.with_name(ticket.stem + ".small.pt2")
    console.print(f"written to {program(small, None, target, x=x)}", highlight=False, soft_wrap=True)
