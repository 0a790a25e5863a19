"""Pictures of a verdict and of a ticket."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from concave_sparsity.plot_style import in_style, look, new_axes, plain_log

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from nets.analysis.matching import Verdict
    from nets.tickets import Ticket


@in_style
def draw_verdict(verdict: Verdict, ax: Axes | None) -> Axes:
    """Draw the paired difference to the dense network with its interval; see `Verdict.plot`."""
    ax = new_axes(height=1.7)[0] if ax is None else ax
    evidences = [("to dense", verdict.matching)]
    if verdict.better_than_reinitialised is not None:
        evidences.append(("to new initial weights", verdict.better_than_reinitialised))
    scale, metric = verdict.matching.metric.scale, verdict.matching.metric
    for row, (_, one) in enumerate(evidences):
        half = one.half_width
        half = 0.0 if math.isnan(half) else half
        ax.errorbar(
            scale * one.difference, -row, xerr=scale * half, fmt="o", color="#0072B2", capsize=4, zorder=3
        )
    ax.axvline(0.0, color="#555555", linewidth=1.0)
    needed = scale * verdict.matching.needed
    ax.axvline(needed, color="#D55E00", linestyle=(0, (4, 2)), label="what is tolerated")
    ax.set_yticks([-row for row in range(len(evidences))], [name for name, _ in evidences])
    ax.set_ylim(0.6 - len(evidences), 0.6)
    unit = "points" if metric.unit == "%" else metric.unit
    ax.set_xlabel(f"difference of the test {metric.name}" + (f", {unit}" if unit else ""))
    seeds = verdict.matching.seeds
    ax.set_title(
        f"{verdict.text}: {seeds} seed{'s' * (seeds > 1)}, {100 * verdict.matching.level:g}% intervals"
    )
    ax.legend(loc="best")
    return ax


@in_style
def draw_ticket(ticket: Ticket, axes: Sequence[Axes] | None) -> list[Axes]:
    """Draw the share of each layer and the search; see `Ticket.plot`."""
    wanted = {"step", "mean", "above_half"} <= ticket.trace.keys()
    drawn = list(axes) if axes is not None else new_axes(2 if wanted else 1, height=3.2)
    layers = ticket.layer_densities
    drawn[0].barh(range(len(layers)), [100 * share for share in layers.values()], color=look(0)["color"])
    drawn[0].axvline(100 * ticket.density, color="#555555", linestyle=(0, (4, 2)), label="whole ticket")
    drawn[0].set_yticks(range(len(layers)), list(layers))
    drawn[0].invert_yaxis()
    if min(layers.values()) < max(layers.values()) / 20:
        drawn[0].set_xscale("log")
        drawn[0].xaxis.set_major_formatter("{x:g}")
    drawn[0].set_xlabel("weights kept, %")
    drawn[0].set_title("share kept of each layer")
    drawn[0].legend(loc="best")
    if wanted and len(drawn) > 1:
        step = ticket.trace["step"]
        for number, (name, text) in enumerate((("mean", "mean entry"), ("above_half", "entries above 1/2"))):
            shares = [100 * share for share in ticket.trace[name]]
            drawn[1].plot(step, shares, **look(number, marker=False), label=text)
        plain_log(drawn[1], "y")
        drawn[1].set_xlabel("step of the search")
        drawn[1].set_ylabel("relaxed mask, %")
        drawn[1].set_title("the mask on its way")
        drawn[1].legend(loc="best")
    return drawn
