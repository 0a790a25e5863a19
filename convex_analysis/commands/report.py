"""A report for people and programs: one content, shown in the terminal, as a page, or as JSON."""

from __future__ import annotations

import base64
import html
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from concave_sparsity.plot_style import typeset

if TYPE_CHECKING:
    from rich.console import Console

COLOURS = {
    "holds": "green",
    "applies": "cyan",
    "does not apply": "yellow",
    "vacuous": "yellow",
    "FAILS": "bold red",
}


@dataclass
class Table:
    """A table and notes under it.

    ``details``, if any, hold a text a row, shown on request in the page; such a table is of mathematics, and
    the page shows it with its signs.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    notes: Sequence[str] = ()
    details: Sequence[str] = ()


@dataclass
class Report:
    """Facts (label and value) and tables under a title and a sentence, and the same as data for programs."""

    title: str
    facts: list[tuple[str, Any]] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    sentence: str = ""
    pictures: list[tuple[str, bytes]] = field(default_factory=list)
    """What each shows, in a sentence, and its PNG; for the page."""

    def show(self, console: Console, *, tables: bool = True) -> None:
        """Print in the terminal, with the tables or without."""
        from rich import box
        from rich.markup import escape
        from rich.table import Table as RichTable

        console.print(f"[bold]{escape(self.title)}[/bold]")
        if self.sentence:
            console.print(escape(self.sentence))
        grid = RichTable.grid(padding=(0, 2))
        for label, value in self.facts:
            grid.add_row(f"[dim]{escape(label)}[/dim]", escape(text(value)))
        console.print(grid)
        for table in self.tables if tables else ():
            shown = RichTable(title=escape(table.title), title_justify="left", box=box.SIMPLE_HEAD)
            for column in table.columns:
                shown.add_column(escape(column))
            for row in table.rows:
                shown.add_row(*(_coloured(text(cell)) for cell in row))
            console.print(shown)
            for note in table.notes:
                console.print(f"  {escape(note)}")

    def html(self) -> str:
        """Return one page that needs nothing from the network."""
        parts = [
            "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
            "<meta name='viewport' content='width=device-width, initial-scale=1'>",
            f"<title>{html.escape(self.title)}</title><style>{_STYLE}</style></head><body><main>",
            f"<h1>{html.escape(self.title)}</h1>",
            f"<p>{html.escape(self.sentence)}</p><dl>" if self.sentence else "<dl>",
        ]
        for label, value in self.facts:
            parts.append(f"<dt>{html.escape(label)}</dt><dd>{html.escape(text(value))}</dd>")
        parts.append("</dl>")
        for told, png in self.pictures:
            source = base64.b64encode(png).decode()
            parts.append(f"<img alt='{html.escape(told, quote=True)}' src='data:image/png;base64,{source}'>")
        parts += [_html_table(table) for table in self.tables]
        parts.append("</main></body></html>\n")
        return "\n".join(parts)

    def json(self) -> str:
        """Return the data as JSON; infinities as text, NaN as null."""
        return json.dumps(_plain(self.data), indent=1, allow_nan=False) + "\n"


def text(value: Any) -> str:
    """Return a value as a person reads it: six digits, NaN as a dash."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value + 0.0:.6g}"
    return str(value)


def check_destinations(**files: tuple[Path | None, tuple[str, ...]]) -> None:
    """Refuse files that could not be written, before the work whose results they are to hold.

    Parameters
    ----------
    **files
        By option, the file (None: not asked for; "-": standard output) and the endings that it may have
        (none: any).

    Raises
    ------
    ValueError, OSError
        One sentence with the option's file and the remedy.
    """
    for option, (file, endings) in files.items():
        if file is None or str(file) == "-":
            continue
        if endings and file.suffix not in endings:
            raise ValueError(f"--{option} must end in {' or '.join(endings)}, got {file}.")
        if file.is_dir():
            raise IsADirectoryError(f"cannot write {file}: it is a folder, name a file in it.")
        if not file.parent.is_dir():
            raise FileNotFoundError(f"cannot write {file}: there is no folder {file.parent}, make it first.")
        if not os.access(file.parent, os.W_OK):
            raise PermissionError(
                f"cannot write {file}: the folder {file.parent} may not be written, name another."
            )


def write(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all: a temporary file beside it, fsync, rename.

    Raises
    ------
    OSError
        If the folder is missing or cannot be written; nothing is left behind.
    """
    part = path.with_name(path.name + ".part")
    try:
        with open(part, "wb") as stream:
            stream.write(content if isinstance(content, bytes) else content.encode())
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except OSError as reason:
        part.unlink(missing_ok=True)
        raise OSError(f"cannot write {path}: {reason.strerror or reason}.") from None


def _coloured(cell: str) -> str:
    from rich.markup import escape

    colour = COLOURS.get(cell)
    return f"[{colour}]{escape(cell)}[/]" if colour else escape(cell)


def _html_table(table: Table) -> str:
    head = "".join(f"<th scope='col'>{html.escape(column)}</th>" for column in table.columns)
    body = []
    for i, row in enumerate(table.rows):
        cells = []
        for cell in row:
            shown = typeset(text(cell)) if table.details else text(cell)
            kind = shown.replace(" ", "-").lower() if shown in COLOURS else ""
            cells.append(
                f"<td class='{kind}'>{html.escape(shown)}</td>" if kind else f"<td>{html.escape(shown)}</td>"
            )
        body.append(f"<tr>{''.join(cells)}</tr>")
        if table.details:
            detail = html.escape(typeset(table.details[i]))
            body.append(
                f"<tr class='detail'><td colspan='{len(table.columns)}'><details><summary>why</summary>"
                f"<pre>{detail}</pre></details></td></tr>"
            )
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in table.notes)
    return (
        f"<h2>{html.escape(table.title)}</h2><div class='wide'><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>{notes}"
    )


def _plain(value: Any) -> Any:
    """Return a value that JSON can hold."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value


_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:0;color:#1a1a1a;background:#fff}
main{max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1.2rem}dt{color:#595959}dd{margin:0}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #ddd;vertical-align:top}
tr.detail td{border-bottom:1px solid #ddd;padding-top:0}tr.detail summary{color:#595959;cursor:pointer}
pre{white-space:pre-wrap;font-size:.85rem}img{max-width:100%;height:auto;background:#fff}
dd{overflow-wrap:anywhere}@media(max-width:600px){dl{display:block}dt{margin-top:.4rem}}
.holds{color:#00614a;font-weight:600}.applies{color:#004e8a;font-weight:600}
.does-not-apply,.vacuous{color:#6b5200}.fails{color:#a30000;font-weight:700}
@media(prefers-color-scheme:dark){body{color:#e8e8e8;background:#161616}dt,tr.detail summary{color:#a8a8a8}
th,td,tr.detail td{border-color:#3a3a3a}
.holds{color:#4fd1a5}.applies{color:#7cc0ff}.does-not-apply,.vacuous{color:#e0bd4a}
.fails{color:#ff8080}}
"""
