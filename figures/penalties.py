"""The penalties and their constants on [0, 1]."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from concave_sparsity import L1, MCP, SCAD, Arctan, CappedL1, Exponential, Fraction, Log, Lq
from figures.style import canvas, looks, name_panel

SHOWN = [
    ("l1", L1()),
    ("log, ε = 0.1", Log(0.1)),
    ("lq, q = 1/2", Lq(0.5)),
    ("MCP, γ = 1", MCP(1.0)),
    ("exponential, ε = 0.3", Exponential(0.3)),
    ("arctan, ε = 0.3", Arctan(0.3)),
    ("capped l1, cap 0.4", CappedL1(0.4)),
]
LISTED = [
    *SHOWN,
    ("log, ε = 1", Log(1.0)),
    ("log, ε = 0.01", Log(0.01)),
    ("MCP, γ = 2", MCP(2.0)),
    ("SCAD, a = 3.7, knee 0.2", SCAD(3.7, 0.2)),
    ("fraction, ε = 0.1", Fraction(0.1)),
]


def draw() -> Figure:
    figure, axes = canvas(1, 2, height=4.3, width_ratios=[1.25, 1.0])
    left, right = axes[0]
    t = np.linspace(0.0, 1.0, 401)
    styles = looks((label for label, _ in SHOWN), marker=True)
    for label, penalty in SHOWN:
        left.plot(t, penalty.value(t), label=label, **styles[label], markevery=50)
    left.set(xlabel="mask entry $t$", ylabel="penalty $r(t)$", xlim=(0, 1), ylim=(0, 1.03))
    left.legend(loc="upper center", bbox_to_anchor=(0.42, -0.17), ncols=2, columnspacing=0.8, fontsize=7.5)
    name_panel(left, "a", "normalised penalties: $r(0)=0$, $r(1)=1$")

    ordered = sorted(LISTED, key=lambda item: (item[1].curvature, item[0]))
    rows = np.arange(len(ordered))
    right.hlines(rows, 0.0, [penalty.curvature for _, penalty in ordered], color="#bbbbbb", linewidth=1.0)
    right.plot([p.curvature for _, p in ordered], rows, "o", color="black", label="curvature $c$")
    right.plot(
        [p.slope_at_one for _, p in ordered],
        rows,
        "D",
        color="#D55E00",
        fillstyle="none",
        label="slope $r'(1)$",
    )
    for row, (_, penalty) in zip(rows, ordered):
        rho, slope = penalty.weak_convexity, penalty.slope_at_zero
        text = f"{_number(slope):>6}  {_number(rho):>7}"
        right.text(1.08, row, text, va="center", fontsize=7.5, family="monospace")
    right.text(1.08, len(ordered) - 0.35, "$r'(0)$       $\\rho$", va="bottom", fontsize=8.5)
    right.set_yticks(rows, [label for label, _ in ordered], fontsize=8)
    right.set(xlabel="curvature $c$ and slope $r'(1)$", xlim=(-0.03, 1.05), ylim=(-0.6, len(ordered) - 0.4))
    right.legend(loc="upper center", bbox_to_anchor=(0.3, -0.17), ncols=2)
    name_panel(right, "b", "constants")
    return figure


def _number(value: float) -> str:
    return "∞" if np.isinf(value) else f"{value:.0f}" if value >= 1000 else f"{value:.3g}"
