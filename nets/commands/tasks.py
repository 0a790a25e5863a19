"""List the tasks: what targets may mean, the loss and the metric of each."""

from __future__ import annotations


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
        told = (inspect.getdoc(made) or "").split("\n")[0].removeprefix("Return the task of ").rstrip(".")
        settings = [] if made is task else list(inspect.signature(made).parameters)
        table.add_row(name, told, ", ".join(settings), task.metric.name)
    console.print(table)
    console.print(
        "--task NAME or --task 'NAME(setting=value)', e.g. --task 'regression(huber, metric=r2)';\n"
        "your own: --task package.module:TASK (see docs/tasks.md).",
        highlight=False,
        markup=False,
    )
