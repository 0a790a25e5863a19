"""How far branch and bound goes: processor seconds to a gap of 1e-6 over size, correlation, k and lam.

Linear problems with the log penalty (eps = 0.1), n = 2d correlated Gaussian samples, noise 0.5;
medians of three seeds, one core a solve. Processor time, so that other work on the machine counts little.
Where the limit came first, the gap reached.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from matplotlib.figure import Figure

from benchmarks import seed_rows
from figures.style import HEAT, canvas, name_panel

LIMIT, SEEDS, EPS, NOISE = 10.0, 3, 0.1, 0.5
SIZES = [30, 60, 120, 250, 500, 1000]
CORRELATIONS = [0.0, 0.5, 0.8, 0.9, 0.95, 0.98]
FACTORS = [0.05, 0.15, 0.45, 1.5, 5.0, 15.0]
ONES = [5, 10, 20, 40, 60, 80]
LAMS = [0.01, 0.02, 0.03, 0.05, 0.1, 0.3]
WORKERS = 2
#: Finished solves are kept here: `compute` may be stopped and started again at any moment.
RUNS = Path(os.environ.get("BRANCH_AND_BOUND_REACH_RUNS", "runs/branch_and_bound_reach.jsonl"))
#: Seconds after which `compute` starts no further solve.
PART = float(os.environ.get("BRANCH_AND_BOUND_REACH_SECONDS", "inf"))


def _problem(seed: int, d: int, rho: float, k: int, factor: float = 0.0, lam: float = 0.0) -> Any:
    """Return a problem with n = 2d: a mask with lam a multiple of mu, or signed weights with lam given."""
    from concave_sparsity import Log
    from convex_analysis import MaskProblem, RegressionProblem

    rng = np.random.default_rng([d, k, seed])
    n = 2 * d
    covariance = rho ** np.abs(np.subtract.outer(np.arange(d), np.arange(d)))
    X = rng.standard_normal((n, d)) @ np.linalg.cholesky(covariance).T
    target = np.zeros(d)
    target[rng.choice(d, k, replace=False)] = 1.0
    noise = NOISE * rng.standard_normal(n)
    if lam:
        target *= rng.uniform(0.5, 1.5, d) * rng.choice([-1.0, 1.0], d)
        return RegressionProblem(X, X @ target + noise, penalty=Log(EPS), lam=lam, lower=-2.0, upper=2.0)
    mu = float(np.linalg.eigvalsh(X.T @ X / n)[0])
    return MaskProblem(X, X @ target + noise, penalty=Log(EPS), lam=factor * mu)


def _solve(**cell: Any) -> tuple[float, float]:
    """Return the processor seconds taken and the gap reached within the limit of them."""
    from convex_analysis import global_minimum

    problem, begun = _problem(**cell), time.process_time()
    with patch("time.perf_counter", time.process_time):  # what the limit is measured by
        solution = global_minimum(problem, time_limit=LIMIT, max_nodes=10**7)
    return time.process_time() - begun, solution.gap


def _tables() -> dict[str, list[list[dict[str, Any]]]]:
    """Return the cells of the three panels."""
    return {
        "correlation": [
            [{"d": d, "rho": rho, "k": 10, "factor": 0.45} for d in SIZES] for rho in CORRELATIONS
        ],
        "ones": [[{"d": 120, "rho": 0.7, "k": k, "factor": factor} for k in ONES] for factor in FACTORS],
        "signed": [[{"d": d, "rho": 0.5, "k": 10, "lam": lam} for d in SIZES] for lam in LAMS],
    }


def _prepare() -> None:
    """Keep a worker to one core, and compile before the clock starts."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    _solve(d=20, rho=0.5, k=5, factor=0.45, seed=0)


def _kept() -> dict[str, tuple[float, float]]:
    """Return the finished solves, by the text of their cell and seed."""
    return {row["solve"]: (row["seconds"], row["gap"]) for row in seed_rows.stored(RUNS)}


