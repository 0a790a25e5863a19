"""How tight the theorems are: the measured quantity over its bound, on random problems of many kinds."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from concave_sparsity.plot_style import typeset
from figures.style import COLOURS, canvas

PROBLEMS = 300
# These say that two points are the same: there is no bound to be tight.
EQUALITIES = ("T6", "T8")


def _problem(seed: int) -> tuple[Any, np.ndarray]:
    from concave_sparsity import L1, MCP, SCAD, Exponential, Log
    from convex_analysis import MaskProblem

    rng = np.random.default_rng(seed)
    d = int(rng.integers(4, 13))
    n = int(rng.integers(d // 2 + 1, 8 * d))
    k = int(rng.integers(1, d))
    rho = rng.choice([0.0, 0.3, 0.7])
    covariance = rho ** np.abs(np.subtract.outer(np.arange(d), np.arange(d)))
    X = rng.standard_normal((n, d)) @ np.linalg.cholesky(covariance).T
    target = np.zeros(d)
    target[rng.choice(d, k, replace=False)] = 1.0
    loss = rng.choice(["linear", "linear", "logistic"])
    if loss == "linear":
        y = X @ target + 10.0 ** rng.uniform(-3, -0.5) * rng.standard_normal(n)
    else:
        y = np.where(rng.random(n) < 1.0 / (1.0 + np.exp(-X @ target)), 1.0, -1.0)
    penalties = [L1(), Log(0.1), Log(1.0), MCP(1.0), SCAD(3.7, 0.2), Exponential(0.3)]
    penalty = penalties[int(rng.integers(len(penalties)))]
    lam = 10.0 ** rng.uniform(-3, -0.5)
    return MaskProblem(X, y, loss=str(loss), penalty=penalty, lam=float(lam)), target


def compute() -> dict[str, Any]:
    from convex_analysis import ConvergenceWarning, ConvexStep, global_minimum, majorize_minimize, theorems

    warnings.simplefilter("ignore", ConvergenceWarning)
    ratios: dict[str, list[float]] = {}
    titles: dict[str, str] = {}
    applied: dict[str, int] = {}
    for seed in range(PROBLEMS):
        problem, target = _problem(seed)
        solution = majorize_minimize(problem)
        # T1 at the l1 solution, where its bound is lam Gamma; the truth is a certified global minimum.
        l1 = ConvexStep(problem).compute(np.full(problem.n_features, problem.lam)).x
        excess = problem.objective(l1) - global_minimum(problem, gap=1e-9, max_nodes=5000).objective
        first = theorems.T1.check(problem, target, l1)
        if first.bound > 1e-8:
            ratios.setdefault("T1", []).append(max(excess / first.bound, 0.0))
        for verdict in theorems.check_all(problem, target, solution):
            titles[verdict.theorem] = verdict.quantity
            if not all(hypothesis.holds for hypothesis in verdict.hypotheses):
                continue
            applied[verdict.theorem] = applied.get(verdict.theorem, 0) + 1
            if verdict.theorem == "T1" or verdict.theorem in EQUALITIES:
                continue
            if np.isfinite(verdict.bound) and np.isfinite(verdict.measured) and verdict.bound > 1e-10:
                ratios.setdefault(verdict.theorem, []).append(max(verdict.measured / verdict.bound, 0.0))
    return {
        "problems": PROBLEMS,
        "ratios": {name: np.array(values) for name, values in ratios.items()},
        "quantities": titles,
        "applied": applied,
    }


def draw(data: dict[str, Any]) -> Figure:
    names = sorted((n for n in data["ratios"] if len(data["ratios"][n]) >= 5), key=lambda name: int(name[1:]))
    figure, axes = canvas(1, 1, height=0.9 + 0.33 * len(names))
    ax = axes[0, 0]
    floor = 1e-4
    for row, name in enumerate(reversed(names)):
        values = np.clip(np.array(data["ratios"][name], dtype=float), floor, None)
        # Points side by side in their own order, so that the picture is the same each time.
        spread = 0.28 * np.sin(2.399963 * np.arange(values.size))
        ax.plot(values, row + spread, "o", markersize=2.2, color=COLOURS[2], alpha=0.35, markeredgewidth=0)
        middle = np.median(values)
        ax.plot([middle, middle], [row - 0.36, row + 0.36], color="black", linewidth=2.2)
        ax.text(
            1.5,
            row,
            f"{middle:<9.2g}{values.max():<9.2g}{100 * data['applied'][name] / data['problems']:3.0f} %",
            va="center",
            fontsize=7.5,
            family="monospace",
        )
    ax.axvline(1.0, color=COLOURS[1], linewidth=1.4)
    ax.set_yticks(
        range(len(names)),
        [f"{n}: {typeset(_short(data['quantities'][n]))}" for n in reversed(names)],
        fontsize=7.5,
    )
    ax.set(
        xscale="log",
        xlabel="measured over bound (at most 1; smaller is looser)",
        ylim=(-0.6, len(names) - 0.4),
    )
    ax.set_xlim(floor * 0.8, 1.2)
    ax.grid(axis="y", visible=False)
    ax.set_title(f"{data['problems']} random problems")
    ax.set_ylabel("theorem and what it bounds")
    ax.text(1.5, len(names) - 0.45, "median    largest    hypotheses hold", va="bottom", fontsize=7.5)
    return figure


def _short(text: str) -> str:
    """Return what is bounded, without its explanation."""
    return re.split(r" \(|, | of the ", text)[0]
