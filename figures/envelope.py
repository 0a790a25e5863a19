"""l1 as the convex envelope of a concave penalty, and what branch and bound makes of it on parts of a box."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from concave_sparsity import Log
from convex_analysis.branch_and_bound.envelope import envelope
from figures.style import canvas, look, name_panel

PENALTY = Log(0.1)


def minorant(lower: float, upper: float, t: np.ndarray, spare: float = 0.0) -> np.ndarray:
    one = np.ones(1)
    found = envelope(PENALTY, one, lower * one, upper * one, spare * one)
    return found.value(t)


def draw() -> Figure:
    figure, axes = canvas(1, 3, height=2.9)
    t = np.linspace(0.0, 1.0, 401)
    value = PENALTY.value(t)

    ax = axes[0, 0]
    ax.plot(t, value, **look(0))
    ax.plot(t, t, **look(1))
    ax.fill_between(t, t, value, color="#cccccc", alpha=0.5, linewidth=0)
    ax.text(0.06, 0.75, "penalty $r$")
    ax.text(0.62, 0.5, "l1")
    ax.text(0.5, 0.67, "$\\Gamma$", ha="center")
    ax.set(xlabel="mask entry $t$", ylabel="penalty and minorants", xlim=(0, 1), ylim=(0, 1.03))
    name_panel(ax, "a", "on [0, 1]: l1 (T1)")

    ax = axes[0, 1]
    ax.plot(t, value, **look(0))
    cut = 0.25
    for i, (a, b) in enumerate(((0.0, cut), (cut, 1.0))):
        part = np.linspace(a, b, 200)
        ax.plot(part, minorant(a, b, part), **look(1), label="chord" if i == 0 else None)
        lent = minorant(a, b, part, 2.0)
        ax.plot(part, lent, **look(2), label="with curvature lent" if i == 0 else None)
    ax.axvline(cut, color="#999999", linewidth=0.8)
    ax.set(xlabel="mask entry $t$", xlim=(0, 1), ylim=(0, 1.03))
    ax.legend(loc="lower right", fontsize=7.5)
    name_panel(ax, "b", "on two halves of a branch")

    ax = axes[0, 2]
    lower, upper = -0.6, 1.0
    s = np.linspace(lower, upper, 400)
    ax.plot(s, PENALTY.value(np.abs(s)), **look(0))
    ax.plot(s, minorant(lower, upper, s), **look(1))
    corners = np.array([lower, 0.0, upper])
    ax.plot(corners, PENALTY.value(np.abs(corners)), "o", color="black")
    ax.set(xlabel="signed weight $x$", xlim=(lower - 0.02, upper + 0.02), ylim=(0, 1.03))
    name_panel(ax, "c", "signed: three points")
    return figure
