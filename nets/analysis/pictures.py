"""Pictures of a ticket."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from concave_sparsity.plot_style import in_style, look, new_axes, plain_log

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Ticket(Protocol):
    """What of a ticket is drawn."""

    @property
    def trace(self) -> Mapping[str, Any]: ...  # noqa: D102

    @property
    def density(self) -> float: ...  # noqa: D102

    @property
    def layer_densities(self) -> Mapping[str, float]: ...  # noqa: D102


@in_style
def draw_ticket(ticket: Ticket, axes: Sequence[Axes] | None) -> list[Axes]:
    """Draw the share of each layer, the search and where the mask ended; see `Ticket.plot`."""
    panels: list[Callable[[Ticket, Axes], None]] = [_draw_layers]
    if {"step", "mean", "above_half"} <= ticket.trace.keys():
        panels.append(_draw_search)
    if ticket.trace.get("entries"):
        panels.append(_draw_entries)
    drawn = list(axes) if axes is not None else new_axes(len(panels), height=3.2)
    for panel, ax in zip(panels, drawn):
        panel(ticket, ax)
    return drawn


def _draw_layers(ticket: Ticket, ax: Axes) -> None:
    """Draw the share kept of each layer beside that of the whole."""
    layers = ticket.layer_densities
    ax.barh(range(len(layers)), [100 * share for share in layers.values()], color=look(0)["color"])
    ax.axvline(100 * ticket.density, color="#555555", linestyle=(0, (4, 2)), label="whole ticket")
    ax.set_yticks(range(len(layers)), list(layers))
    ax.invert_yaxis()
    if min(layers.values()) < max(layers.values()) / 20:
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter("{x:g}")
    ax.set_xlabel("weights kept, %")
    ax.set_title("share kept of each layer")
    ax.legend(loc="best")


def _draw_search(ticket: Ticket, ax: Axes) -> None:
    """Draw mean and size of the relaxed mask on its way."""
    step = ticket.trace["step"]
    for number, (name, text) in enumerate((("mean", "mean entry"), ("above_half", "entries above ½"))):
        shares = [100 * share for share in ticket.trace[name]]
        ax.plot(step, shares, **look(number, marker=False), label=text)
    plain_log(ax, "y")
    ax.set_xlabel("step of the search")
    ax.set_ylabel("relaxed mask, %")
    ax.set_title("the mask on its way")
    ax.legend(loc="best")


def _draw_entries(ticket: Ticket, ax: Axes) -> None:
    """Draw the histogram of the relaxed mask just before the cut; a logarithm shows the few in between."""
    counts = ticket.trace["entries"]
    width, total = 1.0 / len(counts), sum(counts)
    shares = [100 * count / total for count in counts]
    ax.bar([(i + 0.5) * width for i in range(len(counts))], shares, width, color=look(0)["color"])
    ax.set_yscale("log")
    ax.set_ylim(50 / total, 200)
    ax.yaxis.set_major_formatter("{x:g}")
    ax.set_xlim(0.0, 1.0)
    ax.set_xlabel("entry of the mask")
    ax.set_ylabel("entries, %")
    ax.set_title("before the cut")
