"""Error against lam with the bounds of T2 and T4, for l1 and concave penalties: the paper's central claim.

Linear masks on correlated Gaussian data with a little noise. Left, points no worse than the target:
certified global minima and the bound of T2. Right, stationary points: what majorize-minimize
returns, and the bound of T4.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from figures.style import canvas, looks, name_panel

D, N, K, RHO, NOISE, SEEDS = 40, 400, 8, 0.3, 0.02, 5
LAMS = np.geomspace(1e-3, 0.6, 40)


def _penalties() -> dict[str, Any]:
    from concave_sparsity import L1, MCP, Log

    return {"l1": L1(), "log, ε = 1": Log(1.0), "log, ε = 0.1": Log(0.1), "MCP, γ = 1": MCP(1.0)}


def compute() -> dict[str, Any]:
    from convex_analysis import ConvergenceWarning, MaskProblem, global_minimum, majorize_minimize, theorems

    warnings.simplefilter("ignore", ConvergenceWarning)
    data: dict[str, Any] = {"lam": LAMS, "k": K, "d": D, "n": N, "rho": RHO, "noise": NOISE, "seeds": SEEDS}
    limits = []
    for name, penalty in _penalties().items():
        fields = ("global_error", "global_bound", "stationary_error", "stationary_bound")
        table = np.full((len(fields), SEEDS, LAMS.size), np.nan)
        for seed in range(SEEDS):
            rng = np.random.default_rng(seed)
            covariance = RHO ** np.abs(np.subtract.outer(np.arange(D), np.arange(D)))
            X = rng.standard_normal((N, D)) @ np.linalg.cholesky(covariance).T
            target = np.zeros(D)
            target[rng.choice(D, K, replace=False)] = 1.0
            y = X @ target + NOISE * rng.standard_normal(N)
            for i, lam in enumerate(LAMS):
                problem = MaskProblem(X, y, penalty=penalty, lam=float(lam))
                best = global_minimum(problem, gap=1e-9, max_nodes=20_000)
                level = theorems.T2.check(problem, target, best)
                stationary = majorize_minimize(problem)
                point = theorems.T4.check(problem, target, stationary)
                table[0, seed, i] = level.measured
                table[1, seed, i] = level.bound if level.status != "does not apply" else np.nan
                table[2, seed, i] = point.measured
                table[3, seed, i] = point.bound if point.status != "does not apply" else np.nan
        mu = float(np.linalg.eigvalsh(X.T @ X / N)[0])
        limits.append(mu / 2)
        data[name] = {field: np.median(table[f], axis=0) for f, field in enumerate(fields)}
    data["vacuous_from"] = float(np.median(limits))
    return data


def draw(data: dict[str, Any]) -> Figure:
    figure, axes = canvas(1, 2, height=3.7, sharey=True)
    lams = np.array(data["lam"])
    trivial = np.sqrt(data["k"])
    styles, marked = looks(_penalties()), looks(_penalties(), marker=True)
    for ax, kind in zip(axes[0], ("global", "stationary")):
        for name in styles:
            curves = data[name]
            bound = np.array(curves[f"{kind}_bound"], dtype=float)
            bound[~(bound < 30)] = np.nan
            error = np.array(curves[f"{kind}_error"], dtype=float)
            ax.plot(lams, bound, **styles[name], label=f"{name}: bound")
            ax.plot(lams[::3], error[::3], **{**marked[name], "linestyle": "none"}, fillstyle="none")
        ax.axhline(trivial, color="#777777", linewidth=0.8)
        ax.set(xscale="log", yscale="log", xlim=(lams[0] / 1.15, lams[-1] * 1.15), ylim=(6e-4, 9))
        ax.set_xlabel("strength of the penalty $\\lambda$")
        ax.axvline(data["vacuous_from"], color="#777777", linewidth=0.8, linestyle=":")
    axes[0, 0].text(data["vacuous_from"] * 1.06, 0.02, "$\\mu/2$", fontsize=8, color="#444444")
    axes[0, 0].set_ylabel("distance to the target mask $\\Vert m-\\tilde m\\Vert_2$")
    axes[0, 0].text(lams[0] * 1.1, trivial * 1.1, "$\\sqrt{k}$: says nothing", fontsize=8, color="#444444")
    name_panel(axes[0, 0], "a", "global minima, bound of T2")
    name_panel(axes[0, 1], "b", "stationary points, bound of T4")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    marks = [
        axes[0, 0].plot([], [], **{**marked[name], "linestyle": "none"}, fillstyle="none")[0]
        for name in marked
    ]
    names = [f"{name}: error" for name in _penalties()]
    figure.legend(handles + marks, labels + names, loc="outside lower center", ncols=4)
    return figure
