"""What a mask with a penalty and weights with decay put on their product (theory.md, T11)."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from concave_sparsity import L1, MCP, Log, Lq
from convex_analysis.theorems import EffectivePenalty
from figures.style import canvas, looks, name_panel

LAM, DECAY = 1.0, 1.0
SHOWN = [
    ("l1 mask", L1()),
    ("log mask, ε = 0.1", Log(0.1)),
    ("lq mask, q = 1/2", Lq(0.5)),
    ("MCP mask, γ = 1", MCP(1.0)),
]


def draw() -> Figure:
    figure, axes = canvas(1, 2, height=3.2)
    left, right = axes[0]
    b = np.linspace(0.0, 2.0, 401)
    small = np.geomspace(1e-7, 3.0, 300)
    styles = looks(label for label, _ in SHOWN)
    for label, penalty in SHOWN:
        psi = EffectivePenalty(penalty, LAM, DECAY)
        left.plot(b, psi.value(b), label=label, **styles[label])
        right.plot(small, psi.value(small), label=label, **styles[label])
    left.plot(b, 0.5 * DECAY * b**2, color="#888888", linewidth=1.0, label="weight decay alone")
    left.plot(
        b, LAM + 0.5 * DECAY * b**2, color="#888888", linewidth=1.0, linestyle=":", label="decay + $\\lambda$"
    )
    left.set(
        xlabel="product of mask and weight $b$",
        ylabel="effective penalty $\\psi(b)$",
        xlim=(0, 2),
        ylim=(0, 3),
    )
    left.legend(loc="upper left", fontsize=7.5)
    name_panel(left, "a", "concave near zero, ridge beyond $b_0$")
    guide = np.geomspace(1e-7, 1e-4, 2)
    for power, shift, at, text in (
        (2 / 3, 0.35, (3e-6, 1.2e-5), "slope 2/3"),
        (2 / 5, 1.9, (3e-7, 2.3e-2), "slope 2/5"),
    ):
        right.plot(guide, shift * guide**power, color="#888888", linewidth=0.9)
        right.text(*at, text, fontsize=8, color="#444444")
    right.set(
        xscale="log",
        yscale="log",
        xlabel="product of mask and weight $b$",
        ylabel="effective penalty $\\psi(b)$",
        xlim=(1e-7, 3),
    )
    right.legend(loc="lower right", fontsize=7.5)
    name_panel(right, "b", "near zero: $|b|^{2/3}$ for every finite slope")
    return figure
