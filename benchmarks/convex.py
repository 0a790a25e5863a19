"""The convex benchmark: our solver beside its peers, at equal accuracy, in one run.

``python benchmarks/convex.py`` runs all cases as installed (some 30 minutes, most of it cvxpy), ours also
with one thread; ``--quick`` runs small versions in about a minute; ``--help`` lists the rest. Results go to
``figures/results/convex_benchmark.json``; cases that were not run keep their stored results.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import convex_report as report
import cyclopts
from convex_cases import CASES
from convex_processes import first_solve, memory
from convex_scale import scale
from convex_timing import compare
from convex_warm_step import warm_steps

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "figures" / "results" / "convex_benchmark.json"
MEASUREMENTS = ("warm-step", "first-solve", "memory", "scale", "riboflavin", "leukemia")

app = cyclopts.App(name="convex.py", help=__doc__)


@app.default
def run(
    cases: Annotated[list[str], cyclopts.Parameter(consume_multiple=True)] | None = None,
    *,
    repeats: int = 7,
    seeds: int = 1,
    quick: bool = False,
    leave_out: Annotated[list[str], cyclopts.Parameter(consume_multiple=True)] | None = None,
    output: Path | None = None,
    store: bool = True,
) -> None:
    """Run the benchmark.

    Parameters
    ----------
    cases
        Names of cases; all by default.
    repeats
        Interleaved timings of each solver (slow ones get 3 or 1).
    seeds
        Data sets a case is run on (synthetic cases).
    quick
        Small data, 3 repeats, nothing stored unless --output is given.
    leave_out
        Words; peers whose name contains one are left out (for example: cvxpy glum).
    output
        JSON file; figures/results/convex_benchmark.json by default.
    store
        Whether to store results.
    """
    known = [*CASES, *MEASUREMENTS]
    chosen = cases or known
    for name in chosen:
        if name not in known:
            sys.exit(f"unknown case {name!r}; the cases are {', '.join(known)}")
    repeats = min(repeats, 3) if quick else repeats
    file = output or RESULTS
    results: dict[str, Any] = json.loads(file.read_text()) if file.exists() and (output or not quick) else {}
    results.setdefault("cases", {})
    for name in chosen:
        begun = time.perf_counter()
        try:
            found = _one(name, quick, repeats, seeds, leave_out or [])
        except FileNotFoundError as reason:
            print(f"{name}: {reason}", file=sys.stderr)
            continue
        found |= {
            "command": "python benchmarks/convex.py " + " ".join(sys.argv[1:]),
            "date": time.strftime("%Y-%m-%d"),
            "environment": report.environment(),
            "total_seconds": time.perf_counter() - begun,
        }
        results["cases"][name] = found
        if store and (output or not quick):
            report.store(results, file)


def _one(name: str, quick: bool, repeats: int, seeds: int, leave_out: list[str]) -> dict[str, Any]:
    if name in CASES:
        return {"runs": [_comparison(name, quick, repeats, seed, leave_out) for seed in range(seeds)]}
    if name == "warm-step":
        found = warm_steps(quick, repeats)
        steps = [{"step": i + 1, "milliseconds": 1e3 * s} for i, s in enumerate(found["warm_seconds"])]
        report.show(found["title"], steps, {"step": "step", "milliseconds": "milliseconds"})
        return found
    if name == "first-solve":
        problem = CASES["lasso"](quick).problem
        found = {"rows": first_solve(problem.X, problem.y, problem.lam, repeats), "goal_seconds": 0.7}
        columns = {
            "solver": "solver",
            "import": "import_seconds",
            "import and solve": "seconds",
            "": "problem",
        }
        report.show("first solve in a fresh process, warm cache (seconds)", found["rows"], columns)
        return found
    if name == "memory":
        found = {"rows": memory(quick)}
        columns = {
            "layout of X": "layout", "solver": "solver", "X (MiB)": "x_mib", "extra (MiB)": "extra_mib",
            "copies of X": "copies_of_x", "": "problem",
        }  # fmt: skip
        report.show("peak extra memory of a lasso solve", found["rows"], columns)
        return found
    if name == "scale":
        rows = scale(quick, min(repeats, 3), leave_out, _say)
        report.show(
            "time against features",
            rows,
            {"penalty": "penalty", "features": "n_features"} | report.CASE_COLUMNS,
        )
        return {"rows": rows}
    from convex_real_data import real_data

    return real_data(name, quick)


def _comparison(name: str, quick: bool, repeats: int, seed: int, leave_out: list[str]) -> dict[str, Any]:
    case = CASES[name](quick, seed)
    solvers = [s for s in case.solvers if s.ours or not any(word in s.name for word in leave_out)]
    rows = compare(solvers, case.problem, lambda a: getattr(a, case.measure), case.target, repeats, _say)
    stored = [row.to_dict() for row in rows]
    found = report.verdicts(stored, case.measure == "stationarity")
    own = next((row["median"] for row in stored if row["ours"]), float("nan"))
    for row in stored:
        row["times_ours"] = row["median"] / own
    title = f"{case.title}; {case.measure} at most {case.target:.2g}"
    report.show(f"{title} (seed {seed})", stored, report.CASE_COLUMNS)
    for one in found:
        if one["ratio"] is not None:
            met = "met" if one["met"] else "missed"
            above = "" if one["objective_met"] else "; objective above the peer's"
            ratio = f"{one['ours']} to {one['best_peer']}: {one['ratio']:.2f}, goal {one['goal']}"
            threads = f"; as installed over one thread {one['threads']:.2f}" if one["threads"] else ""
            print(f"  {ratio}: {met}{above}{threads}\n")
    return {
        "title": title,
        "measure": case.measure,
        "target": case.target,
        "seed": seed,
        "rows": stored,
        "verdicts": found,
    }


def _say(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    app()
