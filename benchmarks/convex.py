"""The convex benchmark: our solver beside its peers, at equal accuracy, each piece in a fresh process.

``python benchmarks/convex.py --minutes 18`` makes the pieces that are missing, the first data set of every
case before the second, and stores each at once in ``figures/results/convex_benchmark.json``: run it again to
go on. ``--smoke`` runs small versions of a few and stores nothing; ``--help`` lists the rest. Every solver
runs as installed, with the threads it takes by default; ours then without peers, whose data leave cold
caches, as installed and with one thread, in turn.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import convex_cross_validation as cv
import convex_report as report
import cyclopts
from convex_accuracy import accuracy
from convex_cases import CASES
from convex_processes import first_solve, memory
from convex_scale import SIZES, scale
from convex_timing import Solver, compare
from convex_warm_step import warm_steps

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "figures" / "results" / "convex_benchmark.json"
MEASUREMENTS = ("memory", "first-solve", "warm-step", "riboflavin", "leukemia")
#: Cases with a target, in the order they are run; the others are run on one data set.
TARGETS = (
    *cv.CASES,
    "huber",
    "groups",
    "lasso",
    "logistic",
    "box-easy",
    "box-hard",
    "mcp",
    "log-sum",
    "half",
    "news20",
)
KNOWN = (*TARGETS, "scale", *(name for name in CASES if name not in TARGETS), *MEASUREMENTS)
SMOKE = ("cv-small", "huber", "mcp", "scale", "warm-step")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
LONGEST = 1200.0  # seconds for one piece: the memory of thirty solves takes ten minutes

Words = Annotated[list[str], cyclopts.Parameter(consume_multiple=True)]
app = cyclopts.App(name="convex.py", help=__doc__)


def pieces(chosen: tuple[str, ...], seeds: int) -> Iterator[tuple[str, int]]:
    """Yield case and data set (in the scale series: size): first one of each and four sizes."""
    for seed in range(max(seeds, 2)):
        for name in chosen:
            if name == "scale":
                yield from ((name, size) for size in range(seed, len(SIZES), 2) if seed < 2)
            elif seed < (seeds if name in TARGETS else 1):
                yield name, seed


@app.default
def run(
    cases: Words | None = None,
    *,
    minutes: float = float("inf"),
    repeats: int = 5,
    seeds: int = 3,
    again: bool = False,
    smoke: bool = False,
    with_cvxpy: bool = False,
    leave_out: Words | None = None,
    output: Path = RESULTS,
) -> None:
    """Run what is missing.

    Parameters
    ----------
    cases
        Names of cases; all by default.
    minutes
        No piece is begun after that.
    repeats
        Interleaved timings of each solver (slow ones get 3 or 1).
    seeds
        Data sets of the cases with targets.
    again
        Whether to make stored pieces anew.
    smoke
        Small data, few cases, nothing stored unless another --output is given.
    with_cvxpy
        Whether to run cvxpy, which takes longer than all others together.
    leave_out
        Words; peers whose name contains one are left out (for example: glum).
    output
        JSON file.
    """
    begun = time.perf_counter()
    chosen = tuple(cases or (SMOKE if smoke else KNOWN))
    for name in chosen:
        if name not in KNOWN:
            sys.exit(f"unknown case {name!r}; the cases are {', '.join(KNOWN)}")
    results: dict[str, Any] = (
        json.loads(output.read_text())
        if output.exists() and (output != RESULTS or not smoke)
        else {"cases": {}}
    )
    options = [*(leave_out or []), *([] if with_cvxpy else ["cvxpy"])]
    wanted = dict.fromkeys(pieces(chosen, 1 if smoke else seeds))
    left = [one for one in wanted if again or not _stored(results, *one)]
    if smoke:
        left = [(name, seed) for name, seed in left if seed == 0]
    for at, (name, seed) in enumerate(left):
        if time.perf_counter() - begun > 60.0 * minutes:
            print(f"{len(left) - at} of {len(wanted)} pieces are left: run it again", flush=True)
            break
        print(f"{at + 1} of {len(left)}: {name}, data set {seed}", flush=True)
        settings = {"seed": seed, "repeats": min(repeats, 3) if smoke else repeats, "quick": smoke}
        found = _in_process(name, settings, options)
        if found is None:
            continue
        if name not in MEASUREMENTS:
            for one_thread in (False, True) if smoke else (False, True, True, False):
                alone = _in_process(name, settings, options, one_thread=one_thread, ours_alone=True)
                for one, same in zip(found["runs"], alone["runs"] if alone else []):
                    report.join_alone(one, same, "one_thread" if one_thread else "alone")
        _tell(name, found)
        _keep(results, name, found, [seed])
        if not smoke or output != RESULTS:
            report.store(results, output)


@app.command
def piece(
    name: str,
    *,
    seed: int,
    repeats: int,
    quick: bool = False,
    ours_alone: bool = False,
    leave_out: Words | None = None,
    output: Path,
) -> None:
    """Run one piece in this process and write it to a file (what the benchmark calls for each)."""
    output.write_text(json.dumps(_made(name, seed, repeats, quick, ours_alone, leave_out or [])))


def _in_process(
    name: str,
    settings: dict[str, Any],
    leave_out: list[str],
    *,
    one_thread: bool = False,
    ours_alone: bool = False,
) -> dict[str, Any] | None:
    """Return a piece made in a fresh process, None where it failed, which is said."""
    environment = {key: value for key, value in os.environ.items() if key not in THREADS}
    if one_thread:
        environment |= dict.fromkeys(THREADS, "1")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "piece.json"
        command = [
            sys.executable, "-W", "ignore", __file__, "piece", name, "--seed", str(settings["seed"]),
            "--repeats", str(settings["repeats"]), "--output", str(file),
            *(["--quick"] if settings["quick"] else []), *(["--ours-alone"] if ours_alone else []),
            *(["--leave-out", *leave_out] if leave_out else []),
        ]  # fmt: skip
        try:
            subprocess.run(command, env=environment, check=True, timeout=LONGEST)
            made: dict[str, Any] = json.loads(file.read_text())
            return made
        except (subprocess.SubprocessError, OSError) as reason:
            print(f"{name}: {reason}", file=sys.stderr)
            return None


def _made(
    name: str, seed: int, repeats: int, quick: bool, ours_alone: bool, leave_out: list[str]
) -> dict[str, Any]:
    def wanted(solver: Solver) -> bool:
        return solver.ours or not (ours_alone or any(word in solver.name for word in leave_out))

    if name in CASES:
        return {"runs": [_comparison(name, quick, repeats, seed, wanted)]}
    if name in cv.CASES:
        return {"runs": [cv.cross_validation(name, quick, seed, repeats, wanted)]}
    if name == "scale":
        runs = scale(quick, seed, min(repeats, 3), wanted, _say)
        return {"runs": [{**one, "size": seed} for one in runs]}
    if name == "warm-step":
        return warm_steps(quick, repeats)
    if name == "first-solve":
        problem = CASES["lasso"](quick).problem
        return {"rows": first_solve(problem.X, problem.y, problem.lam, min(repeats, 5)), "goal_seconds": 0.7}
    if name == "memory":
        return {"rows": memory(quick)}
    from convex_real_data import real_data

    return real_data(name, quick)


def _comparison(name: str, quick: bool, repeats: int, seed: int, wanted: Any) -> dict[str, Any]:
    case = CASES[name](quick, seed)
    solvers = [one for one in case.solvers if wanted(one)]
    rows = compare(
        solvers,
        partial(accuracy, case.problem),
        lambda a: getattr(a, case.measure),
        case.target,
        repeats,
        _say,
    )
    stored = [row.to_dict() for row in rows]
    return {
        "title": f"{case.title}; {case.measure} at most {case.target:.2g}",
        "measure": case.measure,
        "target": case.target,
        "seed": seed,
        "rows": stored,
        "verdicts": report.verdicts(stored, case.measure == "stationarity"),
    }


def _stored(results: dict[str, Any], name: str, seed: int) -> bool:
    case = results["cases"].get(name)
    if case is None or name in MEASUREMENTS:
        return case is not None
    # Stale runs are those of older code, kept only until they are made anew.
    return any(one.get("size", one["seed"]) == seed for one in case["runs"])


def _keep(results: dict[str, Any], name: str, found: dict[str, Any], seeds: list[int]) -> None:
    """Put a piece in the place of the one of the same data set."""
    old = results["cases"].get(name, {})
    if "runs" in found:
        others = [one for one in old.get("runs", []) if one.get("size", one["seed"]) not in seeds]
        found["runs"] = sorted([*others, *found["runs"]], key=lambda one: one.get("size", one["seed"]))
    found |= {"date": time.strftime("%Y-%m-%d"), "environment": report.environment()}
    results["cases"][name] = found


def _tell(name: str, found: dict[str, Any]) -> None:
    """Print what was measured."""
    if name == "warm-step":
        print("  milliseconds: " + ", ".join(f"{1e3 * one:.2f}" for one in found["warm_seconds"]))
    elif "runs" not in found:
        report.show(name, found["rows"], {key: key for key in found["rows"][0]})
    for run in found.get("runs", []):
        own = next((row["median"] for row in run["rows"] if row["ours"]), float("nan"))
        for row in run["rows"]:
            row["times_ours"] = row["median"] / own
        report.show(f"{run['title']} (data set {run['seed']})", run["rows"], report.CASE_COLUMNS)
        for one in run["verdicts"]:
            if one["ratio"] is not None:
                met = "met" if one["met"] else "missed"
                above = "" if one["objective_met"] else "; objective above the peer's"
                threads = f"; as installed over one thread {one['threads']:.2f}" if one["threads"] else ""
                ratio = f"{one['ours']} to {one['best_peer']}: {one['ratio']:.2f}, goal {one['goal']}"
                print(f"  {ratio}: {met}{above}{threads}", flush=True)


def _say(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    app()
