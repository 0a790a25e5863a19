"""Accuracy of retrained tickets against what their search costs: every method at several budgets.

python -m figures.front run [DATA] [--minutes M]   make the runs that are missing, by priority
python -m figures.front gather [DATA]              store the rows of the runs made so far
python -m figures.front table [DATA]               print the documentation's tables from the stored results

LeNet-300-100 on MNIST, usual training, and half of LeNet-5 on CIFAR-10; every ticket, whatever its search, is
retrained for five epochs (on CIFAR-10 eight) from the same initial weights. A setting (a method, its options,
the epochs of one training of its search) is chosen by its mean accuracy on held-out validation data among
those that a budget pays for; what is shown is its accuracy on the test data. Every finished run is stored at
once: the command may be stopped and started again at any moment.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from figures import layerwise, stored, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import nn

    from nets import Play

#: Finished runs are kept here.
RUNS = Path(os.environ.get("FIGURES_RUNS", "runs")) / "front"

BUDGETS = (6, 25, 50, 120)

#: Methods of the figure and its tables, ours first.
SHOWN = (
    "concave",
    "imp",
    "gmp",
    "l1",
    "magnitude",
    "continuous-sparsification",
    "soft-threshold",
    "rigl",
    "synflow",
    "layerwise",
)

#: Seeds that a setting needs to be shown.
LEAST = 3

#: Methods of the figure: the first ones; least accuracy drawn by density, in %.
DRAWN = 7
FLOOR = {0.05: 97.5, 0.02: 96.5, 0.01: 95.0, 0.005: 94.0}
EPOCHS = (5, 10, 20, 50, 100)

SEEDS = (0, 1, 2, 3, 4)


def half_lenet_5(input_shape: tuple[int, ...], n_classes: int, *, width: float = 1.0) -> nn.Module:
    """LeNet-5 with half of its units: what two cores carry on CIFAR-10.

    10, 24 and 240 of them: a processor's convolutions take whole multiples of eight channels.
    """
    from nets.models.plain import lenet_5

    return lenet_5(input_shape, n_classes, width=0.48 * width)


@dataclass(frozen=True)
class Setting:
    """A method with its options, and the epochs of each training of its search."""

    method: str
    epochs: int = 5
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Ground:
    """What tickets are found for: the play that all have in common, the densities, and what is run.

    Parameters
    ----------
    common : mapping
        Of `Play`: data set, model, training.
    densities : tuple of float
        Of the tickets.
    plan : sequence of (settings, seeds)
        What is run, in this order: for each seed all settings.
    network : str
        The model, in the words of the page.
    """

    common: Mapping[str, Any]
    densities: tuple[float, ...]
    plan: Sequence[tuple[tuple[Setting, ...], tuple[int, ...]]]
    network: str

    def play(self, setting: Setting, density: float, seed: int) -> Play:
        """Return the play of a ticket."""
        from nets import Play

        return Play(
            **self.common,
            method=setting.method,
            search_epochs=setting.epochs,
            options=dict(setting.options),
            density=density,
            seed=seed,
        )

    def planned(self) -> Iterator[tuple[Setting, int]]:
        """Yield what is to be run, in the order of its priority."""
        for settings, seeds in self.plan:
            for seed in seeds:
                for setting in settings:
                    yield setting, seed


def _imp(epochs: int, keep: float) -> Setting:
    return Setting("imp", epochs, {"keep": keep})


#: By data set. On MNIST one training of five epochs, and IMP by five epochs a round, are read from
#: `mnist_all_methods` for the seeds that it has: its plays are the same.
GROUNDS: dict[str, Ground] = {
    "mnist": Ground(
        {"data": "mnist", "model": "lenet-300-100"},
        (0.05, 0.02, 0.01, 0.005),
        (
            ((_imp(1, 0.55), Setting("concave", 20)), (0, 1, 2)),
            ((_imp(2, 0.55), Setting("gmp", 20), _imp(5, 0.55)), (0, 1, 2)),
            (
                (
                    Setting("concave"),
                    Setting("concave", 20),
                    _imp(1, 0.55),
                    _imp(2, 0.55),
                    Setting("gmp"),
                    Setting("imp"),
                    _imp(5, 0.55),
                    Setting("gmp", 20),
                    Setting("l1"),
                ),
                (3, 4),
            ),
            ((Setting("concave", 10), Setting("concave", 40)), SEEDS),
            (
                (
                    Setting("concave", 5, {"rounds": 4}),
                    Setting("concave", 5, {"rounds": 8}),
                    Setting("concave", 5, {"rounds": 2}),
                    Setting("l1", 5, {"rounds": 4}),
                ),
                SEEDS,
            ),
            ((Setting("concave", 5, {"rounds": 4, "warm_up_in_rounds": 0.0}),), (0, 1, 2)),
            (
                (
                    Setting("magnitude"),
                    Setting("continuous-sparsification"),
                    Setting("soft-threshold"),
                    Setting("rigl"),
                    Setting("synflow"),
                ),
                (3, 4),
            ),
            ((Setting("layerwise"), Setting("l1", 20), _imp(2, 0.8)), SEEDS),
            ((Setting("gmp", 10), Setting("concave", 2), Setting("gmp", 2)), SEEDS),
            (
                (
                    Setting("magnitude", 20),
                    Setting("continuous-sparsification", 20),
                    Setting("rigl", 20),
                    Setting("soft-threshold", 20),
                ),
                (0, 1, 2),
            ),
        ),
        "LeNet-300-100",
    ),
    "cifar10": Ground(
        {
            "data": "cifar10",
            "model": "figures.front:half_lenet_5",
            "epochs": 8,
            "lr": 0.05,
            "weight_decay": 5e-4,
            "precision": "bfloat16",
            "channels_last": True,
        },
        (0.05, 0.02, 0.01, 0.005),
        (
            (
                (
                    Setting("concave", 8),
                    _imp(2, 0.55),
                    Setting("gmp", 8),
                    _imp(8, 0.55),
                ),
                (0, 1, 2),
            ),
            ((Setting("concave", 8, {"rounds": 4}),), (0, 1, 2)),
            ((Setting("magnitude", 8),), (0, 1, 2)),
            ((Setting("l1", 8),), (0, 1, 2)),
            ((Setting("synflow", 8),), (0, 1, 2)),
            ((Setting("concave", 8, {"rounds": 2}), Setting("concave", 32)), (0, 1, 2)),
        ),
        "half of LeNet-5",
    ),
}


def stored_name(data: str) -> str:
    """Return under which name the rows of a data set are stored."""
    return "front" if data == "mnist" else f"front_{data}"


def kept_rows(name: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return the stored rows of a data set by setting, density and seed, those of the same play alone."""
    try:
        data = stored.read(stored_name(name))
    except FileNotFoundError:
        return {}
    rows = data["rows"] if data.get("common") == GROUNDS[name].common else ()
    return {_key(Setting(r["method"], r["epochs"], r["options"]), r["density"], r["seed"]): r for r in rows}


