"""List the models, with their size on 32 x 32 colour images of ten classes."""

from __future__ import annotations


def models(name: str | None = None, /) -> None:
    """List the models known by name, or show the layers of one.

    Parameters
    ----------
    name
        A model, or package.module:factory.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from nets.masking.layout import maskable
    from nets.models import build
    from nets.models.registry import ARCHITECTURES
    from nets.registry import models as registry

    console = Console()
    if name is not None:
        network = build(name, SHAPE, CLASSES)
        masked = set(maskable(network))
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("parameter", overflow="fold")
        table.add_column("shape")
        table.add_column("weights", justify="right")
        table.add_column("masked")
        for parameter, tensor in network.named_parameters():
            shape = " x ".join(map(str, tensor.shape))
            table.add_row(parameter, shape, f"{tensor.numel():,}", "yes" if parameter in masked else "no")
        console.print(table)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("model", no_wrap=True)
    table.add_column("what it is, reference", overflow="fold")
    table.add_column("weights", justify="right", no_wrap=True)
    for known in registry.names():
        found = ARCHITECTURES.get(known)
        told = f"{found.title}; [dim]{found.reference}[/dim]" if found else "registered"
        weights = sum(p.numel() for p in build(known, SHAPE, CLASSES).parameters())
        table.add_row(known, told, f"{weights:,}")
    console.print(table)
    console.print(
        "weights: with images of 32 x 32 x 3 and 10 classes; every model adapts to its data.\n"
        "lottery models NAME shows the layers; your own: --model package.module:factory, called as\n"
        "factory(input_shape, n_classes).",
        highlight=False,
        markup=False,
    )


#: What the sizes are told for.
SHAPE, CLASSES = (3, 32, 32), 10
