"""How near to a proof branch and bound comes on hard signed problems within a time; a row is stored at once.

    python benchmarks/certified_optima.py [--only TEXT]   # the rows that are not stored yet, a minute each
    python benchmarks/certified_optima.py --readme        # writes the table into benchmarks/README.md

Signed regression: d Gaussian columns of correlation rho^|i-j|, k coefficients of one or minus one, signal
to noise 5. lam is what EBIC chooses on the path without ridge, the box 1.5 times the largest coefficient
there. Asked is a gap of 1e-3 of the objective at zero. The genes of riboflavin (--data or
CONCAVE_SPARSITY_DATA) have ten minutes. SCIP (extra `bench`) gets the same problem with |x| as the sum of
two variables of which one is zero at the minimum. Times and limits are of the processor, one core a row, so
that other work on the machine counts little.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import patch

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from concave_sparsity import MCP, CappedL1, Log
from convex_analysis import RegressionProblem, global_minimum, path

STORE = Path(__file__).parents[1] / "figures" / "results" / "certified_optima.json"
README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- certified: begin -->", "<!-- certified: end -->"
PENALTIES = {"log(0.1)": Log(0.1), "MCP(1)": MCP(1.0), "capped(0.4)": CappedL1(0.4), "log(0.001)": Log(1e-3)}
RELATIVE_GAP = 1e-3


def cells() -> list[dict[str, Any]]:
    """Return what is measured: problems, solver, seconds."""
    penalties = ("log(0.1)", "MCP(1)", "capped(0.4)")
    sizes = [(100, 0.0), (100, 0.1), (100, 0.3), (200, 0.0), (400, 0.0)]
    mine = {"d": 200, "k": 10, "rho": 0.5, "solver": "ours", "limit": 60}
    hard = [
        {**mine, "n": n, "penalty": penalty, "ridge": ridge} for n, ridge in sizes for penalty in penalties
    ]
    size = {"d": 140, "n": 70, "k": 7, "rho": 0.5, "ridge": 0.0, "solver": "ours", "limit": 60}
    middle = [{**size, "penalty": penalty} for penalty in penalties]
    patient = [{**mine, "n": 100, "penalty": "log(0.1)", "ridge": 0.0, "limit": 600}]
    like = {"k": 10, "rho": 0.5, "penalty": "log(0.1)", "ridge": 0.0, "limit": 60}
    small = [
        {**like, "d": d, "n": n, "k": 3, "solver": s}
        for d, n in ((20, 40), (40, 80))
        for s in ("ours", "SCIP")
    ]
    rival = [{**like, "d": 200, "n": n, "solver": "SCIP"} for n in (100, 400)]
    # The size from which l0bnb (Hazimeh, Mazumder and Saab 2022) starts, with a penalty near to l0.
    near_l0 = {
        "d": 1000,
        "n": 1000,
        "k": 10,
        "rho": 0.1,
        "penalty": "log(0.001)",
        "limit": 60,
        "solver": "ours",
    }
    genes = {"data": "riboflavin", "solver": "ours", "penalty": "log(0.1)", "ridge": 0.0, "limit": 600}
    limits = [*({**near_l0, "ridge": ridge} for ridge in (0.0, 0.1)), genes]
    return [*hard, *small, *middle, *rival, *limits, *patient]


def data(cell: dict[str, Any], folder: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """Return X and y of a cell."""
    if "data" in cell:
        if folder is None or not (file := folder / "sparse" / "riboflavin.npz").is_file():
            raise SystemExit(
                "The row of the genes needs --data, a folder with sparse/riboflavin.npz; or --only."
            )
        with np.load(file, allow_pickle=False) as content:
            X, y = content["X"].astype(np.float64), content["y"].astype(np.float64)
        return (X - X.mean(axis=0)) / X.std(axis=0), (y - y.mean()) / y.std()
    rng = np.random.default_rng(0)
    d, n = cell["d"], cell["n"]
    covariance = cell["rho"] ** np.abs(np.subtract.outer(np.arange(d), np.arange(d)))
    X = rng.standard_normal((n, d)) @ np.linalg.cholesky(covariance).T
    truth = np.zeros(d)
    truth[rng.choice(d, cell["k"], replace=False)] = rng.choice([-1.0, 1.0], cell["k"])
    return X, X @ truth + math.sqrt(truth @ covariance @ truth / 5.0) * rng.standard_normal(n)


def problem_of(cell: dict[str, Any], folder: Path | None = None) -> RegressionProblem:
    """Return a cell's problem; lam and box come from the path without ridge (with one EBIC keeps nothing)."""
    X, y = data(cell, folder)
    parts = {"penalty": PENALTIES[cell["penalty"]]}
    chosen = path(RegressionProblem(X, y, **parts), n_lams=50).best("ebic")
    largest = 1.5 * max(float(np.abs(chosen.x).max()), 1e-3)
    box = {"lower": -largest, "upper": largest}
    return RegressionProblem(X, y, lam=chosen.lam, ridge=cell["ridge"], **box, **parts)


