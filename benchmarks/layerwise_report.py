"""What the layer-wise benchmark says: paired ratios, tables and goals from its stored rows."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from convex_report import markdown
from scipy.stats import binom

Rows = Sequence[dict[str, Any]]
#: Places in a layer's stored figures.
CALIBRATION, HELD_OUT, SECONDS = 0, 1, 2

#: Solvers that a layer must have been pruned by at every density to count in tables of means and sums.
CORE = ("concave", "concave, path", "l1", "alps", "sparsegpt", "sparsegpt+refit")

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


def error_table(rows: Rows, subject: str) -> str:
    """Return the mean relative errors on held-out data, methods by densities, over layers that all have."""
    methods = in_order([row for row in rows if row["subject"] == subject])
    common = complete(rows, subject, CORE)
    if not common:
        return ""
    mine = [row for row in rows if row["subject"] == subject]
    lines = []
    for method in methods:
        line: dict[str, Any] = {"method": method}
        for density in densities(mine):
            values = [
                figures[HELD_OUT]
                for row in mine
                if row["method"] == method and row["density"] == density
                for layer, figures in row["layers"].items()
                if (row["seed"], layer) in common
            ]
            if len(values) == len(common):
                line[named(density)] = f"{statistics.fmean(values):.4f}"
        if len(line) > 1:
            lines.append(line)
    columns = {"method": "method"} | {named(d): named(d) for d in densities(mine)}
    seeds = len({seed for seed, _ in common})
    head = f"{subject}: {len(common)} layers in all, {seeds} seed{'s' * (seeds > 1)}"
    return f"{head}\n\n{markdown(lines, columns)}"


def ratio_table(rows: Rows, subjects: Sequence[str], others: Sequence[str]) -> str:
    """Return medians of the paired ratios of the concave solver's errors by the others', with intervals."""
    lines = []
    for subject in subjects:
        for density in densities([row for row in rows if row["subject"] == subject]):
            line = {"network": subject, "kept": named(density)}
            for other in others:
                ratios = paired_layers(rows, subject, density, "concave", other)
                if len(ratios) >= 3:
                    line[other] = "{:.3f} ({:.3f} to {:.3f})".format(*median_interval(ratios))
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


def seconds_table(rows: Rows, subject: str) -> str:
    """Return the processor seconds that the layers all methods have pruned took together, mean over seeds."""
    mine = [row for row in rows if row["subject"] == subject]
    methods, common = in_order(mine), complete(rows, subject, CORE)
    seeds = max(1, len({seed for seed, _ in common}))
    lines = []
    for method in methods:
        line: dict[str, Any] = {"method": method}
        for density in densities(mine):
            values = [
                figures[SECONDS]
                for row in mine
                if row["method"] == method and row["density"] == density
                for layer, figures in row["layers"].items()
                if (row["seed"], layer) in common
            ]
            if len(values) == len(common):
                line[named(density)] = sum(values) / seeds
        if len(line) > 1:
            lines.append(line)
    return markdown(lines, {"method": "method"} | {named(d): named(d) for d in densities(mine)})


def network_table(rows: Rows, subject: str) -> str:
    """Return what whole networks keep: every score; medians of processor seconds and of memory."""
    mine = [
        {**row, "method": f"{row['method']}, {row['allocation']}" if row["method"] != "dense" else "dense"}
        for row in rows
        if row["subject"] == subject
    ]
    if not mine:
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
        parts.append(f"{subject}, {score} (dense {_spread(dense, score)}):\n\n{markdown(lines, columns)}")
    return "\n\n".join(parts)


def _spread(values: Sequence[float], score: str) -> str:
    """Return the median and the range over seeds."""

    def text(value: float) -> str:
        return f"{100 * value:.2f}" if score.endswith("accuracy") else f"{value:.4f}"

    middle = text(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({text(min(values))} to {text(max(values))})"


def section(layers: Rows, networks: Rows, subjects: Sequence[str], encoder: str) -> str:
    """Return all tables as markdown."""
    others = ("sparsegpt", "sparsegpt+refit", "alps", "l1", "l1, exchanges", "obc")
    done = [name for name in subjects if any(row["subject"] == name for row in layers)]
    parts = [
        "#### Errors, ours by a rival's\n\n" + ratio_table(layers, done, others),
        "#### Goals for the sentence encoder\n\n" + goal_table(layers, encoder),
        "#### Mean relative errors on held-out data\n\n"
        + "\n\n".join(filter(None, (error_table(layers, name) for name in done))),
        "#### Processor seconds for the layers of the sentence encoder\n\n" + seconds_table(layers, encoder),
        "#### Whole networks\n\n" + "\n\n".join(filter(None, (network_table(networks, n) for n in subjects))),
    ]
    return "\n\n".join(parts)


def summary(rows: Rows, subjects: Sequence[str]) -> dict[str, Any]:
    """Return what the figure shows: errors by density, and the families' errors by those of l1.

    Errors are medians over layers and seeds with their intervals; ratios are paired by layer and seed.
    """
    errors, against_l1 = [], []
    for subject in subjects:
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
