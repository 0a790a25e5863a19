"""What is there by name: data sets (to check or fetch, too), methods, models, tasks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from nets.data.source import Source


def data(
    name: str | None = None, /, *, data_dir: Path | None = None, fetch: bool = False, verify: bool = True
) -> None:
    """List the data sets and where they are; with a name, check its files and show what they hold.

    Parameters
    ----------
    name
        A data set.
    data_dir
        Data folder; default: the environment variable CONCAVE_SPARSITY_DATA, else a cache folder.
    fetch
        Download the named data set if it is not there.
    verify
        Check the files against the published ones; --no-verify reads files of your own in their form.
    """
    from rich.console import Console

    from nets.data import data_folder
    from nets.data.folder import source

    console = Console()
    root = data_folder(data_dir)
    if name is not None:
        _show_data(console, source(name), root, fetch, verify)
    elif fetch:
        raise ValueError("say which data set to fetch: lottery data NAME --fetch")
    else:
        _list_data(console, root)


def _list_data(console: Console, root: Path) -> None:
    from rich import box
    from rich.table import Column, Table

    from nets.data import inventory
    from nets.data.folder import remedy

    console.print(f"data folder: {root}", highlight=False, soft_wrap=True)
    table = Table(
        Column("data set", no_wrap=True),
        "what it is",
        Column("train + test", no_wrap=True),
        "where",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    found = inventory(root)
    where = {
        "bundled": "comes along",
        "archive": "archive, unpacked on first use",
        "absent": "not here",
    }
    for item in found:
        source = item.source
        table.add_row(
            source.name,
            source.title,
            f"{source.n_train:,}" + (f" + {source.n_test:,}" if source.n_test else ""),
            str(item.path.relative_to(root)) if item.path and item.status == "here" else where[item.status],
        )
    console.print(table)
    absent = [item.source for item in found if not item.ready]
    if absent:
        console.print(
            "What is not here is downloaded on first use, or now by `lottery data NAME --fetch`.",
            highlight=False,
            soft_wrap=True,
        )
        console.print("Without a network:", highlight=False)
    for source in absent:
        console.print(f"  {source.name}: {remedy(source, root)}.", highlight=False, soft_wrap=True)
    console.print(
        "Your own: --data FOLDER/ with one folder of images a class, or --data package.module:factory.",
        highlight=False,
        soft_wrap=True,
    )


def _show_data(console: Console, source: Source, root: Path, fetch: bool, verify: bool) -> None:
    from nets.data import Dataset, load
    from nets.data.folder import locate

    loaded = load(source.name, data_dir=root, download=fetch, verify=verify)
    assert isinstance(loaded, Dataset)
    found = locate(source, root)
    console.print(f"[bold]{source.name}[/bold]: {source.title}", highlight=False)
    console.print(f"reference: {source.reference}", highlight=False, soft_wrap=True)
    console.print(f"where: {found[1] if found else 'with the installation'}", highlight=False, soft_wrap=True)
    if found:
        console.print("files: verified" if verify else "files: not verified", highlight=False)
    sizes = ", ".join(f"{len(loaded.part(p)[1]):,} {p}" for p in ("train", "validation", "test"))
    shape = " x ".join(map(str, loaded.input_shape))
    console.print(
        f"samples: {sizes}; shape {shape}; {loaded.n_classes} classes", highlight=False, soft_wrap=True
    )


def methods(name: str | None = None, /) -> None:
    """List the methods of finding tickets, or show one with its options.

    Parameters
    ----------
    name
        A method.
    """
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from nets.configuration import CONTROLS
    from nets.methods import method
    from nets.methods import methods as all_methods

    console = Console()
    if name is not None:
        chosen = method(name)
        console.print(f"[bold]{chosen.name}[/bold]: {chosen.summary}", highlight=False)
        console.print(f"reference: {chosen.reference}", highlight=False)
        console.print(f"needs: {', '.join(chosen.needs) or 'nothing special'}", highlight=False)
        console.print(f"granularities: {', '.join(chosen.granularities)}", highlight=False)
        table = Table(
            "option", "default", title="--option name=value", title_justify="left", box=box.SIMPLE_HEAD
        )
        table.add_column("what it does", overflow="fold")
        for option in chosen.options:
            table.add_row(option.name, f"{option.default}", option.help)
        if chosen.options:
            console.print(table)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("method", no_wrap=True)
    table.add_column("what it does; reference", overflow="fold")
    table.add_column("search", no_wrap=True, justify="right")
    for chosen in all_methods():
        cost = chosen.cost(0.05, 1.0, chosen.settle({}))
        table.add_row(chosen.name, f"{chosen.summary}; [dim]{escape(chosen.reference)}[/dim]", f"{cost:g} E")
    console.print(table)
    console.print(
        "search: cost at 5% of the weights. lottery methods NAME shows options, needs and granularities.",
        highlight=False,
        soft_wrap=True,
    )
    console.print("E: epochs of one training; every ticket is then retrained for E epochs.", highlight=False)
    console.print(f"controls of any ticket (--control): {', '.join(CONTROLS)}", highlight=False)


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
    from nets.models.factory import ARCHITECTURES
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
        text = f"{found.title}; [dim]{found.reference}[/dim]" if found else "registered"
        weights = sum(p.numel() for p in build(known, SHAPE, CLASSES).parameters())
        table.add_row(known, text, f"{weights:,}")
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


def tasks() -> None:
    """List the tasks known by name, with their settings, loss and metric."""
    import inspect

    from rich import box
    from rich.console import Console
    from rich.table import Table

    from nets.registry import tasks as registry
    from nets.tasks import Task

    console = Console()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("task", no_wrap=True)
    table.add_column("what it is", overflow="fold")
    table.add_column("settings", overflow="fold")
    table.add_column("metric", overflow="fold")
    for name in registry.names():
        made = registry.find(name)
        task = made if isinstance(made, Task) else made()
        text = (inspect.getdoc(made) or "").split("\n")[0].removeprefix("Return the task of ").rstrip(".")
        settings = [] if made is task else list(inspect.signature(made).parameters)
        table.add_row(name, text, ", ".join(settings), task.metric.name)
    console.print(table)
    console.print(
        "--task NAME or --task 'NAME(setting=value)', e.g. --task 'regression(huber, metric=r2)';\n"
        "your own: --task package.module:TASK (see docs/tasks.md).",
        highlight=False,
        markup=False,
    )
