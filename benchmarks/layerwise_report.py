"""What the layer-wise benchmark says: paired ratios, tables and goals from its stored rows."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from scipy.stats import binom

from benchmarks import convex_report

Rows = Sequence[dict[str, Any]]
#: Places in a layer's stored figures.
CALIBRATION, HELD_OUT, SECONDS = 0, 1, 2

#: Solvers that a layer must have been pruned by at every density to count in tables of means and sums.
CORE = ("concave", "concave, path", "l1", "alps", "sparsegpt", "sparsegpt+refit")

ENCODER = "all-MiniLM-L6-v2"

#: Goals for the sentence encoder: the rival, at which densities, and the largest ratio of errors.
GOALS: tuple[tuple[str, tuple[float | str, ...], float], ...] = (
    ("sparsegpt", (0.5,), 0.6),
    ("sparsegpt", (0.2,), 0.5),
    ("sparsegpt", ("2:4",), 0.75),
    ("sparsegpt+refit", (0.5,), 0.95),
    ("sparsegpt+refit", (0.2,), 0.75),
    ("alps", (0.5, 0.3, 0.2, "2:4"), 1.0),
    ("l1", (0.5, 0.3, 0.2), 0.65),
)


def markdown(lines: Rows, columns: dict[str, str]) -> str:
    """Return a table, nothing where it would be empty."""
    return convex_report.markdown(lines, columns) if lines else ""


def median_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float, float]:
    """Return the median and an interval that holds the true one: order statistics, no distribution assumed.

    With fewer values than the level needs (six at 95%) it is their range.
    """
    ordered, n = sorted(values), len(values)
    below = max(0, int(binom.ppf((1 - level) / 2, n, 0.5)) - 1)
    return statistics.median(ordered), ordered[below], ordered[n - 1 - below]


def named(density: float | str) -> str:
    return density if isinstance(density, str) else f"{100 * density:g}%"


def densities(rows: Rows) -> list[float | str]:
    """Return the densities in the order of the tables: large ones first, patterns last."""
    found = {row["density"] for row in rows if row["method"] != "dense"}
    return sorted(found, key=lambda d: (isinstance(d, str), d if isinstance(d, str) else -d))


def in_order(rows: Rows) -> list[str]:
    """Return the methods, ours first, then in the order of their names."""
    found = {row["method"] for row in rows} - {"dense"}
    return sorted(found, key=lambda name: (name != "concave", name != "l1", name))


def paired_layers(
    rows: Rows, subject: str, density: float | str, ours: str, other: str, place: int = HELD_OUT
) -> list[float]:
    """Return the ratio of errors, ours by the other's, of every layer of every seed that both have pruned."""
    ratios = []
    kept = [row for row in rows if row["subject"] == subject and row["density"] == density]
    for row in (r for r in kept if r["method"] == ours):
        rival = next((r for r in kept if r["method"] == other and r["seed"] == row["seed"]), None)
        common = row["layers"].keys() & (rival or {"layers": {}})["layers"].keys()
        ratios += [row["layers"][k][place] / rival["layers"][k][place] for k in sorted(common) if rival]
    return ratios


def complete(rows: Rows, subject: str, methods: Sequence[str]) -> set[tuple[int, str]]:
    """Return the (seed, layer) that all these methods have pruned at all densities stored of the subject."""
    mine = [row for row in rows if row["subject"] == subject and row["method"] in methods]
    parts = [{(row["seed"], layer) for layer in row["layers"]} for row in mine]
    by_cell: dict[tuple[str, Any], set[tuple[int, str]]] = {}
    for row, part in zip(mine, parts):
        by_cell.setdefault((row["method"], row["density"]), set()).update(part)
    return set.intersection(*by_cell.values()) if by_cell else set()


def layer_table(rows: Rows, subject: str, place: int) -> str:
    """Return the mean errors on held-out data, or the sums of processor seconds a seed, methods by densities.

    Over the layers that the methods of `CORE` have pruned at all densities (over all, where there are none
    such); a cell that lacks some of them is over those that it has, whose number stands in brackets.
    """
    mine = [row for row in rows if row["subject"] == subject]
    common = complete(rows, subject, CORE) or {(r["seed"], layer) for r in mine for layer in r["layers"]}
    seeds = len({seed for seed, _ in common})
    lines = []
    for method in in_order(mine):
        line: dict[str, Any] = {"method": method}
        for density in densities(mine):
            values = [
                figures[place]
                for row in mine
                if row["method"] == method and row["density"] == density
                for layer, figures in row["layers"].items()
                if (row["seed"], layer) in common
            ]
            if values:
                told = f"{sum(values) / seeds:.3g}" if place == SECONDS else f"{statistics.fmean(values):.4f}"
                part = f" ({len(values)} of them)" if len(values) < len(common) else ""
                line[named(density)] = told + part
        if len(line) > 1:
            lines.append(line)
    columns = {"method": "method"} | {named(d): named(d) for d in densities(mine)}
    if not lines:
        return ""
    counted = [f"{n} {word}{'s' * (n > 1)}" for n, word in ((len(common), "layer"), (seeds, "seed"))]
    return f"{subject}: {counted[0]} in all, {counted[1]}\n\n{markdown(lines, columns)}"


