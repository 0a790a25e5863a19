"""What the convex benchmark says: terminal tables, the stored JSON, and the tables in README.md."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "concave-sparsity", "numpy", "scipy", "numba", "scikit-learn", "skglm", "celer", "glum", "cvxpy",
    "clarabel", "osqp", "scs",
)  # fmt: skip


def environment() -> dict[str, Any]:
    """Versions, processor and threads."""
    versions: dict[str, str] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "versions": versions,
        "processor": _processor(),
        "cores_used": len(os.sched_getaffinity(0)),
        "threads": os.environ.get("OMP_NUM_THREADS", "not set"),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def verdicts(rows: list[dict[str, Any]], concave: bool) -> list[dict[str, Any]]:
    """Compare each run of ours that has a goal with the fastest peer that reached the accuracy.

    Our run is the one named, never the best of several. With a concave penalty the objective counts as well:
    it may not be above that of any peer, or, for a run that ends at the first stationary point, of the
    fastest.
    """
    done = [row for row in rows if row["seconds"] and row["reached"]]
    peers = [row for row in done if not row["ours"]]
    interior = [row for row in peers if row["solver"].startswith("cvxpy")]
    found = []
    for own in (row for row in rows if row["goal"] is not None):
        one: dict[str, Any] = {
            "ours": own["solver"],
            "goal": own["goal"],
            "ratio": None,
            "met": False,
            "threads": None,
        }
        found.append(one)
        if own not in done or not peers:
            one["reason"] = "no run of ours, or of a peer, to compare"
            continue
        peer = min(peers, key=lambda row: row["median"])
        rivals = peers if own["finds_the_best"] else [peer]
        best = min(row["accuracy"]["objective"] for row in rivals)
        low = not concave or own["accuracy"]["objective"] <= best + 1e-9 * abs(best)
        one |= {"best_peer": peer["solver"], "ratio": _ratio(own["seconds"], peer["seconds"])}
        one |= {"objective_met": low, "best_peer_objective": best, "met": one["ratio"] <= own["goal"] and low}
        if interior:
            fastest = min(interior, key=lambda row: row["median"])
            one["best_of_cvxpy"] = fastest["solver"]
            one["ratio_to_best_of_cvxpy"] = _ratio(own["seconds"], fastest["seconds"])
    return found


def join_alone(run: dict[str, Any], alone: dict[str, Any], kind: str) -> None:
    """Put into a run what our own solvers took without peers: "alone" as installed, "one_thread" with one."""
    for row in run["rows"]:
        same = next((one for one in alone["rows"] if one["solver"] == row["solver"] and one["seconds"]), None)
        if same is None or not row["seconds"]:
            continue
        row.setdefault(kind, []).extend(same["seconds"])
        for one in run["verdicts"]:
            if one["ours"] == row["solver"] and {"alone", "one_thread"} <= row.keys():
                one["threads"] = statistics.median(row["alone"]) / statistics.median(row["one_thread"])


def _ratio(mine: list[float], theirs: list[float]) -> float:
    """Median of the ratios turn by turn where both ran in every turn, so that a slow moment hits both."""
    if len(mine) == len(theirs):
        return statistics.median(a / b for a, b in zip(mine, theirs))
    return statistics.median(mine) / statistics.median(theirs)


def show(title: str, rows: Sequence[dict[str, Any]], columns: dict[str, str]) -> None:
    """Print rows as a table in the terminal."""
    from rich.console import Console
    from rich.table import Table

    shown = {heading: key for heading, key in columns.items() if any(_cell(row, key) for row in rows)}
    table = Table(title=title, title_justify="left")
    for heading in shown:
        table.add_column(heading)
    for row in rows:
        table.add_row(*(_cell(row, key) for key in shown.values()))
    console = Console()
    (console if console.width >= 110 else Console(width=140)).print(table)


def markdown(rows: Sequence[dict[str, Any]], columns: dict[str, str]) -> str:
    """Return rows as a markdown table."""
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(_cell(row, key) for key in columns.values()) + " |" for row in rows]
    return "\n".join(lines)


def _cell(row: dict[str, Any], key: str) -> str:
    value: Any = row
    for part in key.split("."):
        value = None if value is None else value.get(part)
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and key.endswith("objective"):
        return f"{value:.8g}"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1e4 and (abs(value) > 1e-4 or value == 0) else f"{value:.1e}"
    return str(value)


def store(results: dict[str, Any], file: Path) -> None:
    """Write JSON atomically."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    with open(part, "w") as stream:
        json.dump(results, stream, indent=1, allow_nan=True)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(file)


CASE_COLUMNS = {
    "solver": "solver",
    "seconds (median)": "median",
    "times ours": "times_ours",
    "objective": "accuracy.objective",
    "gap": "accuracy.gap",
    "stationarity": "accuracy.stationarity",
    "support": "accuracy.support",
    "remark": "problem",
}
