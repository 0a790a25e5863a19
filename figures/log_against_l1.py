"""The convex claim: distance to the target mask and support, log against l1, draw by draw.

Linear masks with weights of either sign on correlated Gaussian data with noise. For each draw both penalties see
the same data, and each gets the lam that predicts best on as many fresh samples (what cross-validation
aims at); beside it, each at the lam nearest the target (an oracle). Bounds: T2 over points no worse than the
target, T4 at the stationary point that the solver returns, where the samples outnumber the entries.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from figures.style import canvas, look, name_panel

DRAWS, D, K, NOISE, EPS = 60, 100, 10, 0.5, 0.1
#: Samples and correlation of neighbouring columns.
GROUNDS: dict[str, tuple[int, float]] = {
    "n = d/2": (50, 0.3),
    "n = d": (100, 0.3),
    "n = 3d": (300, 0.3),
    "n = d, correlated": (100, 0.8),
}
GRID = np.geomspace(0.7, 1e-3, 24)
PENALTIES = ("l1", "log")
RULES = ("validation", "oracle")
#: Entries above this one are counted as the support.
ZERO = 1e-6


def draw_problem(ground: str, number: int) -> tuple[Any, ...]:
    """Return X, y, fresh X, fresh y, weights and target of one draw."""
    n, rho = GROUNDS[ground]
    rng = np.random.default_rng([list(GROUNDS).index(ground), number])
    covariance = rho ** np.abs(np.subtract.outer(np.arange(D), np.arange(D)))
    factor = np.linalg.cholesky(covariance).T
    theta = rng.choice([-1.0, 1.0], D)
    target = np.zeros(D)
    target[rng.choice(D, K, replace=False)] = 1.0
    X, fresh = (rng.standard_normal((n, D)) @ factor for _ in range(2))
    y, y_fresh = (M @ (theta * target) + NOISE * rng.standard_normal(n) for M in (X, fresh))
    return X, y, fresh, y_fresh, theta, target


def compute() -> dict[str, Any]:
    """Solve every draw along a grid of lam with both penalties: some minutes of one core."""
    from concave_sparsity import L1, Log
    from convex_analysis import ConvergenceWarning, MaskProblem, majorize_minimize, theorems

    warnings.simplefilter("ignore", ConvergenceWarning)
    chosen = {"l1": L1(), "log": Log(EPS)}
    data: dict[str, Any] = {"draws": DRAWS, "d": D, "k": K, "noise": NOISE, "eps": EPS, "grounds": {}}
    for ground in GROUNDS:
        fields = ("error", "support", "wrong")
        table = {
            rule: {name: {field: np.zeros(DRAWS) for field in fields} for name in PENALTIES} for rule in RULES
        }
        bounds: dict[str, dict[str, list[float]]] = {
            theorem: {f"{name}_{what}": [] for name in PENALTIES for what in ("bound", "measured")}
            for theorem in ("T2", "T4")
        }
        for number in range(DRAWS):
            X, y, fresh, y_fresh, theta, target = draw_problem(ground, number)
            top = float(np.abs((X * theta).T @ y).max()) / len(y)
            for name, penalty in chosen.items():
                masks, losses = [], []
                for lam in top * GRID:
                    found = majorize_minimize(MaskProblem(X, y, theta, penalty=penalty, lam=float(lam)))
                    masks.append(found.x)
                    losses.append(float(np.mean((y_fresh - fresh @ (theta * found.x)) ** 2)))
                errors = [float(np.linalg.norm(m - target)) for m in masks]
                for rule, place in zip(RULES, (int(np.argmin(losses)), int(np.argmin(errors)))):
                    mask = masks[place]
                    table[rule][name]["error"][number] = errors[place]
                    table[rule][name]["support"][number] = int(np.sum(mask > ZERO))
                    table[rule][name]["wrong"][number] = int(np.sum((mask > 0.5) != (target > 0.5)))
            # the same lam for both: the noise level of the target, from where T2 and T4 speak
            lam = 2.0 * float(np.abs((X * theta).T @ (y - X @ (theta * target))).max()) / len(y)
            for name, penalty in chosen.items():
                problem = MaskProblem(X, y, theta, penalty=penalty, lam=lam)
                points = (
                    ("T2", majorize_minimize(problem, start=target)),
                    ("T4", majorize_minimize(problem)),
                )
                for theorem, point in points:
                    verdict = getattr(theorems, theorem).check(problem, target, point)
                    speaks = verdict.status != "does not apply"
                    bounds[theorem][f"{name}_bound"].append(verdict.bound if speaks else np.inf)
                    bounds[theorem][f"{name}_measured"].append(verdict.measured)
        data["grounds"][ground] = {"rules": table, "bounds": bounds}
    return data
