"""List the methods, with reference, cost and what they need; or the options of one."""

from __future__ import annotations


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
