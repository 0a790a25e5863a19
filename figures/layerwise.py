"""Layer-wise pruning: errors of the layers' outputs against density, and concave families against l1.

Also the tables of docs/layerwise.md and the README: where the weights go, whole networks, rows against their
global minimum, channels and heads.
"""

from __future__ import annotations

import json
import statistics
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks import seed_rows
from benchmarks.layerwise_report import ENCODER, summary
from figures import stored
from figures.stored import RESULTS
from figures.style import canvas, looks, name_panel

SOLVERS = ("concave", "alps", "sparsegpt+refit", "sparsegpt", "l1", "wanda", "magnitude")
FAMILIES = (
    "concave, path", "log(0.01), path", "log(1), path", "lq(0.5), path", "mcp(2), path", "scad(3.7), path",
    "exponential(4), path",
)  # fmt: skip
#: The network of the right panel.
SMALL = "lenet-300-100 on mnist"


def _draw(place: Axes, found: list[dict[str, Any]], subject: str, methods: tuple[str, ...]) -> None:
    """Draw medians with their intervals against density, a line a method; patterns N:M have no place here."""
    styles = looks(methods, marker=True)
    for method in methods:
        mine = [r for r in found if (r["subject"], r["method"]) == (subject, method)]
        points = sorted((r["density"], r["median"]) for r in mine if not isinstance(r["density"], str))
        if points:
            middle = [m for _, (m, _, _) in points]
            place.errorbar(
                [100 * density for density, _ in points],
                middle,
                yerr=[[m - low for _, (m, low, _) in points], [high - m for _, (m, _, high) in points]],
                capsize=2,
                elinewidth=0.8,
                label="log(0.1), path" if method == "concave, path" else method,
                **styles[method],
            )
    place.set_xlabel("weights kept, %")
    place.legend(fontsize=6.5, ncols=2, loc="upper right")


def draw() -> Figure:
    """Draw both panels."""
    found = summary(stored_rows("layers"))
    figure, axes = canvas(1, 2, height=3.4)
    left, right = axes[0]
    shown = ENCODER if any(r["subject"] == ENCODER for r in found["errors"]) else SMALL
    _draw(left, found["errors"], shown, SOLVERS)
    left.set(yscale="log", ylabel="relative error of a layer's outputs", ylim=(None, 1.5))
    name_panel(left, "a", f"{shown}, held-out text" if shown == ENCODER else shown)
    _draw(right, found["against_l1"], SMALL, FAMILIES)
    right.axhline(1.0, color="#777777", linewidth=1)
    right.set(xscale="log", ylabel="error by that of l1, paired", ylim=(None, 1.7))
    right.set_xticks([5, 10, 20, 50], ["5", "10", "20", "50"])
    right.set_xticks([], minor=True)
    name_panel(right, "b", "families, LeNet-300-100 on MNIST")
    return figure


#: Relative distance below which two values are the same minimum.
SAME = 1e-4


def stored_rows(part: str, key: str = "rows") -> list[dict[str, Any]]:
    """Return what one command of the benchmark has stored.

    Raises
    ------
    FileNotFoundError
        If it was never run; the message says how to.
    """
    file = RESULTS / f"layerwise_{part}.json"
    if not file.is_file():
        raise FileNotFoundError(f"No results are stored: run `python benchmarks/layerwise.py {part}`.")
    found: list[dict[str, Any]] = json.loads(file.read_text())[key]
    return found


def _lines(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows))


