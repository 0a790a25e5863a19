"""What a concave mask does on its way: how binary it is, what the cut costs, which weights tickets share.

LeNet-300-100 on digits, tickets of 2% of the weights. Left, the share of the mask that is neither near zero
nor near one, epoch by epoch: a strictly concave penalty jumps, l1 leaves entries in between. Right, the share
of weights kept by layer and method. The tables add what the cut costs and which weights tickets share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any, ClassVar

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import style
from figures.front import paired
from nets.training.loop import Hook

if TYPE_CHECKING:
    from nets.training.loop import Loop

DENSITY, SEEDS = 0.02, (0, 1, 2, 3, 4)
#: Entries strictly between these are in transition.
LOW, HIGH = 0.05, 0.95
MASKS = {"log(0.02)": "concave", "log(0.1)": "concave", "l1": "l1"}
OTHERS: dict[str, dict[str, Any]] = {"imp": {"keep": 0.3}, "gmp": {}, "snip": {}}


class Transition(Hook):
    """Notes at every epoch's end which share of the relaxed mask is in transition."""

    watches_only: ClassVar[bool] = True

    def __init__(self) -> None:
        self.shares: list[float] = []

    def record(self, loop: Loop, metrics: Mapping[str, float]) -> None:
        """Look at the mask of the hook that trains it."""
        (mask,) = (hook.mask for hook in loop.hooks if hasattr(hook, "mask"))
        self.shares.append(float(((mask > LOW) & (mask < HIGH)).double().mean()))


def compute() -> dict[str, Any]:
    """Search with every method and seed, and compare the tickets: a minute of one core."""
    from nets import find_ticket
    from nets.analysis.controls import control, draws, overlap
    from nets.data import load

    data = load("digits")
    draw = draws("lenet-300-100", data)
    tickets: dict[str, dict[int, Any]] = {}
    transition: dict[str, list[list[float]]] = {}
    for name in (*MASKS, *OTHERS):
        tickets[name] = {}
        for seed in SEEDS:
            watch = Transition()
            given: dict[str, Any] = {"density": DENSITY, "seed": seed}
            if name in MASKS:
                given |= {"penalty": "log(0.02)" if name == "l1" else name, "hooks": [watch]}
            method = MASKS.get(name, name)
            options = OTHERS.get(name, {})
            tickets[name][seed] = find_ticket("lenet-300-100", data, method, options=options, **given)
            if name in MASKS:
                transition.setdefault(name, []).append(watch.shares)
    pairs = []
    names = list(tickets)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            for seed in SEEDS:
                one, two = tickets[first][seed], tickets[second][seed]
                chance = overlap(one, control("shuffle", two, seed, draw))
                pairs.append([first, second, seed, overlap(one, two), chance])
    return {
        "density": DENSITY,
        "seeds": len(SEEDS),
        "transition": transition,
        "cut": {n: [t.metadata["report"]["cut_loss"] for t in tickets[n].values()] for n in MASKS},
        "layers": {n: [t.layer_densities for t in by_seed.values()] for n, by_seed in tickets.items()},
        "overlaps": pairs,
    }


def draw(data: Mapping[str, Any]) -> Figure:
    """Draw the share in transition by epoch, and the densities of the layers."""
    figure, axes = style.canvas(1, 2, 3.2)
    left, right = axes[0]
    styles = style.looks([*data["transition"], *data["layers"]], marker=True)
    for name, runs in data["transition"].items():
        means = [100 * fmean(values) for values in zip(*runs, strict=True)]
        left.plot(range(1, len(means) + 1), means, label=name, **styles[name])
    left.set(xlabel="epoch of the search", ylabel=f"mask between {LOW:g} and {HIGH:g}, %")
    left.set_yscale("log")
    _percentages(left, (1, 2, 5, 10, 20, 50))
    left.legend(fontsize=7)
    style.name_panel(left, "a", "entries in transition")
    for name, layers in data["layers"].items():
        shares = [100 * fmean(one[layer] for one in layers) for layer in layers[0]]
        right.plot(range(1, len(shares) + 1), shares, label=name, **styles[name])
    right.set(xlabel="layer", ylabel="weights kept, %", yscale="log", xticks=[1, 2, 3])
    _percentages(right, (1, 2, 5, 10, 20))
    right.legend(fontsize=7)
    style.name_panel(right, "b", "densities of the layers")
    return figure


def _percentages(axes: Axes, ticks: Sequence[int]) -> None:
    """Write plain numbers at a logarithmic axis."""
    axes.set_yticks(ticks, [str(tick) for tick in ticks])
    axes.set_yticks([], minor=True)


def table(data: Mapping[str, Any]) -> str:
    """Return what the cut costs, and overlaps of tickets, as Markdown tables."""
    return f"{_cuts(data)}\n\n{_overlaps(data)}"


def _cuts(data: Mapping[str, Any]) -> str:
    lines = [
        "| penalty | in transition in the end, % of the mask | loss of validation accuracy at the cut |",
        "| --- | --- | --- |",
    ]
    for name, losses in data["cut"].items():
        last = {i: 100 * run[-1] for i, run in enumerate(data["transition"][name])}
        lines.append(f"| {name} | {_told(last)} | {_told({i: 100 * v for i, v in enumerate(losses)})} |")
    return "\n".join(lines)


def _overlaps(data: Mapping[str, Any]) -> str:
    lines = ["| tickets of one seed | overlap (Jaccard index) | by chance |", "| --- | --- | --- |"]
    for first, second in dict.fromkeys((p[0], p[1]) for p in data["overlaps"]):
        here = [p for p in data["overlaps"] if p[:2] == [first, second]]
        found, chance = ({p[2]: p[place] for p in here} for place in (3, 4))
        lines.append(f"| {first}, {second} | {_told(found)} | {_told(chance)} |")
    return "\n".join(lines)


def _told(values: Mapping[int, float]) -> str:
    mean, half, _ = paired(values, dict.fromkeys(values, 0.0))
    return f"{mean:.2f} ± {half:.2f}"
