"""Pictures of a ticket, and of a comparison: the metric against density, one line a method."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from concave_sparsity.plot_style import in_style, look, new_axes, plain_log

if TYPE_CHECKING:
    from matplotlib.axes import Axes
import math
from pathlib import Path
from typing import TYPE_CHECKING

from concave_sparsity.plot_style import WIDTH, looks
from nets.metric import Metric
from nets.result import row_label


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


@in_style
def draw(fill: Callable[[Axes], object], path: Path) -> Path:
    """Let `fill` draw into axes of its own and write them as a picture, without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    path.parent.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(WIDTH, 4.3))
    FigureCanvasAgg(figure)
    fill(figure.add_subplot())
    figure.savefig(path)
    return path


@in_style
def plot(rows: Sequence[Mapping[str, Any]], metric: Metric, title: str, ax: Axes | None = None) -> Axes:
    """Draw the mean of the test metric with 95% intervals against density, both readable where they matter.

    The axis shows the methods that come near the dense network; a mean that lies far off is an arrow at the
    edge with its value.
    """
    ax = new_axes(height=4.3)[0] if ax is None else ax
    scale, name = metric.scale, metric.name
    lines: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["method"] == "dense":
            mean, half = scale * row[name], scale * _or_zero(row["interval"])
            ax.axhspan(mean - half, mean + half, color="#999999", alpha=0.3, linewidth=0)
            ax.axhline(mean, color="#555555", linewidth=1.2, label="dense")
        else:
            lines.setdefault(row_label(row), []).append(row)
    low, high = _limits(rows, metric)
    styles = looks(list(lines))
    for i, (label, points) in enumerate(lines.items()):
        points.sort(key=lambda row: row["density"])
        # a slight shift to the side keeps intervals of several methods apart
        shift = 1.025 ** (i - (len(lines) - 1) / 2)
        x = [100 * row["density"] * shift for row in points]
        y = [scale * row[name] for row in points]
        errors = [scale * _or_zero(row["interval"]) for row in points]
        ax.errorbar(x, y, yerr=errors, **styles[label], elinewidth=1, capsize=2.5, label=label)
        for place, value in zip(x, y):
            if not low <= value <= high:
                _arrow(ax, place, value, low if value < low else high, styles[label]["color"], metric)
    densities = sorted({100 * row["density"] for row in rows if row["method"] != "dense"})
    if densities:
        ax.set_xscale("log")
        ax.set_xticks(densities, [f"{d:g}" for d in densities])
        ax.set_xticks([], minor=True)
    ax.set_ylim(low, high)
    ax.set_xlabel("density of the ticket: weights kept, % (logarithmic)")
    ax.set_ylabel(f"test {metric.name}, {metric.unit}".strip(", "))
    ax.set_title(title)
    ax.legend(loc="best", frameon=True, framealpha=0.9)
    return ax


def _arrow(ax: Axes, x: float, value: float, edge: float, colour: str, metric: Metric) -> None:
    """Say at the edge of the picture what lies beyond it."""
    below = value < edge
    ax.annotate(
        f"  {value:.0f}%" if metric.unit == "%" else f"  {value:.3g}",  # beside the arrow
        xy=(x, edge),
        xytext=(0, 13 if below else -13),
        textcoords="offset points",
        ha="left",
        va="center",
        fontsize=8,
        color=colour,
        arrowprops={"arrowstyle": "->", "color": colour, "relpos": (0.0, 0.5)},
    )


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value


def _limits(rows: Sequence[Mapping[str, Any]], metric: Metric) -> tuple[float, float]:
    """Return limits that show the better half and what is near it; what lies far off leaves the picture.

    Near is what follows without a gap of three times the span above it (of percentages: and of eight points).
    """
    sign = metric.scale if metric.higher_is_better else -metric.scale
    values = sorted(sign * row[metric.name] for row in rows)
    top = max(sign * row[metric.name] + metric.scale * _or_zero(row["interval"]) for row in rows)
    lowest = len(values) // 2
    gap = 8.0 if metric.unit == "%" else 0.0
    while lowest and values[lowest] - values[lowest - 1] <= max(gap, 3.0 * (top - values[lowest])):
        lowest -= 1
    floor = values[lowest] - (
        max(0.5, 0.1 * (top - values[lowest])) if metric.unit == "%" else 0.05 * (top - values[lowest])
    )
    if floor >= top:
        floor, top = floor - 0.05 * (abs(floor) or 1.0), top + 0.05 * (abs(top) or 1.0)
    end = top + 0.05 * (top - floor)
    if metric.unit == "%" and metric.higher_is_better:
        end = min(100.0, end)
    return (floor, end) if metric.higher_is_better else (-end, -floor)