def compute() -> dict[str, Any]:
    """Solve every cell with all seeds, about ten minutes; finished solves are kept and not made again.

    Raises
    ------
    TimeoutError
        If the part of the time given by BRANCH_AND_BOUND_REACH_SECONDS is over first: run it again.
    """
    from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
    from multiprocessing import get_context

    begun = time.perf_counter()
    tables = _tables()
    cells = [cell for table in tables.values() for row in table for cell in row]
    solves = {json.dumps(one): one for one in ({**cell, "seed": s} for cell in cells for s in range(SEEDS))}
    kept = _kept()
    left = [text for text in solves if text not in kept]
    with ProcessPoolExecutor(WORKERS, get_context("spawn"), _prepare) as pool:
        running: dict[Future[tuple[float, float]], str] = {}
        while left or running:
            while left and len(running) < WORKERS and time.perf_counter() - begun < PART:
                text = left.pop(0)
                running[pool.submit(_solve, **solves[text])] = text
            if not running:
                raise TimeoutError(f"{len(left)} of {len(solves)} solves are left: run it again.")
            for one in wait(running, return_when=FIRST_COMPLETED).done:
                seconds, gap = one.result()
                seed_rows.append(RUNS, {"solve": running.pop(one), "seconds": seconds, "gap": gap})
    kept = _kept()
    data = {name: _medians(table, kept) for name, table in tables.items()}
    RUNS.unlink()
    return {"clock": "processor", "limit": LIMIT, "seeds": SEEDS, "eps": EPS, "noise": NOISE, **data}


def _medians(table: list[list[dict[str, Any]]], kept: dict[str, tuple[float, float]]) -> dict[str, Any]:
    """Return the medians over the seeds of a panel's seconds and gaps."""
    runs = np.array(
        [[[kept[json.dumps({**cell, "seed": s})] for s in range(SEEDS)] for cell in row] for row in table]
    )
    seconds, gaps = np.moveaxis(np.median(runs, axis=2), -1, 0)
    return {"seconds": seconds, "gaps": gaps}


def _seconds(value: float) -> str:
    return f"{value:.2f}" if value < 0.095 else f"{value:.1f}" if value < 9.95 else f"{value:.0f}"


def _gap(value: float) -> str:
    return f"gap\n{value:.1f}" if value >= 0.095 else f"gap\n$10^{{{int(np.ceil(np.log10(value)))}}}$"


def _heat(ax: Any, table: dict[str, Any], columns: list[Any], rows: list[Any]) -> Any:
    seconds = np.array(table["seconds"], dtype=float)
    gaps = np.array(table["gaps"], dtype=float)
    image = ax.imshow(np.log10(seconds), origin="lower", aspect="auto", cmap=HEAT, vmin=-2, vmax=1)
    for i, j in np.ndindex(*seconds.shape):
        solved = gaps[i, j] <= 1e-6
        text = _seconds(seconds[i, j]) if solved else _gap(gaps[i, j])
        dark = np.log10(seconds[i, j]) < -0.4
        colour = "white" if dark else "black"
        ax.text(j, i, text, ha="center", va="center", fontsize=6.5, color=colour)
    ax.set_xticks(range(len(columns)), [f"{c:g}" for c in columns], fontsize=6.5)
    ax.set_yticks(range(len(rows)), [f"{r:g}" for r in rows], fontsize=7.5)
    ax.grid(False)
    return image


def draw(data: dict[str, Any]) -> Figure:
    figure, axes = canvas(1, 3, height=3.2)
    first, second, third = axes[0]
    _heat(first, data["correlation"], SIZES, CORRELATIONS)
    first.set(xlabel="features $d$", ylabel="correlation $\\rho$")
    name_panel(first, "a", "masks, $k=10$, $\\lambda=0.45\\mu$")
    _heat(second, data["ones"], ONES, FACTORS)
    second.set(xlabel="ones in the mask $k$", ylabel="$\\lambda/\\mu$")
    name_panel(second, "b", "masks, $d=120$, $\\rho=0.7$")
    image = _heat(third, data["signed"], SIZES, LAMS)
    third.set(xlabel="features $d$", ylabel="$\\lambda$")
    name_panel(third, "c", "signed, $k=10$, $\\rho=0.5$")
    bar = figure.colorbar(image, ax=list(axes[0]), pad=0.01, aspect=25, ticks=[-2, -1, 0, 1])
    bar.ax.set_yticklabels(["0.01", "0.1", "1", "10"])
    clock = "processor seconds" if data.get("clock") == "processor" else "seconds"
    bar.set_label(f"{clock} to a gap of $10^{{-6}}$ (limit {data['limit']:g})")
    return figure