def _key(setting: Setting, density: float, seed: int) -> tuple[Any, ...]:
    return setting.method, setting.epochs, str(dict(setting.options)), -density, seed


def make(name: str, minutes: float = math.inf) -> bool:
    """Make the runs that are neither finished nor stored, and tell whether none is left."""
    from nets.runs.execution import execute
    from nets.runs.jobs import Job, Keeping

    ground, kept = GROUNDS[name], kept_rows(name)
    begun, keeping = time.monotonic(), Keeping(RUNS, keep_network=False)
    for setting, seed in ground.planned():
        if all(_key(setting, density, seed) in kept for density in ground.densities):
            continue
        job = Job(ground.play(setting, ground.densities[0], seed), ground.densities)
        if keeping.finished(job):
            continue
        if time.monotonic() - begun > 60 * minutes:
            return False
        start = time.monotonic()
        failures = [outcome.failure for outcome in execute(job, keeping) if outcome.failure]
        seconds = time.monotonic() - start
        print(f"{setting}, seed {seed}: {failures or f'{seconds:.0f} s'}", flush=True)
    return True


def compute() -> dict[str, Any]:
    """Make every run on MNIST that is missing, which takes hours of one core, and gather."""
    make("mnist")
    return gather("mnist")


def gather(name: str) -> dict[str, Any]:
    """Return the rows of finished runs and those stored, for MNIST those of `mnist_all_methods` besides."""
    from importlib.metadata import version

    from nets.runs.canonical import settled
    from nets.runs.jobs import Keeping

    ground, keeping, kept = GROUNDS[name], Keeping(RUNS), kept_rows(name)
    found: dict[tuple[Any, ...], dict[str, Any]] = {}

    def add(setting: Setting, density: float, seed: int, row: Mapping[str, Any], cost: float) -> None:
        found.setdefault(
            _key(setting, density, seed),
            {
                "method": setting.method,
                "options": dict(setting.options),
                "epochs": setting.epochs,
                "density": density,
                "seed": seed,
                "test": row["test_accuracy"],
                "validation": row["validation_accuracy"],
                "cost": cost,
            },
        )

    dense = dict(enumerate(stored.read(stored_name(name))["dense"])) if kept else {}
    for setting, seed in ground.planned():
        for density in ground.densities:
            folder = keeping.folder(settled(ground.play(setting, density, seed)))
            key = _key(setting, density, seed)
            if folder.finished:
                row = folder.result()
                add(setting, density, seed, row, row["search_epochs_spent"])
                dense[seed] = row["dense_test_accuracy"]
            elif key in kept:
                found[key] = kept[key]
    if name == "mnist":
        shared = stored.read("mnist_all_methods")
        for row in (*shared["rows"], *layerwise.stored_rows("tickets")):
            if row["density"] in ground.densities:
                setting = Setting(row["method"], shared["epochs"])
                add(setting, row["density"], row["seed"], row, row["search_epochs"])
    return {
        "data": name,
        "model": ground.network,
        "common": dict(ground.common),
        "torch": version("torch"),
        "dense": [dense[seed] for seed in sorted(dense)],
        "rows": [found[key] for key in sorted(found)],
    }


