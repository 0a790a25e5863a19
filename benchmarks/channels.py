"""Whole units kept by different methods, at equal operations of an inference: accuracies over paired seeds.

    python benchmarks/channels.py run [CASE ...] [--seeds N]  # appends rows; goes on where it was stopped
    python benchmarks/channels.py table                       # prints the stored rows as markdown

Every network is pruned to a share of the operations of its masked layers (``budget="flops:SHARE"``), made
smaller by `nets.shrink` and trained again; the dense network of as many operations is narrowed in all layers
alike. Data are cut to a few thousand samples and trainings to a few epochs: accuracies are below what the
networks reach on all data. The methods of a seed share initial weights and batches. "shuffled" is the
concave ticket with other units of the same layers, drawn at random: what it loses is owed to the choice of
units, what it keeps to how many each layer has. "trained" keeps the weights of the search instead of the
initial ones (rewinding="learning-rate"); the small network beside is trained for twice the epochs. Rows lie
in figures/results/channels.jsonl; ``python -m figures.tables`` writes their table into docs/granularity.md.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import nets
from benchmarks import seed_rows
from nets.analysis.controls import shuffle
from nets.configuration import Training
from nets.data import Dataset, load
from nets.granularity.factory import groups_of
from nets.masking.layout import Layout, maskable
from nets.models import build
from nets.models.flops import count_flops, width_for
from nets.tickets import Ticket

RESULTS = seed_rows.RESULTS / "channels.jsonl"


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
    seeds: int = 5
    lr: float = 0.05


CASES = {
    "digits, conv-2": Case("digits", "conv-2", 0.5, 1_500, 10, (0.05, 0.02), seeds=10),
    "mnist, lenet-5": Case("mnist", "lenet-5", 1.0, 4_000, 3, (0.1, 0.03)),
    "mnist, lenet-300-100": Case("mnist", "lenet-300-100", 1.0, 4_000, 3, (0.05, 0.02)),
    "cifar10, conv-2": Case("cifar10", "conv-2", 0.25, 4_000, 3, (0.1, 0.03)),
}

#: The entries of the table.
ENTRIES = (
    "concave",
    "magnitude",
    "random",
    "small dense",
    "concave, shuffled",
    "concave, trained",
    "magnitude, trained",
    "small dense, twice",
)

#: Whose differences are told.
PAIRS = (
    *(("concave", other) for other in ("magnitude", "random", "small dense", "concave, shuffled")),
    *(("concave, trained", other) for other in ("magnitude, trained", "small dense, twice")),
)


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


class Rows:
    """Computes the rows of a case, sharing one search among the entries that start from it."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.data = part(case)
        self.training = Training(epochs=case.epochs, batch_size=32, lr=case.lr, weight_decay=5e-4)
        self.searched = lru_cache(maxsize=4)(self._search)

    def _search(self, method: str, share: float, seed: int) -> Ticket:
        """Return the ticket, with the weights of the end of its search if it has one."""
        options = {} if method == "random" else {"rewinding": "learning-rate"}
        found = {"budget": f"flops:{share}", "options": options}
        model = build(self.case.model, self.data, seed=seed, width=self.case.width)
        return nets.find_ticket(model, self.data, method, **found, seed=seed, training=self.training)

    def __call__(self, key: seed_rows.Row) -> dict[str, Any]:
        """Return accuracies of one entry, with the share of the operations and the units that it has left."""
        entry, share, seed = key["entry"], key["share"], key["seed"]
        model = build(self.case.model, self.data, seed=seed, width=self.case.width)
        whole = count_flops(model, self.data.input_shape).dense
        training, width = self.training, 1.0
        if entry.startswith("small dense"):
            width = width_for(self.case.model, self.data, int(share * whole), operations=True)
            if entry.endswith("twice"):
                training = replace(training, epochs=2 * training.epochs)
            start: Any = self.case.model
        else:
            method, _, kind = entry.partition(", ")
            ticket = self.searched(method, share, seed)
            if kind != "trained":
                ticket = replace(ticket, weights={k: v.clone() for k, v in model.state_dict().items()})
            if kind == "shuffled":
                layout = Layout.of(model, maskable(model, units=True))
                groups = groups_of("channel:flops", model, layout, self.data)
                ticket = shuffle(ticket, seed, layout=replace(layout, groups=groups))
            start = nets.shrink(ticket.apply(model), ticket, self.data.example(8))
        trained = nets.retrain(None, start, self.data, seed=seed, training=training, width=width)
        units = [len(p) for p in trained.model.parameters() if p.dim() > 1]
        return {
            "accuracy": trained.test_score,
            "validation": trained.validation_score,
            "flops": count_flops(trained.model, self.data.input_shape).dense / whole,
            "units": units,
        }


def run(names: list[str], seeds: int | None = None, path: Path = RESULTS) -> None:
    """Compute the rows that are missing, seed by seed."""
    for name in names:
        case = CASES[name]
        order = product(range(seeds or case.seeds), case.shares, ENTRIES)
        keys = [{"case": name, "entry": e, "share": share, "seed": seed} for seed, share, e in order]
        seed_rows.run(path, keys, Rows(case))


def table(path: Path = RESULTS) -> str:
    """Return accuracies, differences of the concave mask to the others over paired seeds, and units kept."""
    found: dict[tuple[str, float], dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    units: dict[tuple[str, float, str], list[int]] = {}
    for r in seed_rows.stored(path):
        found[r["case"], r["share"]][r["entry"]][r["seed"]] = r["accuracy"]
        units.setdefault((r["case"], r["share"], r["entry"]), r["units"])
    lines = ["| network | operations | seeds | " + " | ".join(ENTRIES) + " |"]
    lines += ["| --- " * (3 + len(ENTRIES)) + "|"]
    for (case, share), entries in found.items():
        cells = [seed_rows.cell(list(entries[e].values()), 100) for e in ENTRIES]
        seeds = len(entries["concave"])
        lines.append(f"| {case} | {100 * share:g}% | {seeds} | " + " | ".join(cells) + " |")
    lines += ["", "| network | operations | " + " | ".join(" minus ".join(pair) for pair in PAIRS) + " |"]
    lines += ["| --- " * (2 + len(PAIRS)) + "|"]
    for (case, share), entries in found.items():
        cells = [
            seed_rows.cell(seed_rows.differences(entries[a], entries[b]), 100, sign=True) for a, b in PAIRS
        ]
        lines.append(f"| {case} | {100 * share:g}% | " + " | ".join(cells) + " |")
    first = ENTRIES[:4]
    lines += ["", "| units by layer, first seed | operations | " + " | ".join(first) + " |"]
    lines += ["| --- " * (2 + len(first)) + "|"]
    for case, share in found:
        cells = [", ".join(map(str, units.get((case, share, e), ["–"]))) for e in first]
        lines.append(f"| {case} | {100 * share:g}% | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("run", "table"))
    parser.add_argument("cases", nargs="*", default=[], help="; ".join(CASES))
    parser.add_argument("--seeds", type=int, help="fewer or more than the case has")
    arguments = parser.parse_args()
    if odd := [name for name in arguments.cases if name not in CASES]:
        parser.error(f"unknown case {odd[0]!r}; there are {'; '.join(CASES)}")
    if arguments.what == "run":
        run(arguments.cases or list(CASES), arguments.seeds)
    print(table())


if __name__ == "__main__":
    main()
