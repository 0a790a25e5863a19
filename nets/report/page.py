"""The page: sections, the table of all runs, style and program in one file that needs no network."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from nets.metric import ACCURACY, Metric
from nets.report.contents import Gathered, gather, with_penalty
from nets.report.sections import SECTIONS, summary
from nets.storage.atomic import write_bytes

#: Columns of the table of runs: column of the row, heading, factor, digits (None: text).
COLUMNS: tuple[tuple[str, str, float, int | None], ...] = (
    ("data", "data", 1, None),
    ("model", "model", 1, None),
    ("method", "method", 1, None),
    ("penalty", "penalty", 1, None),
    ("control", "control", 1, None),
    ("density", "density (%)", 100, 4),
    ("seed", "seed", 1, 0),
    ("test", "{metric}", 100, 2),
    ("dense_test", "dense{unit}", 100, 2),
    ("search_cut_loss", "cut loss{points}", 100, 2),
    ("search_epochs_spent", "search epochs", 1, 2),
    ("search_seconds", "search (s)", 1, 2),
    ("retrain_seconds", "retraining (s)", 1, 2),
    ("run", "run", 1, None),
)


def write_report(
    root: str | os.PathLike[str] = "runs", out: str | os.PathLike[str] = "report.html", *, title: str = ""
) -> Path:
    """Write a report about the runs of a folder: one HTML file that needs no network.

    Parameters
    ----------
    root : path
        Folder of the runs.
    out : path
        The file to write, replaced if it exists.
    title : str
        Title of the page; default: the name of the folder.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If no run in it is finished; a page that is there stays as it is.
    nets.storage.atomic.StorageError
        If the file cannot be written.

    Warns
    -----
    nets.runs.results.BadRunWarning
        For every run that is left out because its files are damaged or tampered with.
    """
    root, out = Path(root), Path(out)
    gathered = gather(root)
    if not gathered.rows:
        other = ", ".join(f"{count} {state}" for state, count in sorted(gathered.states.items()))
        raise ValueError(
            f"there is no finished run in {root}" + (f" ({other})" if other else "") + ", so nothing to "
            "report: name the folder that holds the runs, or make some by `lottery compare`"
        )
    write_bytes(out, page(gathered, title or f"Lottery tickets in {root.resolve().name}").encode())
    return out


def page(gathered: Gathered, title: str) -> str:
    """Return the HTML of the page."""
    style, program = _asset("page.css"), _asset("page.js")
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(program)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    sections = [found for section in SECTIONS if (found := section(gathered))[2]]
    ids = [f"section-{number}" for number in range(len(sections))]
    links = "".join(f'<a href="#{i}">{escape(name)}</a>' for i, (name, _, _) in zip(ids, sections))
    content = "".join(
        f'<section id="{i}"><h2>{escape(name)}</h2><p class="lead">{escape(lead)}</p>{html}</section>'
        for i, (name, lead, html) in zip(ids, sections)
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<header><h1>{escape(title)}</h1>{summary(gathered)}
<nav aria-label="Sections">{links}<a href="#runs">All runs</a></nav></header>
<main>{content}{_runs(gathered.rows)}</main>
<script type="application/json" id="rows">{_data(gathered.rows)}</script>
<script>{program}</script>
</body>
</html>
"""


def _runs(rows: Sequence[Mapping[str, Any]]) -> str:
    heads = "".join(
        f'<th scope="col" aria-sort="none"><button type="button">{escape(heading)}</button></th>'
        for _, heading, _, _ in _columns(rows)
    )
    return f"""<section id="runs"><h2>All runs</h2>
<p class="lead">Click a heading to sort. Filter by words, or by conditions such as <code>method=imp</code>,
<code>density&lt;5</code>, <code>accuracy&gt;=97</code>; several are combined.</p>
<div class="tools"><label for="filter">Filter</label>
<input id="filter" type="search" autocomplete="off" spellcheck="false"
 placeholder="method=concave density&lt;=5">
<output id="count" for="filter">{len(rows):,} runs</output></div>
<div class="scroll"><table id="table"><thead><tr>{heads}</tr></thead><tbody></tbody></table></div>
<div class="pager"><button type="button" id="previous">Previous</button><span id="page"></span>
<button type="button" id="next">Next</button></div>
<noscript><p>This table needs JavaScript; <code>lottery query</code> shows it in a terminal.</p></noscript>
</section>"""


def _data(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the rows as JSON that may stand inside a script element."""
    shown = with_penalty(rows)
    rows = [row if row["method"] in shown else {**row, "penalty": ""} for row in sorted(rows, key=_place)]
    columns = _columns(rows)
    content = {
        "columns": [[heading, digits] for _, heading, _, digits in columns],
        "rows": [
            [_value(_cell(row, name), factor, digits) for name, _, factor, digits in columns] for row in rows
        ],
    }
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, float, int | None]]:
    """Return the columns: of one metric under its name and in its unit, of several under "metric"."""
    found = list(dict.fromkeys(map(Metric.of_row, rows))) or [ACCURACY]
    percent = all(metric.unit == "%" for metric in found)
    heading = found[0].heading if len(found) == 1 else "metric (%)" if percent else "metric"
    named = {"metric": heading, "unit": " (%)" if percent else "", "points": " (points)" if percent else ""}
    scores = {"test", "dense_test", "search_cut_loss"}
    return [
        (name, text.format(**named), 1.0, 4)
        if name in scores and not percent
        else (name, text.format(**named), f, d)
        for name, text, f, d in COLUMNS
    ]


def _cell(row: Mapping[str, Any], name: str) -> Any:
    return row.get(Metric.of_row(row).column(name) if name in ("test", "dense_test") else name)


def _place(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what the rows are ordered by before anybody sorts them."""
    return (
        row["data"],
        row["model"],
        row["method"] != "dense",
        row["method"],
        row["penalty"],
        -row["asked_density"],
        str(row.get("control") or ""),
        row["seed"],
    )


def _value(value: Any, factor: float, digits: int | None) -> Any:
    if digits is None:
        return "" if value is None else str(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return round(value * factor, digits) if digits else value


def _asset(name: str) -> str:
    return files("nets.report").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
