"""List the methods, with reference, cost and what they need; or the options of one."""

from __future__ import annotations


def methods(name: str | None = None, /) -> None:
    """List the methods of finding tickets, or show one with its options.

    Parameters
    ----------
    name
        A method.
    """
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
        table = Table("option", "default", "what it does", title="--option name=value", title_justify="left")
        for option in chosen.options:
            table.add_row(option.name, f"{option.default}", option.help)
        if chosen.options:
            console.print(table)
        return
    table = Table(show_lines=True)
    table.add_column("method", no_wrap=True)
    table.add_column("what it does, reference, needs, granularities")
    table.add_column("search at 5%", no_wrap=True)
    for chosen in all_methods():
        cost = chosen.cost(0.05, 1.0, chosen.settle({}))
        needs = f"needs {', '.join(chosen.needs)}; " if chosen.needs else ""
        beside = f"{chosen.reference}; {needs}{', '.join(chosen.granularities)}"
        table.add_row(chosen.name, f"{chosen.summary}\n[dim]{escape(beside)}[/dim]", f"{cost:g} E")
    console.print(table)
    console.print("E: epochs of one training; every ticket is then retrained for E epochs.", highlight=False)
    console.print(f"controls of any ticket (--control): {', '.join(CONTROLS)}", highlight=False)
