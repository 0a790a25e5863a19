"""False and missed columns of each way to choose lam: BIC, EBIC, cross-validation, one standard error.

Linear regression with an intercept and noise of variance one; Gaussian columns of correlation rho^|i-j|, k of
them true, all with the same coefficient, spread evenly. Each draw is one path of 20 lam and
one cross-validation with five folds, for log(0.1), MCP(3) and l1.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks import seed_rows
from figures.style import canvas, look, name_panel

# n, d, number of true columns
SHAPES = ((30, 100, 0), (40, 30, 0), (30, 100, 3), (40, 30, 3), (100, 200, 5))
SIGNALS = (0.5, 1.5)
CORRELATIONS = (0.0, 0.7)
CHOICES = ("BIC", "EBIC", "cross-validation", "one standard error")
N_LAMS = 20
#: Draws a cell; and the part of the time that one call may take, in seconds.
DRAWS = int(os.environ.get("CHOICE_OF_LAM_DRAWS", "200"))
PART = float(os.environ.get("CHOICE_OF_LAM_SECONDS", "inf"))
#: Finished draws are kept here, a line each: one draw of every cell before the next.
RUNS = Path(os.environ.get("FIGURES_RUNS", "runs")) / "choice_of_lam.jsonl"


def _penalties() -> dict[str, Any]:
    from concave_sparsity import L1, MCP, Log

    return {"log, ε = 0.1": Log(0.1), "MCP, γ = 3": MCP(3.0), "l1": L1()}


def cells() -> list[tuple[int, int, int, float, float]]:
    """Return n, d, k, signal and correlation of each cell; noise alone has no signal to vary."""
    found = []
    for n, d, k in SHAPES:
        for signal in SIGNALS if k else (0.0,):
            found += [(n, d, k, signal, rho) for rho in CORRELATIONS]
    return found


def wrong_columns(cell: tuple[int, int, int, float, float], penalty: Any, draw: int) -> np.ndarray:
    """Return the numbers of false and of missed columns of each choice on one draw, shape (choices, 2)."""
    from convex_analysis import ConvergenceWarning, RegressionProblem, cross_validate

    n, d, k, signal, rho = cell
    root = np.linalg.cholesky(rho ** np.abs(np.subtract.outer(np.arange(d), np.arange(d))))
    true = np.zeros(d, dtype=bool)
    true[np.linspace(0, d - 1, k + 2).astype(int)[1:-1]] = k > 0
    rng = np.random.default_rng([draw, n, d, k])
    X = rng.standard_normal((n, d)) @ root.T
    y = X @ np.where(true, signal, 0.0) + rng.standard_normal(n)
    problem = RegressionProblem(X, y, penalty=penalty, fit_intercept=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", UserWarning)
        found = cross_validate(problem, n_lams=N_LAMS, seed=draw, tol=1e-5)
    chosen = (found.path.best("bic"), found.path.best("ebic"), found.best, found.best_within_one_error)
    kept = np.array([solution.x != 0.0 for solution in chosen])
    return np.column_stack([(kept & ~true).sum(axis=1), (~kept & true).sum(axis=1)])


def compute() -> dict[str, Any]:
    """Make the draws that are missing, about an hour and a half; finished ones are not made again.

    Raises
    ------
    TimeoutError
        If the time given by CHOICE_OF_LAM_SECONDS is over first: run it again, or with fewer draws
        (CHOICE_OF_LAM_DRAWS).
    """
    begun = time.perf_counter()
    kept = _kept()
    left = [one for one in _runs() if one not in kept]
    for at, (draw, cell, name) in enumerate(left):
        if time.perf_counter() - begun > PART:
            raise TimeoutError(f"{len(left) - at} of {len(left)} runs are left: run it again.")
        wrong = wrong_columns(cell, _penalties()[name], draw)
        seed_rows.append(RUNS, {"draw": draw, "cell": cell, "name": name, "wrong": wrong.tolist()})
    kept = _kept()
    rows = []
    for cell in cells():
        for name in _penalties():
            wrong = np.array([kept[draw, cell, name] for draw in range(DRAWS)])
            error = wrong.std(axis=0, ddof=1) / np.sqrt(DRAWS)
            rows.append(
                {
                    **dict(zip(("n", "d", "k", "signal", "rho"), cell)),
                    "penalty": name,
                    "false": wrong[:, :, 0].mean(axis=0),
                    "missed": wrong[:, :, 1].mean(axis=0),
                    "false_error": error[:, 0],
                    "missed_error": error[:, 1],
                    "right": (wrong.sum(axis=2) == 0).mean(axis=0),
                }
            )
    return {"draws": DRAWS, "choices": list(CHOICES), "cells": rows}


def _runs() -> Iterator[tuple[int, tuple[int, int, int, float, float], str]]:
    """Yield draw, cell and penalty of every run, so that a part of them is balanced."""
    for draw in range(DRAWS):
        for cell in cells():
            for name in _penalties():
                yield draw, cell, name


def _kept() -> dict[tuple[int, tuple[Any, ...], str], list[list[int]]]:
    """Return the wrong columns of the finished runs."""
    return {(r["draw"], tuple(r["cell"]), r["name"]): r["wrong"] for r in seed_rows.stored(RUNS)}


def draw(data: dict[str, Any]) -> Figure:
    """Draw a panel for each penalty: false columns against the share of the true ones that is missed."""
    names = list(_penalties())
    figure, axes = canvas(1, 3, height=3.2, sharey=True)
    for ax, letter, name in zip(axes[0], "abc", names):
        rows = [row for row in data["cells"] if row["penalty"] == name]
        for i, choice in enumerate(data["choices"]):
            style = {**look(i, marker=True), "linestyle": "none", "clip_on": False}
            false = [row["false"][i] for row in rows]
            missed = [100 * row["missed"][i] / max(row["k"], 1) for row in rows]
            ax.plot(false, missed, **style, alpha=0.35)
            known = [share for share, row in zip(missed, rows) if row["k"]]
            style |= {"markersize": 9, "markeredgecolor": "black", "zorder": 3}
            ax.plot(np.mean(false), np.mean(known), **style, label=choice)
        ax.set_xscale("symlog", linthresh=0.3)
        ax.set(xlim=(0.0, 40.0), ylim=(0.0, 100.0), xlabel="false columns")
        ax.set_xticks([0, 0.3, 1, 3, 10, 30], ["0", "0.3", "1", "3", "10", "30"])
        ax.set_xticks([], minor=True)
        name_panel(ax, letter, name)
    axes[0, 0].set_ylabel("true columns missed, %")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4)
    return figure
