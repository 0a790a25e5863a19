"""What the pages take from elsewhere when they are built: help of commands, columns of results, figures."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

#: Figures lie beside what draws them, and pages link to them there.
FIGURES = Path(__file__).parents[1] / "figures" / "pictures"


def on_files(files: Any, config: Any, **_: Any) -> Any:
    """Add the figures to the site."""
    from mkdocs.structure.files import File

    for path in sorted(FIGURES.glob("*.png")):
        files.append(File.generated(config, f"figures/pictures/{path.name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Put in what a page asks for by a line such as ``{{ lottery }}``; link to figures inside the site."""
    above = "../" * page.file.src_uri.count("/")
    markdown = re.sub(r"\]\((?:\.\./)*figures/pictures/", f"]({above}figures/pictures/", markdown)
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
    from nets.result import RESULTS

    return _table(RESULTS)


def _metrics() -> str:
    from nets.result import METRICS

    return _table(METRICS)


def _table(columns: dict[str, str]) -> str:
    rows = [
        f"| {', '.join(f'`{c.strip()}`' for c in name.split(','))} | {text} |"
        for name, text in columns.items()
    ]
    return "\n".join(["| column | what it holds |", "| --- | --- |", *rows])


def _sweep_file() -> str:
    return f"```toml\n{Path('examples/sweep.toml').read_text(encoding='utf-8')}```"


PARTS = {
    "lottery": _lottery,
    "convex-analysis": _convex_analysis,
    "results": _results,
    "metrics": _metrics,
    "sweep-file": _sweep_file,
}