def ratio_table(rows: Rows, subjects: Sequence[str], others: Sequence[str]) -> str:
    """Return medians of the paired ratios of the concave solver's errors by the others', with intervals.

    Of fewer than three pairs the ratios themselves.
    """
    lines = []
    for subject in subjects:
        for density in densities([row for row in rows if row["subject"] == subject]):
            line = {"network": subject, "kept": named(density)}
            for other in others:
                ratios = paired_layers(rows, subject, density, "concave", other)
                if len(ratios) >= 3:
                    line[other] = "{:.3f} ({:.3f} to {:.3f})".format(*median_interval(ratios))
                elif ratios:
                    line[other] = ", ".join(f"{ratio:.3f}" for ratio in sorted(ratios))
            if len(line) > 2:
                lines.append(line)
    columns = {"network": "network", "kept": "kept"} | {f"by {name}'s": name for name in others}
    return markdown(lines, columns)


def goal_table(rows: Rows, subject: str) -> str:
    """Return each goal for a network with the medians reached, on calibration and on held-out data."""
    lines = []
    for other, of, goal in GOALS:
        for density in of:
            medians = [
                paired_layers(rows, subject, density, "concave", other, place)
                for place in (CALIBRATION, HELD_OUT)
            ]
            if medians[0]:
                calibration, held_out = (statistics.median(values) for values in medians)
                lines.append(
                    {
                        "error by that of": other, "kept": named(density), "goal": f"at most {goal:g}",
                        "calibration": f"{calibration:.3f}", "held_out": f"{held_out:.3f}",
                        "met": "yes" if calibration <= goal and held_out <= goal
                        else "on calibration data" if calibration <= goal else "no",
                        "layers": len(medians[0]),
                    }
                )  # fmt: skip
    columns = {
        "error by that of": "error by that of", "kept": "kept", "goal": "goal", "layers": "layers",
        "on calibration data": "calibration", "on held-out data": "held_out", "met": "met",
    }  # fmt: skip
    return markdown(lines, columns)


def network_table(rows: Rows, subject: str) -> str:
    """Return what whole networks keep: every score; medians of processor seconds and of memory."""
    mine = [
        {**row, "method": f"{row['method']}, {row['allocation']}" if row["method"] != "dense" else "dense"}
        for row in rows
        if row["subject"] == subject
    ]
    if not in_order(mine):
        return ""
    scores = list(mine[0]["scores"])
    parts = []
    for score in scores:
        dense = [row["scores"][score] for row in mine if row["method"] == "dense"]
        lines = []
        for method in in_order(mine):
            runs = [r for r in mine if r["method"] == method]
            line: dict[str, Any] = {
                "method": method,
                "seconds": statistics.median(r["processor_seconds"] for r in runs),
                "MiB": round(statistics.median(r["peak_mib"] for r in runs)),
            }
            for density in densities(mine):
                chosen = [r for r in mine if r["method"] == method and r["density"] == density]
                if chosen:
                    line[named(density)] = _spread([r["scores"][score] for r in chosen], score)
            lines.append(line)
        columns = {"method": "method"} | {named(d): named(d) for d in densities(mine)}
        if score == scores[0]:
            columns |= {"processor seconds": "seconds", "peak memory, MiB": "MiB"}
        told = f" (dense {_spread(dense, score)})" if dense else ""
        parts.append(f"{subject}, {score}{told}:\n\n{markdown(lines, columns)}")
    return "\n\n".join(parts)


def _spread(values: Sequence[float], score: str) -> str:
    """Return the median and the range over seeds."""

    def text(value: float) -> str:
        return f"{100 * value:.2f}" if score.endswith("accuracy") else f"{value:.4f}"

    middle = text(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({text(min(values))} to {text(max(values))})"


def section(layers: Rows, networks: Rows) -> str:
    """Return all tables as markdown; a heading stands only over what there is."""
    others = ("sparsegpt", "sparsegpt+refit", "alps", "l1", "l1, exchanges", "obc")
    done, whole = subjects(layers), subjects(networks)
    parts = {
        "Errors, ours by a rival's": [ratio_table(layers, done, others)],
        "Goals for the sentence encoder": [goal_table(layers, ENCODER)],
        "Mean relative errors on held-out data": [layer_table(layers, name, HELD_OUT) for name in done],
        "Processor seconds for the layers": [layer_table(layers, name, SECONDS) for name in done],
        "Whole networks": [network_table(networks, name) for name in whole],
    }
    return "\n\n".join(
        "\n\n".join([f"#### {head}", *filter(None, tables)]) for head, tables in parts.items() if any(tables)
    )


def subjects(rows: Rows) -> list[str]:
    """Return the networks that were measured, in the order of the rows."""
    return list(dict.fromkeys(row["subject"] for row in rows))


def summary(rows: Rows) -> dict[str, list[dict[str, Any]]]:
    """Return what the figure shows: errors by density, and the families' errors by those of l1.

    Errors are medians over layers and seeds with their intervals; ratios are paired by layer and seed.
    """
    errors, against_l1 = [], []
    for subject in subjects(rows):
        mine = [row for row in rows if row["subject"] == subject]
        for method in in_order(mine):
            for density in densities(mine):
                chosen = [r for r in mine if r["method"] == method and r["density"] == density]
                values = [figures[HELD_OUT] for row in chosen for figures in row["layers"].values()]
                about = {"subject": subject, "method": method, "density": density}
                if values:
                    errors.append({**about, "median": median_interval(values), "layers": len(values)})
                ratios = paired_layers(rows, subject, density, method, "l1")
                if ratios and method != "l1":
                    against_l1.append({**about, "median": median_interval(ratios), "layers": len(ratios)})
    return {"errors": errors, "against_l1": against_l1}
