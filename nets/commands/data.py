"""Say which data sets are there and how to get the rest; check or fetch one."""

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
    from nets.data.registry import source

    console = Console()
    root = data_folder(data_dir)
    if name is not None:
        _show(console, source(name), root, fetch, verify)
    elif fetch:
        raise ValueError("say which data set to fetch: lottery data NAME --fetch")
    else:
        _list(console, root)


def _list(console: Console, root: Path) -> None:
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


def _show(console: Console, source: Source, root: Path, fetch: bool, verify: bool) -> None:
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
