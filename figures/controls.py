"""Are tickets more than their layers' densities, and do they lie in one valley: concave masks beside IMP.

python -m figures.controls      compute the rows that are missing (three minutes of one core)

LeNet-300-100 on digits. Left, the retrained ticket, the same mask over newly drawn weights, and the same
numbers of weights at other places of each layer. Right, the barrier: the largest error on the straight line
between two trained networks above that between the errors of its ends, for one ticket trained with two orders
of the batches (Frankle et al., ICML 2020), and between the concave and the IMP ticket of a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from matplotlib.figure import Figure

from benchmarks import seed_rows
from figures import style

FILE = seed_rows.RESULTS / "controls.jsonl"

METHODS: dict[str, dict[str, Any]] = {"concave": {}, "imp": {"keep": 0.7}}
DENSITIES = (0.2, 0.1, 0.05, 0.02, 0.01)
SEEDS = (0, 1, 2, 3, 4)
CONTROLS = ("reinitialise", "shuffle")
#: Added to a seed for another order of the batches.
OTHER = 100

#: What is asked of the tickets: name, field of the rows, and the same of the other side of the difference.
QUESTIONS: tuple[tuple[str, str, str], ...] = (
    ("ticket", "ticket", ""),
    ("above new weights", "ticket", "reinitialise"),
    ("above a shuffled mask", "ticket", "shuffle"),
    ("barrier between two orders of the batches", "barrier", ""),
)
LOOKS = {"ticket": "-", "reinitialise": "--", "shuffle": ":"}


def main() -> None:
    """Compute the rows that are missing."""
    wanted = [{"seed": seed, "density": density} for seed in SEEDS for density in DENSITIES]
    seed_rows.run(FILE, wanted, _measured())


def _measured() -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Return what measures a row; the searches of a seed are made once for all its densities."""
    from nets import find_tickets, retrain
    from nets.analysis.controls import control, draws, linear_connectivity
    from nets.data import load
    from nets.models import build

    data, model = load("digits"), "lenet-300-100"
    draw, tickets = draws(model, data), {}

    def measure(row: Mapping[str, Any]) -> dict[str, Any]:
        seed, found, ends = row["seed"], {}, {}
        for method, options in METHODS.items():
            if (method, seed) not in tickets:
                searched = find_tickets(model, data, method, densities=DENSITIES, options=options, seed=seed)
                tickets[method, seed] = dict(zip(DENSITIES, searched))
            ticket = tickets[method, seed][row["density"]]
            first, second = (retrain(ticket, model, data, seed=order) for order in (seed, seed + OTHER))
            ends[method] = first.model.state_dict()
            line = linear_connectivity(build(model, data), ends[method], second.model.state_dict(), data)
            found[method] = {"ticket": first.test_accuracy, "barrier": line["barrier"]}
            for name in CONTROLS:
                changed = control(name, ticket, seed, draw)
                found[method][name] = retrain(changed, model, data, seed=seed).test_accuracy
        between = linear_connectivity(build(model, data), *ends.values(), data)
        return {**found, "between": between["barrier"]}

    return measure


def by_seed(rows: list[dict[str, Any]], density: float, method: str, field: str) -> dict[int, float]:
    """Return a field in % or points by seed."""
    return {
        row["seed"]: 100 * (row[field] if not method else row[method][field])
        for row in rows
        if row["density"] == density
    }


def table() -> str:
    """Return accuracies, what controls lose, and barriers, with intervals over the seeds, as Markdown."""
    rows = seed_rows.stored(FILE)
    heads = " | ".join(f"{100 * density:g}%" for density in DENSITIES)
    lines = [f"| method | in % and points | {heads} |", "| --- |" + " --- |" * (len(DENSITIES) + 1)]
    for method in METHODS:
        for title, field, other in QUESTIONS:
            cells = []
            for density in DENSITIES:
                values = by_seed(rows, density, method, field)
                if other:
                    apart = seed_rows.differences(values, by_seed(rows, density, method, other))
                    cells.append(seed_rows.cell(apart, sign=True))
                else:
                    cells.append(seed_rows.cell(list(values.values())))
            lines.append(f"| {method} | {title} | {' | '.join(cells)} |")
    cells = [seed_rows.cell(list(by_seed(rows, density, "", "between").values())) for density in DENSITIES]
    lines.append(f"| both | barrier between the tickets of a seed | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw() -> Figure:
    """Draw accuracies of tickets and controls, and barriers, against density."""
    from nets.analysis.comparison import mean_interval

    rows = seed_rows.stored(FILE)
    figure, axes = style.canvas(1, 2, 3.2)
    left, right = axes[0]
    styles = style.looks(METHODS, marker=True)
    shares = [100 * density for density in DENSITIES]

    def line(place: Any, method: str, field: str, error: bool = False, **look: Any) -> None:
        told = [mean_interval(list(by_seed(rows, d, method, field).values())) for d in DENSITIES]
        means, halves = zip(*told)
        means = [100.0 - mean for mean in means] if error else means
        place.errorbar(shares, means, yerr=halves, capsize=2, elinewidth=0.8, **look)

    for method, usual in styles.items():
        for field, dashes in LOOKS.items():
            line(
                left, method, field, error=True, label=f"{method}, {field}", **{**usual, "linestyle": dashes}
            )
        line(right, method, "barrier", label=f"{method}, two orders of batches", **usual)
    line(right, "", "between", label="concave to imp", color="#444444", marker="x", linestyle=":")
    for place, label in ((left, "test error, %"), (right, "barrier, points of error")):
        place.set(xscale="log", xlabel="weights kept, %", ylabel=label)
        place.set_xticks(shares, [f"{share:g}" for share in shares])
        place.set_xticks([], minor=True)
        place.legend(fontsize=6.5)
    left.set_yscale("log")
    left.set_yticks([2, 5, 10, 20, 50], ["2", "5", "10", "20", "50"])
    left.set_yticks([], minor=True)
    right.axhline(2.0, color="#777777", linewidth=0.8)
    style.name_panel(left, "a", "tickets and their controls")
    style.name_panel(right, "b", "barriers; below the line: connected")
    return figure


if __name__ == "__main__":
    main()
