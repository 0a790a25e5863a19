"""Phase transition: how often a binary mask is recovered from n noiseless equations, with and without box.

The heat maps run over n/d and k/d, Gaussian data, lam close to zero (the noiseless limit). The
dashed line is where convex geometry puts the transition of l1 as d grows: the statistical
dimension of its descent cone (Amelunxen, Lotz, McCoy, Tropp 2014); without any penalty
the box alone recovers a binary mask from n = d/2 on (Donoho and Tanner 2010), the dotted line.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from figures.plain_steps import iterates
from figures.style import HEAT, canvas, name_panel

D, TRIALS, EPS, STEPS = 48, 20, 0.1, 15
SHARES = np.arange(1, 17) / 16
_LINE: dict[str, Any] = {
    "color": "white",
    "linewidth": 1.3,
    "path_effects": [withStroke(linewidth=2.8, foreground="black")],
}
KINDS = {
    "l1_free": "l1, no box",
    "log_free": "log, no box",
    "l1_box": "l1, box [0, 1]",
    "log_box": "log, box [0, 1]",
}


def compute() -> dict[str, Any]:
    from concave_sparsity import L1, Log
    from convex_analysis import MaskProblem, RegressionProblem

    ns = np.round(SHARES * D).astype(int)
    ks = np.round(SHARES * D).astype(int)
    counts = {kind: np.zeros((ks.size, ns.size)) for kind in KINDS}
    for a, k in enumerate(ks):
        for b, n in enumerate(ns):
            for trial in range(TRIALS):
                rng = np.random.default_rng([a, b, trial])
                X = rng.standard_normal((n, D))
                target = np.zeros(D)
                target[rng.choice(D, k, replace=False)] = 1.0
                y = X @ target
                lam = 1e-4 * float(np.abs(X.T @ y).max()) / n
                gap = 1e-9 * float(y @ y) / n
                for kind in KINDS:
                    penalty = L1() if kind.startswith("l1") else Log(EPS)
                    make = MaskProblem if kind.endswith("box") else RegressionProblem
                    problem = make(X, y, penalty=penalty, lam=lam)
                    *_, x = iterates(problem, STEPS if kind.startswith("log") else 0, gap)
                    counts[kind][a, b] += np.linalg.norm(x - target) <= 0.05 * np.sqrt(k)
    shares = {kind: table / TRIALS for kind, table in counts.items()}
    return {"d": D, "trials": TRIALS, "eps": EPS, "steps": STEPS, "n": ns, "k": ks, "shares": shares}


def transition(box: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return k/d and the n/d at which l1 succeeds in half of the cases, d large.

    The statistical dimension of the descent cone, over d, is the least over tau >= 0 of the mean squared
    distance of a Gaussian to tau times the subdifferential; with the box its normal cone is added, so that
    only (tau - g)_+ counts on the support and (g - tau)_+ off it.
    """
    from scipy.optimize import minimize_scalar
    from scipy.stats import norm

    def tail(tau: float) -> float:  # mean of (g - tau)_+^2
        return float((1 + tau * tau) * norm.sf(tau) - tau * norm.pdf(tau))

    def dimension(tau: float, k: float) -> float:
        if box:
            return k * tail(-tau) + (1 - k) * tail(tau)
        return k * (1 + tau * tau) + (1 - k) * 2 * tail(tau)

    ks = np.linspace(1e-3, 1.0 - 1e-3, 200)
    least = [minimize_scalar(dimension, bounds=(0.0, 6.0), args=(k,), method="bounded").fun for k in ks]
    return ks, np.array(least)


def draw(data: dict[str, Any]) -> Figure:
    figure, axes = canvas(1, 4, height=2.8, sharey=True)
    half = 0.5 / data["d"] * (data["n"][1] - data["n"][0])
    low, high = data["n"][0] / data["d"] - half, data["n"][-1] / data["d"] + half
    for i, (ax, (kind, title)) in enumerate(zip(axes[0], KINDS.items())):
        image = ax.imshow(
            np.array(data["shares"][kind]),
            origin="lower",
            extent=(low, high, low, high),
            aspect="auto",
            cmap=HEAT,
            vmin=0,
            vmax=1,
        )
        ks, ns = transition(box=kind.endswith("box"))
        # White on a black casing: seen on dark and on light cells.
        theory = ax.plot(ns, ks, linestyle="--", label="l1, theory for large $d$", **_LINE)[0]
        if kind.endswith("box"):
            alone = ax.axvline(0.5, linestyle=":", label="the box alone, theory: $n=d/2$", **_LINE)
        ax.set(xlabel="samples $n/d$", xlim=(low, high), ylim=(low, high))
        ax.grid(False)
        name_panel(ax, "abcd"[i], title)
    axes[0, 0].set_ylabel("ones in the mask $k/d$")
    legend = figure.legend(handles=[theory, alone], loc="outside lower center", ncols=2)
    legend.set_frame_on(False)
    bar = figure.colorbar(image, ax=list(axes[0]), pad=0.01, aspect=25)
    bar.set_label("share of masks recovered")
    return figure