def _level(values: Sequence[float], percent: bool) -> str:
    """Return the median, and the range where there are several seeds."""

    def text(value: float) -> str:
        return f"{100 * value:.2f}" if percent else f"{value:.4f}"

    middle = text(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({text(min(values))} to {text(max(values))})"


def share(rival: str, density: float, ours: str = "concave") -> str:
    """Return the encoder's error by a rival's on held-out text: median over the layers that both pruned."""
    mine = [r for r in stored_rows("layers") if (r["subject"], r["density"]) == (ENCODER, density)]
    own, other = ({(r["seed"], layer): errors[1] for r in mine if r["method"] == method
                   for layer, errors in r["layers"].items()} for method in (ours, rival))  # fmt: skip
    return f"{statistics.median(own[key] / other[key] for key in own.keys() & other.keys()):.2f}"


def told() -> str:
    """Return what the README says of the errors of the encoder's layers."""
    half = {rival: share(rival, 0.5) for rival in ("sparsegpt", "sparsegpt+refit", "alps")}
    ours = [r for r in stored_rows("layers") if (r["subject"], r["method"]) == (ENCODER, "concave")]
    seeds, layers = len({r["seed"] for r in ours}), min(len(r["layers"]) for r in ours)
    text = (
        f"On the {layers} layers of a sentence encoder (all-MiniLM-L6-v2, held-out text, {seeds} draws of "
        "calibration sentences, a sample of each layer's rows) the errors of the outputs at 50% of the "
        f"weights are {half['sparsegpt']} of SparseGPT's, "
        f"{half['sparsegpt+refit']} of SparseGPT's refitted by least squares and {half['alps']} of ALPS's, "
        f"the strongest rival; at 20% the share of SparseGPT's is {share('sparsegpt', 0.2)}. The concave "
        "penalty alone, without the exchanges that follow it, has "
        f"{share('l1', 0.5, 'concave, path')} of l1's error at 50% "
        "([tables, and what they do not show](benchmarks/README.md#layer-wise-pruning))."
    )
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def missed() -> str:
    """Return which goals of the layers' errors are missed, by how much."""
    text = (
        "**Goals that are missed.** On the layers of all-MiniLM-L6-v2 at 20% the error is "
        f"{share('sparsegpt', 0.2)} of SparseGPT's (the goal was 0.5) and {share('l1', 0.2)} of l1's (0.65)."
    )
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def allocation_table() -> str:
    """Return how networks do on validation data by where the weights go, without retraining.

    The metric of the encoder is the rank correlation of the similarities of pairs of sentences.
    """
    rows = stored_rows("networks")
    lines = []
    for subject in dict.fromkeys(row["subject"] for row in rows):
        metric = f"rank correlation, {VALIDATION_TEXT}" if subject == ENCODER else "validation accuracy"
        mine = [row for row in rows if row["subject"] == subject]
        cells = {(r["density"], r["method"]) for r in mine if not isinstance(r["density"], str)}
        for density, method in sorted(cells, key=lambda c: (-c[0], c[1])):
            found = {
                allocation: {
                    r["seed"]: r["scores"][metric]
                    for r in mine
                    if (r["density"], r["method"], r["allocation"]) == (density, method, allocation)
                }
                for allocation in ("row", "layer", "global")
            }
            both = found["layer"].keys() & found["global"].keys()
            if not method.startswith("concave") or not both:
                continue
            dense = [r["scores"][metric] for r in mine if r["method"] == "dense" and r["seed"] in both]
            shown = [
                _level([v for seed, v in found[a].items() if seed in both], subject != ENCODER)
                if both <= found[a].keys()
                else ""
                for a in found
            ]
            lines.append(
                [subject, method, f"{100 * density:g}%", str(len(both)), *shown,
                 _level(dense, subject != ENCODER)]
            )  # fmt: skip
    return _lines(["network", "solver", "kept", "seeds", "row", "layer", "global", "dense"], lines)


#: Of the two texts that the encoder is judged on, the one that decides between settings.
VALIDATION_TEXT = "standard library"
#: Networks in the README's table: the metric on test data, and how it is called.
SHOWN = {
    SMALL: ("accuracy", "LeNet-300-100 on MNIST, test accuracy in %"),
    "lenet-5 on mnist": ("accuracy", "LeNet-5 on MNIST, test accuracy in %"),
    "lenet-5 on cifar10": ("accuracy", "LeNet-5 on CIFAR-10, test accuracy in %"),
    "vit-lite-6 on digits": ("accuracy", "a vision transformer on digits, test accuracy in %"),
    ENCODER: ("cosine, other packages", "all-MiniLM-L6-v2, cosine to the dense embeddings"),
}
#: Columns of that table: solver and allocation ("default": what a trial chose; a pattern N:M has no choice).
COLUMNS = {
    "dense": ("dense", "layer"),
    "concave": ("concave", "default"),
    "concave, as much in each layer": ("concave", "layer"),
    "ALPS, our allocation": ("alps", "global"),
    "ALPS": ("alps", "layer"),
    "l1": ("l1", "layer"),
    "SparseGPT refitted, our allocation": ("sparsegpt+refit", "global"),
    "SparseGPT, refitted": ("sparsegpt+refit", "layer"),
    "SparseGPT": ("sparsegpt", "layer"),
    "Wanda": ("wanda", "layer"),
    "magnitude": ("magnitude", "layer"),
}
#: Those that the README shows.
FEW = ("dense", "concave", "ALPS, our allocation", "ALPS", "SparseGPT, refitted", "magnitude")


#: Seeds that an interval needs.
LEAST = 3


Rows = list[dict[str, Any]]


def _scores(rows: Rows, column: str, density: Any, metric: str) -> dict[int, float]:
    """Return by seed what a network keeps, of whose rows these are, by one of `COLUMNS`."""
    method, allocation = COLUMNS[column]
    fixed = isinstance(density, str) and allocation == "default"
    return {
        row["seed"]: row["scores"][metric]
        for row in rows
        if row["method"] == method
        and (row["allocation"] == allocation or fixed)
        and (method == "dense" or row["density"] == density)
    }


def _settings() -> Iterator[tuple[Rows, Any, str, list[str]]]:
    """Yield a network's rows, a density that ours were measured at, the metric, and the head of the line."""
    rows = stored_rows("networks")
    for subject, (metric, name) in SHOWN.items():
        mine = [row for row in rows if row["subject"] == subject]
        ours = ("default", "layer")
        found = {r["density"] for r in mine if r["method"] == "concave" and r["allocation"] in ours}
        for density in sorted(found, key=lambda d: (isinstance(d, str), d), reverse=True):
            kept = density if isinstance(density, str) else f"{100 * density:g}%"
            yield mine, density, metric, [name, kept]


def network_table(columns: Sequence[str] = tuple(COLUMNS), gaps: bool = True) -> str:
    """Return what networks keep without retraining, by some of `COLUMNS`; lines with gaps may be left out."""
    lines = []
    for rows, density, metric, line in _settings():
        ours = ("concave", "concave, as much in each layer")
        seeds = {seed for column in ours for seed in _scores(rows, column, density, metric)}
        for column in columns:
            found = _scores(rows, column, density, metric)
            values = [found[seed] for seed in sorted(seeds) if seed in found]
            text = _level(values, metric == "accuracy") if values else ""
            if 0 < len(values) < len(seeds):
                text = f"{text}, {len(values)} of {len(seeds)} seeds" if gaps else ""
            line.append(text)
        if gaps or all(line):
            lines.append(line)
    return _lines(["network", "kept", *columns], lines)


def difference_table() -> str:
    """Return by how many points the concave solver is above the rivals, paired by seed, with intervals.

    Where the trial of allocations was made with too few seeds, ours keeps as much in each layer.
    """
    rivals = [column for column in COLUMNS if not column.startswith(("dense", "concave"))]
    lines = []
    for rows, density, metric, line in _settings():
        ours = _scores(rows, "concave", density, metric)
        if len(ours) < LEAST:
            ours = _scores(rows, "concave, as much in each layer", density, metric)
            line[0] += ", ours as much in each layer"
        for rival in rivals:
            apart = seed_rows.differences(ours, _scores(rows, rival, density, metric))
            line.append(seed_rows.cell(apart, 100, sign=True) if len(apart) >= LEAST else "")
        if any(line[2:]):
            lines.append(line)
    return _lines(["network", "kept", *rivals], lines)


#: Methods that the retrained tickets of layer-wise masks stand beside.
BESIDE = ("concave", "gmp", "imp", "magnitude")


def tickets_table() -> str:
    """Return test accuracies of tickets that are rewound and retrained, layer-wise ones first."""
    other = stored.read("mnist_all_methods")["rows"]
    pruned = stored_rows("tickets")
    densities = sorted({row["density"] for row in pruned}, reverse=True)
    lines = []
    for method in ("layerwise", *BESIDE):
        mine = [row for row in (*pruned, *other) if row["method"] == method and row["density"] in densities]
        costs = sorted({row["search_epochs"] for row in mine})
        cost = f"{costs[0]:.3g}" + (f" to {costs[-1]:.3g}" if costs[-1] > costs[0] else "")
        cells = [_level([r["test_accuracy"] for r in mine if r["density"] == d], True) for d in densities]
        lines.append([method, cost, *cells])
    return _lines(["method", "epochs of search", *(f"{100 * d:g}%" for d in densities)], lines)


def rows_table() -> str:
    """Return the shares of rows at the global minimum, and the gaps of the others."""
    lines = []
    for one in stored_rows("rows", "experiments"):
        error = ""
        if "ratios" in one:
            kept, count = str(one["kept"]), str(len(one["ratios"]))
            gaps = [ratio - 1 for ratio in one["ratios"]]
        else:
            sound = [r for r in one["rows"] if r["certified"] and "objective" in r]
            if not sound:
                continue
            kept = f"{min(r['kept'] for r in sound)} to {max(r['kept'] for r in sound)}"
            count = f"{len(sound)} certified of {len(one['rows'])}"
            gaps = [r["objective"] - 1 for r in sound]
            error = f"{statistics.median(r['error'] for r in sound):.4f}"
        others = [gap for gap in gaps if gap >= SAME]
        gap = f"{100 * statistics.median(others):.2f}% (at most {100 * max(others):.2f}%)" if others else ""
        share = f"{100 * (1 - len(others) / len(gaps)):.0f}%"
        lines.append([str(one["inputs"]), kept, one["reference"], count, share, gap, error])
    heads = [
        "inputs",
        "weights kept",
        "reference",
        "rows",
        "at the global minimum",
        "gap of the others, median",
    ]
    return _lines([*heads, "error by that of the global minimum's support, median"], lines)


def units_table() -> str:
    """Return what networks keep without retraining when whole units go, by how these are chosen."""
    rows = stored_rows("units")
    lines = []
    methods = ("concave", "magnitude+refit", "random+refit", "magnitude", "random")
    for subject in dict.fromkeys(row["subject"] for row in rows):
        mine = [row for row in rows if row["subject"] == subject]
        densities = sorted({r["density"] for r in mine if r["method"] != "dense"}, reverse=True)
        dense = [r["scores"]["accuracy"] for r in mine if r["method"] == "dense"]
        for density in densities:
            for allocation in ("layer", "global"):
                cells = []
                for method in methods:
                    found = [
                        r["scores"]["accuracy"]
                        for r in mine
                        if (r["density"], r["method"], r["allocation"]) == (density, method, allocation)
                    ]
                    cells.append(_level(found, True) if found else "")
                if cells[0]:
                    unit = "heads" if mine[0]["granularity"] == "head" else "channels"
                    lines.append(
                        [f"{subject}, {unit}", f"{100 * density:g}%", allocation, _level(dense, True), *cells]
                    )
    return _lines(["network, units", "kept", "allocation", "dense", *methods], lines)
