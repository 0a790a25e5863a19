"""Write the tables of README and documentation from the stored results, between their marks.

python -m figures.tables           write them
python -m figures.tables --check   write nothing; fail where a page says other than what is stored
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import channels, inference, layerwise_report, own_loop, quantised, small_transformers
from figures import (
    claims,
    concave_forms,
    controls,
    demonstration,
    front,
    layerwise,
    mask_variants,
    mechanism,
    method_comparison,
    paper_algorithm,
    stored,
)

ROOT = Path(__file__).parents[1]

#: Methods of a comparison by the names that a reader knows.
NAMES = {
    "concave": "concave, log(0.02)",
    "imp": "iterative magnitude pruning",
}


def comparison(name: str) -> str:
    """Return the table of a comparison that `lottery compare` stored, as Markdown."""
    record = _content(name)
    rows = [row for row in record["table"] if not row["control"]]
    densities = sorted({row["density"] for row in rows if row["method"] != "dense"}, reverse=True)
    lines = [
        f"| method | {' | '.join(f'{100 * d:g}%' for d in densities)} | epochs of search |",
        "| --- |" + " --- |" * (len(densities) + 1),
    ]
    told = {row["method"]: _told(row) for row in rows if row["method"] == "dense"}
    for method in dict.fromkeys(row["method"] for row in rows if row["method"] != "dense"):
        found = {row["density"]: row for row in rows if row["method"] == method}
        costs = sorted({row["search_epochs"] for row in found.values()})
        cost = f"{costs[0]:.3g}" if len(costs) == 1 else f"{costs[0]:.3g} to {costs[-1]:.3g}"
        cells = [_told(found[d]) for d in densities]
        lines.append(f"| {NAMES.get(method, method)} | {' | '.join(cells)} | {cost} |")
    return "\n".join([*lines, "", f"Dense: {told['dense']}."])


def _content(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((stored.RESULTS / f"{name}.json").read_text())
    return content


def _told(row: dict[str, float]) -> str:
    return f"{100 * row['accuracy']:.2f} ± {100 * row['interval']:.2f}"


def _forms() -> str:
    data = stored.read("concave_forms")
    return concave_forms.table(data, "digits")


def _paper(ground: str) -> str:
    return paper_algorithm.table(stored.read("paper_algorithm"), ground)


#: (page, mark) -> what stands between the marks.
TABLES: dict[tuple[str, str], Callable[[], str]] = {
    ("README.md", "demonstration"): demonstration.table,
    ("README.md", "front"): lambda: front.differences(stored.read("front")),
    ("benchmarks/README.md", "front"): lambda: front.table(stored.read("front")),
    ("benchmarks/README.md", "front, cifar10"): partial(front.section, "cifar10"),
    ("benchmarks/README.md", "mnist_lenet_300_100"): lambda: comparison("mnist_lenet_300_100"),
    ("benchmarks/README.md", "mnist_all_methods"): lambda: method_comparison.table(
        stored.read("mnist_all_methods")
    ),
    ("benchmarks/README.md", "inference"): lambda: inference.table(_content("inference")),
    ("benchmarks/README.md", "own loop"): lambda: own_loop.table(_content("own-loop-cpu")["steps"]),
    ("benchmarks/README.md", "language"): lambda: small_transformers.table("language"),
    ("benchmarks/README.md", "vision"): lambda: small_transformers.table("vision"),
    ("docs/claims.md", "claims"): claims.table,
    ("docs/export.md", "quantised"): quantised.table,
    ("docs/granularity.md", "channels"): channels.table,
    ("docs/concave_masks.md", "forms"): _forms,
    ("docs/what_did_not_help.md", "variants, digits"): lambda: mask_variants.table(
        stored.read("mask_variants"), "digits"
    ),
    **{
        ("docs/what_did_not_help.md", f"paper, {ground}"): partial(_paper, ground)
        for ground in paper_algorithm.SEEDS
    },
    ("README.md", "layers"): layerwise.told,
    ("benchmarks/README.md", "layerwise"): lambda: layerwise_report.section(
        layerwise.stored_rows("layers"), layerwise.stored_rows("networks")
    ),
    ("docs/layerwise.md", "missed"): layerwise.missed,
    ("README.md", "layerwise"): lambda: layerwise.network_table(layerwise.FEW, gaps=False),
    ("docs/layerwise.md", "allocations"): layerwise.allocation_table,
    ("docs/layerwise.md", "networks"): layerwise.network_table,
    ("docs/layerwise.md", "differences"): layerwise.difference_table,
    ("docs/layerwise.md", "rows"): layerwise.rows_table,
    ("docs/layerwise.md", "units"): layerwise.units_table,
    ("docs/layerwise.md", "tickets"): layerwise.tickets_table,
    ("docs/concave_masks.md", "mechanism"): lambda: mechanism.table(stored.read("mechanism")),
    ("docs/concave_masks.md", "gap"): lambda: mechanism.gap_table(stored.read("mechanism")),
    ("docs/concave_masks.md", "controls"): controls.table,
    ("docs/concave_masks.md", "lam"): lambda: concave_forms.table_of_lam(stored.read("concave_forms")),
}


def written(text: str, mark: str, table: str) -> str:
    """Return the text of a page with the table between its marks.

    Raises
    ------
    ValueError
        If the page lacks the marks.
    """
    begin, end = f"<!-- {mark}: begin -->", f"<!-- {mark}: end -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"the page needs {begin} and {end} once each")
    head, rest = text.split(begin)
    return f"{head}{begin}\n\n{table}\n\n{end}{rest.split(end)[1]}"


def outdated() -> list[str]:
    """Return the tables that differ from what is stored, as "page: mark"."""
    found = []
    for (page, mark), make in TABLES.items():
        text = (ROOT / page).read_text(encoding="utf-8")
        if written(text, mark, make()) != text:
            found.append(f"{page}: {mark}")
    return found


def write() -> None:
    """Write every table into its page."""
    for (page, mark), make in TABLES.items():
        path = ROOT / page
        text = path.read_text(encoding="utf-8")
        path.write_text(written(text, mark, make()), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="only tell what differs, and fail if anything does"
    )
    if parser.parse_args().check:
        if differing := outdated():
            sys.exit("not what is stored: " + "; ".join(differing) + ". Run `python -m figures.tables`.")
        return
    write()


if __name__ == "__main__":
    main()
