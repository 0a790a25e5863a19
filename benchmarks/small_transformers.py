"""Small transformers with few of their weights: their score against density by methods, over paired seeds.

    python benchmarks/small_transformers.py run SUBJECT     # appends rows; goes on where it was stopped
    python benchmarks/small_transformers.py table SUBJECT   # prints the stored rows as markdown
    python benchmarks/small_transformers.py plot SUBJECT    # draws them into figures/pictures

SUBJECT is "language": the character-level model of examples/sparse_language_model.py on 40,000 characters,
one epoch, perplexity of held-out text, lower is better (63 rows, two minutes of one core; "language, whole"
takes 300,000 characters and four epochs); or "vision": the vision transformer of
examples/sparse_vision_transformer.py on digits, 20 epochs, test accuracy in % (63 rows, some ten minutes).
Tickets are rewound. Rows lie in figures/results; ``python -m figures.tables`` writes the tables into
benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import seed_rows
from examples.sparse_language_model import perplexity
from examples.sparse_vision_transformer import accuracy
from nets.analysis.comparison import mean_interval

METHODS = ("concave", "l1", "gmp", "magnitude", "random")
DENSITIES = (0.5, 0.2, 0.1, 0.05)
SEEDS = 3


@dataclass(frozen=True)
class Subject:
    """What is measured.

    Parameters
    ----------
    name : str
        Of the files.
    score : str
        What the number is, and its key in the rows.
    compute : callable
        From method, density and seed.
    whole : bool
        In the rows of the language model: all of the text.
    scale : float
        The number as it is told, over the number as it is stored.
    """

    name: str
    score: str
    compute: Callable[[str, float, int], float]
    whole: bool = False
    scale: float = 1.0

    @property
    def path(self) -> Path:
        """Where the rows lie."""
        return seed_rows.RESULTS / f"{self.name}.jsonl"

    def keys(self, seeds: int = SEEDS) -> list[seed_rows.Row]:
        """Return what tells the rows apart, seed by seed."""
        settings = [("dense", 1.0), *((m, p) for p, m in product(DENSITIES, METHODS))]
        return [
            {"whole": self.whole, "method": method, "density": density, "seed": seed}
            for seed in range(seeds)
            for method, density in settings
        ]

    def measure(self, key: seed_rows.Row) -> dict[str, Any]:
        """Return the score of one row."""
        return {self.score: self.compute(key["method"], key["density"], key["seed"])}


SUBJECTS = {
    "language": Subject("language_model", "perplexity", lambda m, p, s: perplexity(m, p, s, quick=True)),
    "language, whole": Subject("language_model", "perplexity", perplexity, whole=True),
    "vision": Subject("vision_transformer", "accuracy", accuracy, scale=100),
}

Scores = dict[tuple[str, float], dict[int, float]]


def scores(subject: Subject) -> Scores:
    """Return the stored scores by method and density, each by seed."""
    found: Scores = defaultdict(dict)
    for row in seed_rows.stored(subject.path):
        if row["whole"] == subject.whole:
            found[row["method"], row["density"]][row["seed"]] = subject.scale * row[subject.score]
    return found


def table(name: str) -> str:
    """Return the scores, and how far the concave ticket is from the others by seed, as markdown."""
    found = scores(SUBJECTS[name])
    if not found:
        return "No row is stored yet."
    lines = ["| density | seeds | " + " | ".join(METHODS) + " |", "| --- " * (2 + len(METHODS)) + "|"]
    others = METHODS[1:]
    second = ["| density | " + " | ".join(f"concave minus {m}" for m in others) + " |"]
    second += ["| --- " * (1 + len(others)) + "|"]
    for density in DENSITIES:
        own = {method: found.get((method, density), {}) for method in METHODS}
        cells = [seed_rows.cell(list(own[method].values())) for method in METHODS]
        lines.append(f"| {density:.0%} | {min(map(len, own.values()))} | " + " | ".join(cells) + " |")
        apart = [seed_rows.differences(own["concave"], own[method]) for method in others]
        second.append(f"| {density:.0%} | " + " | ".join(seed_rows.cell(d, sign=True) for d in apart) + " |")
    dense = seed_rows.cell(list(found.get(("dense", 1.0), {}).values()))
    return "\n".join([*lines, "", f"Dense: {dense}.", "", *second])


def plot(name: str) -> None:
    """Draw the score against density."""
    from figures import style

    subject = SUBJECTS[name]
    found = scores(subject)
    figure, ((axes,),) = style.canvas(1, 1, 3.2)
    looks = style.looks(METHODS, marker=True)
    for method in METHODS:
        there = [p for p in DENSITIES if (method, p) in found]
        told = [mean_interval(list(found[method, p].values())) for p in there]
        axes.errorbar(
            [100 * p for p in there],
            [t[0] for t in told],
            [t[1] for t in told],
            capsize=2,
            elinewidth=0.8,
            label=method,
            **looks[method],
        )
    if dense := found.get(("dense", 1.0)):
        axes.axhline(mean_interval(list(dense.values()))[0], color="#777777", linewidth=0.8, label="dense")
    axes.set(xscale="log", xlabel="weights kept, %", ylabel=f"{subject.score} on held-out data")
    axes.set_xticks([100 * p for p in DENSITIES], [f"{100 * p:g}" for p in DENSITIES])
    axes.set_xticks([], minor=True)
    axes.legend()
    style.save(figure, subject.path.stem)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("run", "table", "plot"))
    parser.add_argument("subject", choices=SUBJECTS)
    arguments = parser.parse_args()
    subject = SUBJECTS[arguments.subject]
    if arguments.what == "run":
        seed_rows.run(subject.path, subject.keys(), subject.measure)
    if arguments.what == "plot":
        plot(arguments.subject)
    print(table(arguments.subject))


if __name__ == "__main__":
    main()
