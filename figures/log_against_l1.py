"""The convex claim, draw by draw: distance to the target mask and support, the log penalty against l1.

Linear masks over weights of either sign, correlated Gaussian data with noise. In every draw both penalties
see the same data, and each takes the lam of its path that predicts best on as many fresh samples, which is
what cross-validation aims at; beside it the lam nearest to the target (an oracle). Bounds: where the samples
outnumber the entries tenfold, T2 over points no worse than the target and T4 at what the solver returns, both
penalties at the same lam.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from figures.style import canvas, look, name_panel

DRAWS, D, K, NOISE, EPS = 40, 80, 8, 0.5, 0.1
#: Samples and correlation of neighbouring columns.
GROUNDS: dict[str, tuple[int, float]] = {
    "n = d/2": (40, 0.3),
    "n = d, correlated": (80, 0.8),
    "n = 3d": (240, 0.3),
}
PENALTIES = ("l1", "log")
RULES = ("validation", "oracle")
#: Entries above this one are counted as the support.
ZERO = 1e-6

#: For the bounds: entries, ones, samples, noise, eps of the log, and values of lam.
BOUNDS = {"d": 40, "k": 8, "n": 400, "noise": 0.02, "eps": 1.0}
LAMS = (0.02, 0.05, 0.1)


def _data(rng: np.random.Generator, n: int, d: int, k: int, rho: float, noise: float) -> tuple[Any, ...]:
    """Return weights, target and two samples (X, y)."""
    covariance = rho ** np.abs(np.subtract.outer(np.arange(d), np.arange(d)))
    factor = np.linalg.cholesky(covariance).T
    theta = rng.choice([-1.0, 1.0], d)
    target = np.zeros(d)
    target[rng.choice(d, k, replace=False)] = 1.0
    samples = []
    for _ in range(2):
        X = rng.standard_normal((n, d)) @ factor
        samples.append((X, X @ (theta * target) + noise * rng.standard_normal(n)))
    return theta, target, *samples


def compute() -> dict[str, Any]:
    """Solve every draw along a path of lam with both penalties: a minute of one core."""
    from concave_sparsity import L1, Log
    from convex_analysis import ConvergenceWarning, MaskProblem, path

    warnings.simplefilter("ignore", ConvergenceWarning)
    chosen = {"l1": L1(), "log": Log(EPS)}
    grounds: dict[str, Any] = {}
    for place, (ground, (n, rho)) in enumerate(GROUNDS.items()):
        empty = {field: np.zeros(DRAWS) for field in ("error", "support", "wrong")}
        table = {rule: {name: {f: v.copy() for f, v in empty.items()} for name in chosen} for rule in RULES}
        for number in range(DRAWS):
            rng = np.random.default_rng([place, number])
            theta, target, (X, y), (fresh, y_fresh) = _data(rng, n, D, K, rho, NOISE)
            for name, penalty in chosen.items():
                problem = MaskProblem(X, y, theta, penalty=penalty, lam=1.0)
                masks = [s.x for s in path(problem, n_lams=24, smallest=1e-3).solutions]
                losses = [float(np.mean((y_fresh - fresh @ (theta * m)) ** 2)) for m in masks]
                errors = [float(np.linalg.norm(m - target)) for m in masks]
                for rule, best in zip(RULES, (int(np.argmin(losses)), int(np.argmin(errors)))):
                    found = table[rule][name]
                    found["error"][number] = errors[best]
                    found["support"][number] = np.sum(masks[best] > ZERO)
                    found["wrong"][number] = np.sum((masks[best] > 0.5) != (target > 0.5))
        grounds[ground] = table
    setting = {"draws": DRAWS, "d": D, "k": K, "noise": NOISE, "eps": EPS}
    return {**setting, "grounds": grounds, "bounds": {**BOUNDS, "rows": _bounds()}}


def _bounds() -> list[dict[str, Any]]:
    """Return bound and measured distance of both penalties, theorem by theorem, lam by lam, draw by draw."""
    from concave_sparsity import L1, Log
    from convex_analysis import MaskProblem, majorize_minimize, theorems

    rows = []
    n, d, k = (int(BOUNDS[name]) for name in ("n", "d", "k"))
    for number in range(DRAWS):
        theta, target, (X, y), _ = _data(np.random.default_rng([9, number]), n, d, k, 0.3, BOUNDS["noise"])
        for lam in LAMS:
            for name, penalty in (("l1", L1()), ("log", Log(BOUNDS["eps"]))):
                problem = MaskProblem(X, y, theta, penalty=penalty, lam=lam)
                level, point = majorize_minimize(problem, start=target), majorize_minimize(problem)
                for theorem, x in (("T2", level), ("T4", point)):
                    verdict = getattr(theorems, theorem).check(problem, target, x)
                    speaks = all(hypothesis.holds for hypothesis in verdict.hypotheses)
                    found = {"bound": verdict.bound if speaks else None, "measured": verdict.measured}
                    known = {"theorem": theorem, "penalty": name, "lam": lam, "draw": number}
                    rows.append({**known, **found})
    return rows


def draw(data: dict[str, Any]) -> Figure:
    """Draw error and support of every draw, l1 along, log up: below the diagonal log is better."""
    figure, axes = canvas(1, 2, height=3.4)
    for i, (ground, rules) in enumerate(data["grounds"].items()):
        for ax, field in zip(axes[0], ("error", "support")):
            l1, log = (rules["validation"][name][field] for name in PENALTIES)
            ax.plot(l1, log, **{**look(i, marker=True), "linestyle": "none"}, alpha=0.7, label=ground)
    for ax, field, letter, title in zip(
        axes[0], ("error", "support"), "ab", ("distance to the target mask", "nonzero entries")
    ):
        values = [v for r in data["grounds"].values() for n in PENALTIES for v in r["validation"][n][field]]
        ax.plot([0, max(values)], [0, max(values)], color="#777777", linewidth=0.8)
        ax.set(xlabel="l1", ylabel=f"log, ε = {data['eps']:g}")
        name_panel(ax, letter, title)
    axes[0, 1].axhline(data["k"], color="#777777", linewidth=0.8, linestyle=":")
    axes[0, 0].legend(loc="upper left", fontsize=7)
    return figure
