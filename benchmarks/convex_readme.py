"""Writes the stored results of the convex benchmark into README.md, between its two marks.

``python benchmarks/convex_readme.py`` after ``python benchmarks/convex.py``.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

from convex_report import CASE_COLUMNS, markdown

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "figures" / "results" / "convex_benchmark.json"
README = ROOT / "benchmarks" / "README.md"
BEGIN, END = "<!-- convex results: begin -->", "<!-- convex results: end -->"


def section(results: dict[str, Any]) -> str:
    """Return the results as markdown: one table of ratios, then the tables of the cases."""
    cases = results["cases"]
    compared = [case["runs"] for name, case in cases.items() if "runs" in case and name != "scale"]
    parts = [_goals(cases), *map(_runs, compared)]
    if "scale" in cases:
        parts.append(_scale([row for run in cases["scale"]["runs"] for row in run["rows"]]))
    parts += [_measurement(name, case) for name, case in cases.items() if "runs" not in case]
    parts.append(_environment(next(iter(cases.values()))))
    return "\n\n".join(part for part in parts if part)


def _goals(cases: dict[str, Any]) -> str:
    rows = []
    for name, case in cases.items():
        for run in case.get("runs", []):
            for one in run["verdicts"]:
                if one["ratio"] is None:
                    continue
                rows.append(
                    {
                        "case": f"`{name}`" + (f", {run['seed']}" if len(case["runs"]) > 1 else ""),
                        "ours": one["ours"].removeprefix("convex_analysis").strip(", ") or "default",
                        "peer": one["best_peer"],
                        "ratio": round(one["ratio"], 2),
                        "goal": one["goal"],
                        "objective": _objective(name, one),
                        "met": one["met"],
                        "threads": None if one["threads"] is None else round(one["threads"], 2),
                        "cvxpy": one.get("ratio_to_best_of_cvxpy"),
                    }
                )
    columns = {
        "case, data set": "case", "our run": "ours", "best peer": "peer", "time / best peer's": "ratio",
        "goal": "goal",
        "objective reached": "objective", "met": "met", "as installed / one thread": "threads",
        "time / best of cvxpy": "cvxpy",
    }  # fmt: skip
    return "### Ratios\n\n" + markdown(rows, columns)


def _objective(name: str, verdict: dict[str, Any]) -> str:
    if name.startswith("cv-"):  # the lam chosen may differ, as it does at looser tolerances
        return "not compared"
    return "not above the peer's" if verdict["objective_met"] else "above the peer's"


def _runs(runs: list[dict[str, Any]]) -> str:
    shown = runs[0]
    more = f" (the first of {len(runs)} data sets)" if len(runs) > 1 else ""
    return f"### {shown['title']}{more}\n\n" + markdown(shown["rows"], CASE_COLUMNS)


def _measurement(name: str, case: dict[str, Any]) -> str:
    if name == "warm-step":
        steps = ", ".join(f"{1e3 * one:.2f}" for one in case["warm_seconds"])
        goal, cold = 1e3 * case["goal_seconds"], 1e3 * case["cold_seconds"]
        figures = f"Milliseconds of the steps after the lasso: {steps} (goal: under {goal:g})"
        return f"### {case['title']}\n\n{figures}; the lasso itself {cold:.1f}."
    if name == "first-solve":
        columns = {
            "solver": "solver",
            "import (s)": "import_seconds",
            "import and first solve (s)": "seconds",
        }
        title = "First solve in a fresh process, compiled code cached on disk"
        goal = f"Goal: under {case['goal_seconds']} s."
        return f"### {title}\n\n{goal}\n\n" + markdown(case["rows"], columns | {"remark": "problem"})
    if name == "memory":
        columns = {
            "X": "layout", "solver": "solver", "X (MiB)": "x_mib", "peak extra (MiB)": "extra_mib",
            "copies of X": "copies_of_x", "remark": "problem",
        }  # fmt: skip
        return "### Peak memory of a solve beyond X\n\n" + markdown(case["rows"], columns)
    if "rows" in case:
        columns = {key: key for key in case["rows"][0]}
        return f"### {case['title']}\n\n" + markdown(case["rows"], columns)
    return ""


def _scale(rows: list[dict[str, Any]]) -> str:
    table: dict[tuple[str, int], dict[str, Any]] = {}
    for row in rows:
        line = table.setdefault(
            (row["penalty"], row["n_features"]), {"penalty": row["penalty"], "d": row["n_features"]}
        )
        line[row["solver"]] = statistics.median(row["seconds"]) if row["seconds"] and row["reached"] else None
    solvers = list(dict.fromkeys(row["solver"] for row in rows))
    columns = {"penalty": "penalty", "features": "d"} | {f"{one} (s)": one for one in solvers}
    return (
        "### Time against features (sparse, 2000 samples)\n\n"
        "![Time against features](../figures/pictures/convex_scale.png)\n\n"
    ) + markdown(list(table.values()), columns)


def _environment(case: dict[str, Any]) -> str:
    found = case["environment"]
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return (
        f"Measured {case['date']} on {found['processor']}, {found['cores_used']} core(s), "
        f"threads as installed: {versions}."
    )


def main() -> None:
    text = README.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        sys.exit(f"{README} lacks the marks {BEGIN} and {END}")
    head, rest = text.split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    body = section(json.loads(RESULTS.read_text()))
    README.write_text(f"{head}{BEGIN}\n\n{body}\n\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