@dataclass(frozen=True)
class Point:
    """A setting at one density: what its search costs, and the accuracies of its tickets by seed, in %."""

    label: str
    cost: float
    validation: Mapping[int, float]
    test: Mapping[int, float]


def points(rows: Sequence[Mapping[str, Any]], method: str, density: float) -> list[Point]:
    """Return a method's settings at a density, cheapest first; those with too few seeds are left out."""
    groups: dict[tuple[int, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["method"] == method and row["density"] == density:
            options = ", ".join(f"{name} {value:g}" for name, value in row["options"].items())
            groups.setdefault((row["epochs"], options), []).append(row)
    found = [
        Point(
            f"{epochs} epochs" + (f", {options}" if options else ""),
            group[0]["cost"],
            {r["seed"]: 100 * r["validation"] for r in group},
            {r["seed"]: 100 * r["test"] for r in group},
        )
        for (epochs, options), group in groups.items()
        if len(group) >= LEAST
    ]
    return sorted(found, key=lambda point: point.cost)


def within(candidates: Sequence[Point], budget: float) -> Point | None:
    """Return the setting of highest mean validation accuracy that the budget pays for."""
    paid = [point for point in candidates if point.cost <= budget]
    return max(paid, key=lambda point: fmean(point.validation.values()), default=None)


def paired(first: Mapping[int, float], second: Mapping[int, float]) -> tuple[float, float, int]:
    """Return mean and half width of the 95% interval of the paired differences, and their number."""
    from nets.analysis.comparison import mean_interval

    differences = [first[seed] - second[seed] for seed in sorted(set(first) & set(second))]
    return (*mean_interval(differences), len(differences))


def at_equal_cost(
    rows: Sequence[Mapping[str, Any]], method: str, density: float, budget: float
) -> tuple[Point | None, Point | None]:
    """Return the setting of concave and that of another method which a budget buys at a density.

    Concave never gets more epochs than the other's setting takes, but for methods that take fewer than its
    cheapest setting.
    """
    own, theirs = points(rows, "concave", density), within(points(rows, method, density), budget)
    return within(own, max(theirs.cost, own[0].cost)) if theirs and own else None, theirs


def draw(data: Mapping[str, Any]) -> Figure:
    """Draw a panel for each density: accuracy of what a budget pays for, against the budget."""
    rows = data["rows"]
    figure, axes = style.canvas(2, 2, 5.6, sharex=True)
    styles = style.looks(SHOWN[:DRAWN], marker=True)
    for letter, place, density in zip("abcd", axes.flat, GROUNDS["mnist"].densities):
        for index, method in enumerate(SHOWN[:DRAWN]):
            candidates = points(rows, method, density)
            chosen = [p for p in candidates if within(candidates, p.cost) is p]  # what a budget buys
            if not chosen:
                continue
            intervals = [paired(p.test, dict.fromkeys(p.test, 0.0)) for p in chosen]
            place.errorbar(
                [p.cost * 1.05 ** (index - 2) for p in chosen],  # side by side
                [mean for mean, _, _ in intervals],
                yerr=[half for _, half, _ in intervals],
                capsize=2,
                elinewidth=0.8,
                label=method,
                **styles[method],
            )
        place.axhline(100 * fmean(data["dense"]), color="#777777", linewidth=0.8, label="dense")
        place.set_xscale("log")
        place.set_xticks(EPOCHS, [str(number) for number in EPOCHS])
        place.set_xticks([], minor=True)
        place.set_ylim(FLOOR[density], 98.5)
        style.name_panel(place, letter, f"{100 * density:g}% of the weights")
    for place in axes.flat:
        place.set_xlabel("epochs of search (logarithmic)")
        place.set_ylabel("test accuracy, %")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, fontsize=7)
    return figure


def table(data: Mapping[str, Any]) -> str:
    """Return the accuracies of every setting by its cost, as Markdown."""
    densities = GROUNDS[data["data"]].densities
    heads = [f"{100 * d:g}%" for d in densities]
    lines = [
        f"| method | one training of its search | epochs of search | {' | '.join(heads)} | seeds |",
        "| --- | --- | --- |" + " --- |" * (len(heads) + 1),
    ]
    for method in SHOWN:
        by_label: dict[str, dict[float, Point]] = {}
        for density in densities:
            for point in points(data["rows"], method, density):
                by_label.setdefault(point.label, {})[density] = point
        for label, found in by_label.items():
            costs = sorted({point.cost for point in found.values()})
            cost = f"{costs[0]:.3g}" if len(costs) == 1 else f"{costs[0]:.3g} to {costs[-1]:.3g}"
            cells = [_cell(found[d].test) if d in found else "" for d in densities]
            seeds = max(len(point.test) for point in found.values())
            lines.append(f"| {method} | {label} | {cost} | {' | '.join(cells)} | {seeds} |")
    return "\n".join(lines)


def differences(data: Mapping[str, Any]) -> str:
    """Return concave minus each other method at equal budgets, paired over seeds, as Markdown.

    A budget that buys nothing more of the other method has no line.
    """
    densities = GROUNDS[data["data"]].densities
    heads = [f"{100 * d:g}%" for d in densities]
    lines = [
        f"| concave against | epochs of search at most | {' | '.join(heads)} |",
        "| --- | --- |" + " --- |" * len(heads),
    ]
    for method in SHOWN[1:]:
        before: list[str] = []
        for budget in BUDGETS:
            pairs = [at_equal_cost(data["rows"], method, density, budget) for density in densities]
            bought = [theirs.label if theirs else "" for _, theirs in pairs]
            cells = [
                _signed(*paired(ours.test, theirs.test)) if ours and theirs else "" for ours, theirs in pairs
            ]
            if any(cells) and bought != before:
                lines.append(f"| {method} | {budget:g} {_row(cells)}")
            before = bought
    return "\n".join(lines)


def section(name: str) -> str:
    """Return both tables of a data set from what is stored of it, as Markdown."""
    data = stored.read(stored_name(name))
    return f"{table(data)}\n\n{differences(data)}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _signed(mean: float, half: float, n: int) -> str:
    return f"{mean:+.2f} ± {half:.2f}" if n > 1 else ""


def _cell(values: Mapping[int, float]) -> str:
    mean, half, _ = paired(values, dict.fromkeys(values, 0.0))
    return f"{mean:.2f} ± {half:.2f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("act", choices=("run", "gather", "table"))
    parser.add_argument("data", nargs="?", default="mnist", choices=tuple(GROUNDS))
    parser.add_argument("--minutes", type=float, default=math.inf, help="no run is begun after these")
    given = parser.parse_args()
    if given.act == "run":
        finished = make(given.data, given.minutes)
        print("all runs are made" if finished else "runs are missing still: call again")
    elif given.act == "gather":
        command = "" if given.data == "mnist" else f"python -m figures.front run {given.data}"
        print(stored.write(stored_name(given.data), gather(given.data), 0.0, command))
    else:
        print(section(given.data))
