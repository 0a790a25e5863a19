"""Convergence of majorize-minimize: objective, and the steps against the budget of T7."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from figures.plain_steps import iterates
from figures.style import canvas, look, name_panel

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
        steps = [float(np.sum((b - a) ** 2)) for a, b in pairwise(points)]
        data[name] = {"objectives": [f"{v:.17g}" for v in objectives], "steps": steps, "least": least}
    return data


def draw(data: dict[str, Any]) -> Figure:
    figure, axes = canvas(1, 2, height=3.2)
    left, right = axes[0]
    for i, name in enumerate(_penalties()):
        run = data[name]
        values = np.array([float(v) for v in run["objectives"]])
        steps = np.array(run["steps"])
        to_go = values[:-1] - values[-1]
        shown = to_go > 1e-15
        left.plot(np.flatnonzero(shown), to_go[shown], **look(i, marker=True), label=name, markevery=6)
        # T7: the squared steps sum up to at most 2 (F(m^0) - inf F) / mu.
        budget = 2.0 * (values[0] - run["least"]) / data["mu"]
        right.plot(
            np.arange(1, steps.size + 1), np.cumsum(steps) / budget, **look(i, marker=True), markevery=6
        )
    left.set(
        yscale="log",
        xlabel="step $t$ of majorize-minimize",
        ylabel="$F(m^t)-F(m^\\infty)$",
        xlim=(0, STEPS),
    )
    left.legend(loc="upper right")
    name_panel(left, "a", "objective still to go")
    right.axhline(1.0, color="#777777", linewidth=0.8)
    right.set(
        yscale="log",
        xlabel="step $t$ of majorize-minimize",
        ylabel="$\\sum\\Vert m^{t+1}-m^t\\Vert^2$ over its bound",
        xlim=(0, STEPS),
        ylim=(None, 2),
    )
    name_panel(right, "b", "squared steps against the bound of T7")
    return figure
