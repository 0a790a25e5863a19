"""Certified global minima: our branch and bound beside SCIP and HiGHS, on one core, in one run.

    python benchmarks/global_minimum.py [--seconds 20] [--sizes 4 8 15 30 60] [--output results.json]
    python benchmarks/global_minimum.py --table figures/results/global_minimum_benchmark.json

Each row is stored as soon as it is measured; sizes may be measured one after the other into the same file.

The problem is a mask with the log penalty (eps = 0.1) on correlated Gaussian data, n = 2d, noise 0.3, at
lam = 0.45 mu, where the l1 bound of theory.md, T3, says something, and at lam = 5 mu, where it does not.

* SCIP solves the same problem exactly as it is: a convex quadratic and logarithms.
* HiGHS has no logarithm and no mixed-integer quadratic: it gets a piecewise linear problem that lies
  below ours everywhere (tangents of the quadratic in its eigenvectors, chords of the penalty with one
  binary a piece), so that its bound is a bound of ours; its point is polished by majorize-minimize.

All three are judged by the same gap: our objective at their point, less their own lower bound. Seconds are
processor time (building the model included), so that other work on the machine counts little.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from concave_sparsity import Log
from convex_analysis import MaskProblem, global_minimum, majorize_minimize

EPS = 0.1
GAP = 1e-6


def make_problem(d: int, factor: float, rho: float = 0.5, noise: float = 0.3, seed: int = 0) -> MaskProblem:
    rng = np.random.default_rng(seed)
    covariance = rho ** np.abs(np.subtract.outer(np.arange(d), np.arange(d)))
    X = rng.standard_normal((2 * d, d)) @ np.linalg.cholesky(covariance).T
    mask = np.zeros(d)
    mask[rng.choice(d, max(1, d // 6), replace=False)] = 1.0
    y = X @ mask + noise * rng.standard_normal(2 * d)
    mu = float(np.linalg.eigvalsh(X.T @ X / (2 * d))[0])
    return MaskProblem(X, y, penalty=Log(EPS), lam=factor * mu)


def ours(problem: MaskProblem, seconds: float) -> tuple[float, float]:
    solution = global_minimum(problem, gap=GAP, time_limit=seconds)
    return solution.objective, solution.lower_bound


def scip(problem: MaskProblem, seconds: float) -> tuple[float, float]:
    """SCIP on the problem as it stands."""
    from pyscipopt import Model, log, quicksum

    d, n = problem.n_features, problem.n_samples
    model = Model()
    model.hideOutput()
    model.setParam("limits/time", seconds)
    model.setParam("limits/gap", 0.0)
    model.setParam("limits/absgap", GAP)
    model.setParam("numerics/feastol", 1e-9)
    x = [model.addVar(lb=0.0, ub=1.0) for _ in range(d)]
    gram, q = problem.X.T @ problem.X / n, problem.X.T @ problem.y / n
    base = float(problem.y @ problem.y) / (2 * n)
    fit, penalty = model.addVar(lb=0.0), model.addVar(lb=0.0)
    quadratic = quicksum(0.5 * gram[i, j] * x[i] * x[j] for i in range(d) for j in range(d))
    model.addCons(quadratic - quicksum(q[i] * x[i] for i in range(d)) + base <= fit)
    scale = problem.lam / math.log(1 + 1 / EPS)
    model.addCons(quicksum(scale * log(1 + x[i] / EPS) for i in range(d)) <= penalty)
    model.setObjective(fit + penalty, "minimize")
    model.optimize()
    bound = model.getDualbound()
    if model.getNSols() == 0:
        return np.inf, bound
    point = np.clip([model.getVal(v) for v in x], 0.0, 1.0)
    return problem.objective(point), bound


def highs(
    problem: MaskProblem, seconds: float, n_tangents: int = 200, n_pieces: int = 60
) -> tuple[float, float]:
    """HiGHS on a piecewise linear problem below ours; variables x, e (eigen-coordinates), t, delta, z."""
    d, n = problem.n_features, problem.n_samples
    gram, q = problem.X.T @ problem.X / n, problem.X.T @ problem.y / n
    values, vectors = np.linalg.eigh(gram)
    centre = np.linalg.solve(gram, q)
    base = float(problem.y @ problem.y) / (2 * n) - 0.5 * float(q @ centre)
    # f(x) = base + sum_i values_i w_i^2 / 2 with w = V'(x - centre); t_i is above the tangents of w_i^2 / 2.
    low = np.minimum(vectors, 0.0).sum(axis=0) - vectors.T @ centre
    high = np.maximum(vectors, 0.0).sum(axis=0) - vectors.T @ centre
    # Chords of the penalty between points that crowd where it bends.
    points = EPS * np.expm1(np.linspace(0.0, math.log1p(1 / EPS), n_pieces + 1))
    lengths = np.diff(points)
    slopes = np.diff(problem.penalty.value(points)) / lengths
    n_z = n_pieces - 1
    sizes = [d, d, d, d * n_pieces, d * n_z]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    total = int(starts[-1])
    cost = np.zeros(total)
    cost[starts[2] : starts[3]] = values
    cost[starts[3] : starts[4]] = problem.lam * np.tile(slopes, d)
    lower = np.concatenate([np.zeros(d), low, np.zeros(d), np.zeros(d * n_pieces), np.zeros(d * n_z)])
    upper = np.concatenate([np.ones(d), high, np.full(d, np.inf), np.tile(lengths, d), np.ones(d * n_z)])
    eye = sparse.eye_array(d)
    none = sparse.csr_array
    constraints = [
        # w = V'x - V'centre, and x is the sum of its pieces.
        LinearConstraint(
            sparse.hstack([vectors.T, -eye, none((d, total - 2 * d))]),
            vectors.T @ centre,
            vectors.T @ centre,
        ),
        LinearConstraint(
            sparse.hstack(
                [
                    -eye,
                    none((d, 2 * d)),
                    sparse.kron(eye, np.ones((1, n_pieces))),
                    none((d, d * n_z)),
                ]
            ),
            0.0,
            0.0,
        ),
    ]
    for share in np.linspace(0.0, 1.0, n_tangents):
        at = low + share * (high - low)
        rows = sparse.hstack([none((d, d)), -sparse.diags_array(at), eye, none((d, total - 3 * d))])
        constraints.append(LinearConstraint(rows, -0.5 * at * at, np.inf))
    # A piece starts only when the one before is full: length z_k <= delta_k, delta_{k+1} <= length z_k.
    first = sparse.hstack([sparse.eye_array(n_z), none((n_z, 1))])
    second = sparse.hstack([none((n_z, 1)), sparse.eye_array(n_z)])
    for block, weights, sign in ((first, lengths[:-1], 1.0), (second, lengths[1:], -1.0)):
        rows = sparse.hstack(
            [
                none((d * n_z, 3 * d)),
                sparse.kron(eye, sign * block),
                sparse.kron(eye, sparse.diags_array(-sign * weights)),
            ]
        )
        constraints.append(LinearConstraint(rows, 0.0, np.inf))
    integrality = np.zeros(total)
    integrality[starts[4] :] = 1
    result = milp(
        cost,
        integrality=integrality,
        bounds=Bounds(lower, upper),
        constraints=constraints,
        options={"time_limit": seconds, "mip_rel_gap": 0.0},
    )
    bound = -np.inf if result.mip_dual_bound is None else base + float(result.mip_dual_bound)
    if result.x is None:
        return np.inf, bound
    point = np.clip(result.x[:d], 0.0, 1.0)
    return majorize_minimize(problem, point, tol=1e-7).objective, bound


SOLVERS = {"ours": ours, "SCIP": scip, "HiGHS": highs}


def stored(file: Path) -> dict[str, Any]:
    """Return what the file holds; an empty record if there is none yet."""
    if file.is_file():
        return json.loads(file.read_text())
    return {"rows": []}


def store(file: Path, seconds: float, row: dict[str, Any]) -> None:
    """Put a row into the file, whole or not at all, in place of an earlier one of its problem and solver."""
    record = stored(file)
    same = ("d", "factor", "solver")
    rows = [one for one in record["rows"] if any(one[key] != row[key] for key in same)]
    rows.append(row)
    rows.sort(key=lambda one: (one["factor"], one["d"], list(SOLVERS).index(one["solver"])))
    versions = {name: version(name) for name in ("numpy", "numba", "scipy", "pyscipopt")}
    record = {
        "command": "python benchmarks/global_minimum.py",
        "processor": platform.processor() or platform.machine(),
        "limit": seconds,
        "gap": GAP,
        "versions": versions,
        "rows": rows,
    }
    part = file.with_suffix(".partial")
    part.write_text(json.dumps(record, indent=1) + "\n")
    part.replace(file)


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a table in Markdown, one line a problem."""
    lines = ["| d | n | lam / mu | " + " | ".join(SOLVERS) + " |", "|" + " --- |" * (3 + len(SOLVERS))]
    for factor, d in sorted({(row["factor"], row["d"]) for row in rows}):
        cells = []
        for name in SOLVERS:
            row = next((r for r in rows if (r["factor"], r["d"], r["solver"]) == (factor, d, name)), None)
            if row is None:
                cells.append("-")
            elif row["gap"] <= 1.001 * GAP:
                cells.append(f"{row['seconds']:.3g} s")
            else:
                cells.append(f"{row['seconds']:.3g} s, gap {row['gap']:.0e}".replace("e-0", "e-"))
        lines.append(f"| {d} | {2 * d} | {factor:g} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="*", default=[4, 8, 15, 30, 60])
    parser.add_argument(
        "--factors", type=float, nargs="*", default=[0.45, 5.0], help="lam as multiples of mu"
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="limit a solve")
    parser.add_argument("--repeats", type=int, default=3, help="runs of ours, of which the median counts")
    parser.add_argument("--output", type=Path, help="file for the results as JSON")
    parser.add_argument("--table", type=Path, help="print stored results as a table and measure nothing")
    arguments = parser.parse_args()
    if arguments.table:
        print(table(stored(arguments.table)["rows"]))
        return
    ours(make_problem(5, 0.45), 60.0)  # compiled before the clock starts
    rows = []
    for d, factor in itertools.product(arguments.sizes, arguments.factors):
        problem = make_problem(d, factor)
        for name, solver in SOLVERS.items():
            times, walls = [], []
            for _ in range(arguments.repeats if name == "ours" else 1):
                begun, worked = time.perf_counter(), time.process_time()
                objective, bound = solver(problem, arguments.seconds)
                times.append(time.process_time() - worked)
                walls.append(time.perf_counter() - begun)
            row = {
                "d": d,
                "factor": factor,
                "n": problem.n_samples,
                "lam": problem.lam,
                "solver": name,
                "seconds": float(np.median(times)),
                "wall_seconds": float(np.median(walls)),
                "gap": max(objective - bound, 0.0),
                "objective": objective,
                "lower_bound": bound,
            }
            rows.append(row)
            if arguments.output:
                store(arguments.output, arguments.seconds, row)
            told = f"d = {d}, lam = {factor} mu, {name}: {row['seconds']:.3f} s, gap {row['gap']:.1e}"
            print(told, file=sys.stderr, flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