def scip(problem: RegressionProblem, gap: float, seconds: float) -> tuple[float, float, int]:
    """Return objective, lower bound and nodes of SCIP on the problem with the log penalty as it stands."""
    from pyscipopt import Model, log, quicksum

    d, n, eps = problem.n_features, problem.n_samples, problem.penalty.eps
    model = Model()
    model.hideOutput()
    for name, value in {"time": seconds, "gap": 0.0, "absgap": gap}.items():
        model.setParam(f"limits/{name}", value)
    model.setParam("timing/clocktype", 1)  # the processor's
    top = float(problem.upper[0])
    up, down = ([model.addVar(lb=0.0, ub=top) for _ in range(d)] for _ in range(2))
    gram, q = problem.X.T @ problem.X / n, problem.X.T @ problem.y / n
    x = [a - b for a, b in zip(up, down, strict=True)]
    fit, penalty = model.addVar(lb=0.0), model.addVar(lb=0.0)
    quadratic = quicksum(0.5 * gram[i, j] * x[i] * x[j] for i in range(d) for j in range(d))
    base = float(problem.y @ problem.y) / (2 * n)
    model.addCons(quadratic - quicksum(q[i] * x[i] for i in range(d)) + base <= fit)
    scale = problem.lam / math.log(1 + 1 / eps)
    model.addCons(quicksum(scale * log(1 + (up[i] + down[i]) / eps) for i in range(d)) <= penalty)
    model.setObjective(fit + penalty, "minimize")
    model.optimize()
    bound, found = model.getDualbound(), math.inf
    if model.getNSols():
        point = np.array([model.getVal(a) - model.getVal(b) for a, b in zip(up, down, strict=True)])
        found = problem.objective(np.clip(point, -top, top))
    return found, bound, int(model.getNTotalNodes())


def measure(cell: dict[str, Any], folder: Path | None) -> dict[str, Any]:
    """Return a cell's row."""
    problem = problem_of(cell, folder)
    zero = problem.objective(np.zeros(problem.n_features))
    gap = RELATIVE_GAP * zero
    warm = RegressionProblem(problem.X[:, :5], problem.y, lam=problem.lam, lower=-1.0, upper=1.0)
    global_minimum(warm, max_nodes=50)  # compiles
    begun = time.process_time()
    if cell["solver"] == "SCIP":
        objective, bound, nodes = scip(problem, gap, cell["limit"])
        kept = None
    else:
        with patch("time.perf_counter", time.process_time):  # what the limit is measured by
            found = global_minimum(problem, gap=gap, max_nodes=10**9, time_limit=cell["limit"])
        objective, bound, nodes = found.objective, found.lower_bound, found.n_nodes
        kept = found.support.size
    return {
        **cell,
        "lam": problem.lam,
        "at_zero": zero,
        "objective": objective,
        "lower_bound": bound,
        "gap": max(objective - bound, 0.0) / zero,
        "nodes": nodes,
        "kept": kept,
        "seconds": time.process_time() - begun,
    }


def stored() -> list[dict[str, Any]]:
    """Return the rows measured so far."""
    return json.loads(STORE.read_text())["rows"] if STORE.is_file() else []


def store(row: dict[str, Any]) -> None:
    """Add a row to the file, whole or not at all."""
    names = ("numpy", "numba", "scipy") + (("pyscipopt",) if row["solver"] == "SCIP" else ())
    row["versions"] = {name: version(name) for name in names}
    content = {"command": "python benchmarks/certified_optima.py", "rows": [*stored(), row]}
    beside = STORE.with_suffix(".tmp")
    beside.write_text(json.dumps(content, indent=1, default=float) + "\n")
    beside.replace(STORE)


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as Markdown, in the order of `cells`."""
    lines = [
        "| problem | penalty | ridge | kept | solver | seconds | gap, of F(0) | nodes |",
        "| --- " * 8 + "|",
    ]
    for cell in cells():
        for row in rows:
            if cell.items() <= row.items():
                kind = f"d = {row['d']}, n = {row['n']}, k = {row['k']}" if "d" in row else row["data"]
                gap = "proved" if row["gap"] <= RELATIVE_GAP else f"{row['gap']:.1%}"
                end = f"{row['seconds']:.2g} | {gap} | {row['nodes']} |"
                kept = "" if row.get("kept") is None else row["kept"]
                begin = f"| {kind} | {row['penalty']} | {row['ridge']:g} | {kept} |"
                lines.append(f"{begin} {row['solver']} | {end}")
    return "\n".join(lines)


def main() -> None:
    """Measure what is missing, or write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("CONCAVE_SPARSITY_DATA"))
    parser.add_argument("--only", default="", help="measure rows alone whose description holds this text")
    parser.add_argument("--readme", action="store_true", help="write the table into README.md")
    given = parser.parse_args()
    if given.readme:
        text = README.read_text()
        start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
        README.write_text(f"{text[:start]}\n\n{table(stored())}\n\n{text[end:]}")
        return
    folder = None if given.data is None else Path(given.data)
    for cell in cells():
        if given.only not in str(cell) or any(cell.items() <= row.items() for row in stored()):
            continue
        row = measure(cell, folder)
        store(row)
        print(f"{cell}: gap {row['gap']:.2%} of F(0) after {row['seconds']:.3g} s", flush=True)
    print(table(stored()))


if __name__ == "__main__":
    main()
