"""Accuracy of retrained tickets against what their search costs: every method at several budgets.

python -m figures.front run [--minutes M]   make the runs that are missing, by priority
python -m figures.front gather              store the rows of the runs made so far
python -m figures.front table               print the tables of the documentation from the stored results

LeNet-300-100 on MNIST, usual training; every ticket, whatever its search, is retrained for five epochs from
the same initial weights. A setting (a method, its options, the epochs of one training of its search) is
chosen by its mean accuracy on held-out validation data among those that a budget pays for; what is shown is
its accuracy on the test data. Every finished run is stored at once: the command may be stopped and started
again at any moment.
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

    from nets import Play

#: Finished runs are kept here.
RUNS = Path(os.environ.get("FIGURES_RUNS", "runs")) / "front"

DENSITIES = (0.05, 0.02, 0.01, 0.005)
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


@dataclass(frozen=True)
class Setting:
    """A method with its options, and the epochs of each training of its search."""

    method: str
    epochs: int = 5
    options: Mapping[str, Any] = field(default_factory=dict)

    def play(self, density: float, seed: int) -> Play:
        """Return the play of a ticket."""
        from nets import Play

        return Play(
            data="mnist",
            model="lenet-300-100",
            method=self.method,
            search_epochs=self.epochs,
            options=dict(self.options),
            density=density,
            seed=seed,
        )


def _imp(epochs: int, keep: float) -> Setting:
    return Setting("imp", epochs, {"keep": keep})


#: What is run, in this order: (settings, seeds). The methods that the claim is about come first; one training
#: of five epochs, and IMP by five epochs a round, are read from `mnist_all_methods`: its plays are the same.
PLAN: tuple[tuple[tuple[Setting, ...], tuple[int, ...]], ...] = (
    ((_imp(1, 0.55), Setting("concave", 20)), (0, 1, 2)),
    ((_imp(2, 0.55), Setting("gmp", 20), _imp(5, 0.55)), (0, 1, 2)),
    ((Setting("concave", 2), Setting("gmp", 2), Setting("l1", 20)), (0, 1, 2)),
    ((Setting("concave", 10), Setting("gmp", 10), Setting("concave", 40), _imp(2, 0.8)), (0, 1, 2)),
    (
        (
            _imp(1, 0.55),
            Setting("concave", 5),
            Setting("gmp", 5),
            Setting("concave", 20),
            _imp(5, 0.55),
            Setting("gmp", 20),
            Setting("l1", 5),
            Setting("imp"),
        ),
        (3, 4),
    ),
    ((Setting("concave", 5, {"rounds": 2}),), (0, 1, 2)),
    (
        (Setting("magnitude", 20), Setting("rigl", 20), Setting("continuous-sparsification", 20)),
        (0, 1, 2),
    ),
)


def planned() -> Iterator[tuple[Setting, int]]:
    """Yield what is to be run, in the order of its priority."""
    for settings, seeds in PLAN:
        for seed in seeds:
            for setting in settings:
                yield setting, seed


def make(minutes: float = math.inf) -> bool:
    """Make the runs that are missing, and tell whether none is left; a finished run is only read."""
    from nets.runs.execution import execute
    from nets.runs.jobs import Job, Keeping

    begun, keeping = time.monotonic(), Keeping(RUNS, keep_network=False)
    for setting, seed in planned():
        densities = (1.0,) if setting.method == "dense" else DENSITIES
        job = Job(setting.play(densities[0], seed), densities)
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
    """Make every run that is missing, which takes hours of one core, and gather."""
    make()
    return gather()


def gather() -> dict[str, Any]:
    """Return the rows of finished runs, of `mnist_all_methods`, of `benchmarks/layerwise.py tickets`."""
    from importlib.metadata import version

    from nets.runs.canonical import settled
    from nets.runs.jobs import Keeping

    keeping = Keeping(RUNS)
    found: dict[tuple[Any, ...], dict[str, Any]] = {}

    def add(setting: Setting, density: float, seed: int, row: Mapping[str, Any], cost: float) -> None:
        options = dict(setting.options)
        found.setdefault(
            (setting.method, setting.epochs, str(options), -density, seed),
            {
                "method": setting.method,
                "options": options,
                "epochs": setting.epochs,
                "density": density,
                "seed": seed,
                "test": row["test_accuracy"],
                "validation": row["validation_accuracy"],
                "cost": cost,
            },
        )

    for setting, seed in planned():
        for density in DENSITIES:
            folder = keeping.folder(settled(setting.play(density, seed)))
            if setting.method != "dense" and folder.finished:
                row = folder.result()
                add(setting, density, seed, row, row["search_epochs_spent"])
    shared = stored.read("mnist_all_methods")
    for row in (*shared["rows"], *layerwise.stored_rows("tickets")):
        if row["density"] in DENSITIES:
            setting = Setting(row["method"], shared["epochs"])
            add(setting, row["density"], row["seed"], row, row["search_epochs"])
    dense = [row["test_accuracy"] for row in shared["rows"] if row["method"] == "dense"]
    return {
        "data": "mnist",
        "model": "lenet-300-100",
        "torch": version("torch"),
        "dense": dense,
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


def draw(data: Mapping[str, Any]) -> Figure:
    """Draw a panel for each density: accuracy of what a budget pays for, against the budget."""
    rows = data["rows"]
    figure, axes = style.canvas(2, 2, 5.6, sharex=True)
    styles = style.looks(SHOWN[:DRAWN], marker=True)
    for letter, place, density in zip("abcd", axes.flat, DENSITIES):
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
    heads = [f"{100 * d:g}%" for d in DENSITIES]
    lines = [
        f"| method | one training of its search | epochs of search | {' | '.join(heads)} | seeds |",
        "| --- | --- | --- |" + " --- |" * (len(heads) + 1),
    ]
    for method in SHOWN:
        by_label: dict[str, dict[float, Point]] = {}
        for density in DENSITIES:
            for point in points(data["rows"], method, density):
                by_label.setdefault(point.label, {})[density] = point
        for label, found in by_label.items():
            costs = sorted({point.cost for point in found.values()})
            cost = f"{costs[0]:.3g}" if len(costs) == 1 else f"{costs[0]:.3g} to {costs[-1]:.3g}"
            cells = [_cell(found[d].test) if d in found else "" for d in DENSITIES]
            seeds = max(len(point.test) for point in found.values())
            lines.append(f"| {method} | {label} | {cost} | {' | '.join(cells)} | {seeds} |")
    return "\n".join(lines)


def differences(data: Mapping[str, Any]) -> str:
    """Return concave minus each other method at equal budgets, paired over seeds, as Markdown.

    Concave never gets more epochs than the other's setting takes, but for methods that take fewer than its
    cheapest setting; a budget that buys nothing more of the other method has no line.
    """
    heads = [f"{100 * d:g}%" for d in DENSITIES]
    lines = [
        f"| concave against | epochs of search at most | {' | '.join(heads)} |",
        "| --- | --- |" + " --- |" * len(heads),
    ]
    for method in SHOWN[1:]:
        before: list[str] = []
        for budget in BUDGETS:
            cells, bought = [], []
            for density in DENSITIES:
                own = points(data["rows"], "concave", density)
                theirs = within(points(data["rows"], method, density), budget)
                bought.append(theirs.label if theirs else "")
                ours = within(own, max(theirs.cost, own[0].cost)) if theirs and own else None
                cells.append(
                    "" if ours is None or theirs is None else _signed(*paired(ours.test, theirs.test))
                )
            if any(cells) and bought != before:
                lines.append(f"| {method} | {budget:g} {_row(cells)}")
            before = bought
    return "\n".join(lines)


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
    parser.add_argument("--minutes", type=float, default=math.inf, help="no run is begun after these")
    given = parser.parse_args()
    if given.act == "run":
        print("all runs are made" if make(given.minutes) else "runs are missing still: call again")
    elif given.act == "gather":
        print(stored.write("front", gather(), 0.0))
    else:
        print(table(stored.read("front")), differences(stored.read("front")), sep="\n\n")
