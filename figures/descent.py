"""Convergence of majorize-minimize: objective, and the stationarity gap against the rate of T7."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from figures.plain_steps import iterates
from figures.style import canvas, looks, name_panel

D, N, K, RHO, NOISE, LAM, SEED, STEPS = 200, 260, 20, 0.9, 1.0, 0.02, 0, 60


def _penalties() -> dict[str, Any]:
    from concave_sparsity import MCP, Exponential, Log

    return {
        "log, ε = 1": Log(1.0),
        "log, ε = 0.1": Log(0.1),
        "MCP, γ = 1": MCP(1.0),
        "exponential, ε = 0.3": Exponential(0.3),
    }


def compute() -> dict[str, Any]:
    from convex_analysis import MaskProblem, global_minimum

    rng = np.random.default_rng(SEED)
    covariance = RHO ** np.abs(np.subtract.outer(np.arange(D), np.arange(D)))
    X = rng.standard_normal((N, D)) @ np.linalg.cholesky(covariance).T
    target = np.zeros(D)
    target[rng.choice(D, K, replace=False)] = 1.0
    y = X @ (target * rng.uniform(0.3, 1.0, D)) + NOISE * rng.standard_normal(N)
    mu = float(np.linalg.eigvalsh(X.T @ X / N)[0])
    data: dict[str, Any] = {
        "d": D,
        "n": N,
        "k": K,
        "rho": RHO,
        "noise": NOISE,
        "lam": LAM,
        "seed": SEED,
        "mu": mu,
    }
    for name, penalty in _penalties().items():
        problem = MaskProblem(X, y, penalty=penalty, lam=LAM)
        least = global_minimum(problem, max_nodes=2000).lower_bound
        points = list(iterates(problem, STEPS))
        objectives = [problem.objective(x) for x in points]
        gaps = [_stationarity_gap(problem, a, b) for a, b in pairwise(points)]
        data[name] = {"objectives": [f"{v:.17g}" for v in objectives], "gaps": gaps, "least": least}
    return data


def _stationarity_gap(problem: Any, x: np.ndarray, after: np.ndarray) -> float:
    """Return G(x) of T7: how far x is from the minimum of its own convex step, which is ``after``."""
    fall = problem.data_fit(x) - problem.data_fit(after) + float(problem.weights(x) @ (x - after))
    return max(fall, 0.0)


def draw(data: dict[str, Any]) -> Figure:
    figure, axes = canvas(1, 2, height=3.2)
    left, right = axes[0]
    budgets: list[float] = []
    styles = looks(_penalties(), marker=True)
    for name in styles:
        run = data[name]
        values = np.array([float(v) for v in run["objectives"]])
        gaps = np.minimum.accumulate(run["gaps"])
        to_go = values[:-1] - values[-1]
        shown = to_go > 1e-15
        left.plot(np.flatnonzero(shown), to_go[shown], **styles[name], label=name, markevery=6)
        taken = np.arange(1, gaps.size + 1)
        shown = gaps > 1e-15
        right.plot(taken[shown], gaps[shown], **styles[name], markevery=6)
        budgets.append(values[0] - run["least"])
    left.set(
        yscale="log",
        xlabel="step $t$ of majorize-minimize",
        ylabel="$F(m^t)-F(m^\\infty)$",
        xlim=(0, STEPS),
    )
    left.legend(loc="upper right")
    name_panel(left, "a", "objective still to go")
    # T7: the least gap of T steps is at most (F(m^0) - inf F) / T; the band holds the four bounds.
    taken = np.arange(1, STEPS + 1)
    right.fill_between(taken, min(budgets) / taken, max(budgets) / taken, color="#bbbbbb", label="bounds")
    right.set(
        yscale="log",
        xlabel="steps $T$ of majorize-minimize",
        ylabel="least stationarity gap $G(m^t)$, $t<T$",
        xlim=(0, STEPS),
    )
    right.text(30, 2.0 * max(budgets) / 30, "bounds of T7, $\\propto 1/T$", fontsize=8, color="#444444")
    name_panel(right, "b", "stationarity against the rate of T7")
    return figure
