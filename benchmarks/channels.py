"""Whole units kept by different methods, at equal operations of an inference: accuracies over paired seeds.

    python benchmarks/channels.py run [CASE ...]    # appends rows; goes on where it was stopped
    python benchmarks/channels.py table             # prints the stored rows as markdown

Every network is pruned to a share of the operations of its masked layers (``budget="flops:SHARE"``) and
trained again; the dense network of as many operations is narrowed in all layers alike. Data are cut to a few
thousand samples and trainings to a few epochs, so that all of it takes a quarter of an hour of one core:
accuracies are below what the networks reach on all data. The methods of a seed share initial weights and
batches. "trained" keeps the weights of the search (rewinding="learning-rate") instead of the initial ones;
the small network beside them is trained for twice the epochs. Rows lie in figures/results/channels.jsonl.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import torch
from scipy.stats import t as student

import nets
from nets.configuration import Training
from nets.data import Dataset, load
from nets.models import build
from nets.models.flops import count_flops
from nets.models.narrow import width_for

RESULTS = Path(__file__).resolve().parents[1] / "figures" / "results" / "channels.jsonl"


@dataclass(frozen=True)
class Case:
    """A network on part of a data set.

    Parameters
    ----------
    data, model : str
        Names.
    width : float
        Factor of the units of every layer.
    samples, epochs : int
        Training samples and passes over them.
    shares : tuple of float
        Of the operations.
    seeds : int
        Seeds, from 0.
    lr : float
        Peak learning rate.
    """

    data: str
    model: str
    width: float
    samples: int
    epochs: int
    shares: tuple[float, ...]
    seeds: int = 3
    lr: float = 0.05


CASES = {
    "digits, conv-2": Case("digits", "conv-2", 0.5, 1_500, 10, (0.2, 0.05), seeds=5),
    "mnist, lenet-5": Case("mnist", "lenet-5", 1.0, 4_000, 3, (0.1,)),
    "mnist, lenet-300-100": Case("mnist", "lenet-300-100", 1.0, 4_000, 3, (0.05,)),
    "cifar10, conv-2": Case("cifar10", "conv-2", 0.25, 4_000, 3, (0.1,)),
}

#: Name in the table: method and options; "small-dense" is no method.
ENTRIES: dict[str, tuple[str, dict[str, Any]]] = {
    "concave": ("concave", {}),
    "magnitude": ("magnitude", {}),
    "random": ("random", {}),
    "small dense": ("small-dense", {}),
    "concave, trained": ("concave", {"rewinding": "learning-rate"}),
    "magnitude, trained": ("magnitude", {"rewinding": "learning-rate"}),
    "small dense, twice": ("small-dense", {}),
}


def part(case: Case) -> Dataset:
    """Return the data of a case."""
    whole = load(case.data)
    assert isinstance(whole, Dataset)
    return replace(
        whole,
        x_train=whole.x_train[: case.samples],
        y_train=whole.y_train[: case.samples],
        x_validation=whole.x_validation[:500],
        y_validation=whole.y_validation[:500],
        x_test=whole.x_test[:3000],
        y_test=whole.y_test[:3000],
        augmentation=None,
    )


def row(case: Case, data: Dataset, entry: str, share: float, seed: int) -> dict[str, Any]:
    """Return the accuracy of one ticket, with the share of the operations that it has left."""
    method, options = ENTRIES[entry]
    training = Training(epochs=case.epochs, batch_size=32, lr=case.lr, weight_decay=5e-4)
    if method == "small-dense":
        whole = count_flops(build(case.model, data, width=case.width), data.input_shape)
        width = width_for(case.model, data, int(share * whole.dense), operations=True)
        twice = replace(training, epochs=2 * case.epochs) if entry.endswith("twice") else training
        trained = nets.retrain(None, case.model, data, seed=seed, training=twice, width=width)
        assert trained.flops is not None
        return {"accuracy": trained.test_score, "flops": trained.flops.dense / whole.dense}
    torch.manual_seed(seed)
    model = build(case.model, data, seed=seed, width=case.width)
    ticket = nets.find_ticket(
        model, data, method, budget=f"flops:{share}", options=options, seed=seed, training=training
    )
    trained = nets.retrain(ticket, model, data, seed=seed, training=training)
    assert trained.flops is not None
    layers = [int(mask.flatten(1).any(1).sum()) for mask in ticket.masks.values()]
    return {"accuracy": trained.test_score, "flops": trained.flops.share, "units": layers}


def stored() -> list[dict[str, Any]]:
    """Return the rows there are."""
    if not RESULTS.exists():
        return []
    return [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]


def run(names: Sequence[str]) -> None:
    """Compute the rows that are missing, seed by seed."""
    done = {(r["case"], r["entry"], r["share"], r["seed"]) for r in stored()}
    entries = list(ENTRIES)
    for some, name in product((entries[:4], entries[4:]), names):
        case = CASES[name]
        data = part(case)
        for seed, share, entry in product(range(case.seeds), case.shares, some):
            if (name, entry, share, seed) in done:
                continue
            began = time.perf_counter()
            found = {"case": name, "entry": entry, "share": share, "seed": seed}
            found |= row(case, data, entry, share, seed)
            found["seconds"] = round(time.perf_counter() - began, 1)
            print(found, flush=True)
            with RESULTS.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found) + "\n")


def interval(values: Sequence[float]) -> str:
    """Return the mean with its 95% interval, in points."""
    mean = statistics.mean(values)
    if len(values) < 2:
        return f"{100 * mean:.2f}"
    half = student.ppf(0.975, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return f"{100 * mean:.2f} ± {100 * half:.2f}"


def table() -> str:
    """Return accuracies, and differences of the concave mask to the others over paired seeds."""
    found: dict[tuple[str, float], dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for r in stored():
        found[r["case"], r["share"]][r["entry"]][r["seed"]] = r["accuracy"]
    lines = ["| network | operations | seeds | " + " | ".join(ENTRIES) + " |"]
    lines += ["| --- " * (3 + len(ENTRIES)) + "|"]
    for (case, share), entries in found.items():
        seeds = len(entries["concave"])
        cells = [interval(list(entries[e].values())) if entries[e] else "–" for e in ENTRIES]
        lines.append(f"| {case} | {100 * share:g}% | {seeds} | " + " | ".join(cells) + " |")
    pairs = [("concave", other) for other in ("magnitude", "random", "small dense")]
    pairs += [("concave, trained", other) for other in ("magnitude, trained", "small dense, twice")]
    lines += ["", "| network | operations | " + " | ".join(" - ".join(pair) for pair in pairs) + " |"]
    lines += ["| --- " * (2 + len(pairs)) + "|"]
    for (case, share), entries in found.items():
        cells = []
        for first, second in pairs:
            both = sorted(entries[first].keys() & entries[second].keys())
            cells.append(interval([entries[first][s] - entries[second][s] for s in both]) if both else "–")
        lines.append(f"| {case} | {100 * share:g}% | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("run", "table"))
    parser.add_argument("cases", nargs="*", default=[], help="; ".join(CASES))
    arguments = parser.parse_args()
    if odd := [name for name in arguments.cases if name not in CASES]:
        parser.error(f"unknown case {odd[0]!r}; there are {'; '.join(CASES)}")
    if arguments.what == "run":
        run(arguments.cases or list(CASES))
    print(table())


if __name__ == "__main__":
    main()
