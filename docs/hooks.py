"""What the pages take from the program when they are built: help of the commands, columns of results."""

from __future__ import annotations

import re
from typing import Any


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Put in what a page asks for by a line such as ``{{ lottery }}``."""
    return re.sub(r"^\{\{ (\S+) \}\}$", lambda found: PARTS[found[1]](), markdown, flags=re.MULTILINE)


def _lottery() -> str:
    from nets.command_line import make_app

    return _help(make_app())


def _convex_analysis() -> str:
    from convex_analysis.command_line import make_app

    return _help(make_app())


def _help(app: Any) -> str:
    """Return the help of all commands, without the lists that the page's own contents make."""
    text = str(app.generate_docs(heading_level=2))
    return re.sub(r"^#+ Table of Contents\n.*?(?=^\*\*|^#)", "", text, flags=re.MULTILINE | re.DOTALL)


def _results() -> str:
    from nets.runs.columns import RESULTS

    return _table(RESULTS)


def _metrics() -> str:
    from nets.runs.columns import METRICS

    return _table(METRICS)


def _table(columns: dict[str, str]) -> str:
    rows = [
        f"| {', '.join(f'`{c.strip()}`' for c in name.split(','))} | {text} |"
        for name, text in columns.items()
    ]
    return "\n".join(["| column | what it holds |", "| --- | --- |", *rows])


def _sweep_file() -> str:
    from pathlib import Path

    return f"```toml\n{Path('examples/sweep.toml').read_text(encoding='utf-8')}```"


PARTS = {
    "lottery": _lottery,
    "convex-analysis": _convex_analysis,
    "results": _results,
    "metrics": _metrics,
    "sweep-file": _sweep_file,
}
