"""What a concave mask does on its way: how binary it is, what the cut costs, which weights tickets share.

LeNet-300-100 on digits, tickets of 2% of the weights. Left, the share of the mask that is neither near zero
nor near one, epoch by epoch: a strictly concave penalty jumps, l1 leaves entries in between. Right, the share
of weights kept by layer and method. The tables add what the cut costs, which weights tickets share, and how
far the gap that theorem T17 proves for masks at a local minimum is there when a training ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

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


#: Of the runs that T17 is about: proximal steps with lam given, and weight decay, of two lengths.
GAP: dict[str, Any] = {"lam": 1e-4, "decay": 5e-4, "epochs": (20, 200), "seeds": (0, 1, 2)}


class Transition(Hook):
    """Notes at every epoch's end which share of the relaxed mask is in transition, and keeps the last one."""

    watches_only: ClassVar[bool] = True

    def __init__(self) -> None:
        self.shares: list[float] = []

    def record(self, loop: Loop, metrics: Mapping[str, float]) -> None:
        """Look at the mask of the hook that trains it."""
        (mask,) = (hook.mask for hook in loop.hooks if hasattr(hook, "mask"))
        self.shares.append(float(((mask > LOW) & (mask < HIGH)).double().mean()))
        self.last = mask.clone(), loop.flat.weights.clone(), loop.flat.layout


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
        "gap": {name: {str(e): _gaps(name, e, data) for e in GAP["epochs"]} for name in MASKS},
    }


def _gaps(name: str, epochs: int, data: Any) -> list[dict[str, float]]:
    """Return by seed what T17 says of the mask in the end: entries inside, those above the gap, the least."""
    from nets import Training, find_ticket
    from nets.models import build

    found = []
    for seed in GAP["seeds"]:
        watch = Transition()
        find_ticket(
            "lenet-300-100",
            data,
            MASKS[name],
            penalty="log(0.02)" if name == "l1" else name,
            options={"update": "proximal", "optimiser": "sgd", "lam": GAP["lam"]},
            training=Training.usual("digits", epochs=epochs, weight_decay=GAP["decay"]),
            seed=seed,
            hooks=[watch],
        )
        mask, weights, layout = watch.last
        model = build("lenet-300-100", data, seed=seed)
        state = {key: part.clone() for key, part in layout.split(weights * mask).items()}
        model.load_state_dict({**model.state_dict(), **state})
        bent = torch.cat([one.reshape(-1) for one in curvatures(model, data)])
        inside = (mask > 0) & (mask < 1)
        least = (GAP["decay"] / (3 * bent.clamp_min(1e-30))).sqrt()
        found.append(
            {
                "inside": float(inside.double().mean()),
                "above": float((mask >= least)[inside].double().mean()),
                "least": float(mask[inside].min()),
            }
        )
    return found


def curvatures(model: nn.Module, data: Any) -> list[Tensor]:
    """Return the second derivatives of the mean cross-entropy by each weight of the linear layers, exactly.

    The outputs of a network of ReLU units are linear in any one weight, up to kinks, so its second derivative
    is that of Gauss and Newton: the mean over samples of sum_c p_c (d(z_c - sum_k p_k z_k) / dw)^2.
    """
    inputs = data.normalise(data.x_train)
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    met: dict[nn.Module, tuple[Tensor, Tensor]] = {}
    handles = [
        layer.register_forward_hook(lambda of, args, out: met.__setitem__(of, (args[0].detach(), out)))
        for layer in layers
    ]
    scores = model(inputs)
    for handle in handles:
        handle.remove()
    shares = scores.detach().softmax(1)
    found = [torch.zeros_like(layer.weight) for layer in layers]
    for c in range(scores.shape[1]):
        direction = -shares.clone()
        direction[:, c] += 1.0
        total = (shares[:, c : c + 1].sqrt() * direction * scores).sum()
        gradients = torch.autograd.grad(total, [met[layer][1] for layer in layers], retain_graph=True)
        for one, layer, gradient in zip(found, layers, gradients):
            one += (gradient**2).T @ met[layer][0] ** 2 / len(inputs)
    return [one.detach() for one in found]


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


def gap_table(data: Mapping[str, Any]) -> str:
    """Return how far the gap of T17 is there when a training ends, as Markdown."""
    lines = [
        "| penalty | epochs | between 0 and 1, % of the mask | of these above the gap, % | least of them |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, by_epochs in data["gap"].items():
        for epochs, runs in by_epochs.items():
            inside, above = (
                _told({i: 100 * run[field] for i, run in enumerate(runs)}) for field in ("inside", "above")
            )
            least = min(run["least"] for run in runs)
            lines.append(f"| {name} | {epochs} | {inside} | {above} | {least:.1g} |")
    return "\n".join(lines)


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
