"""Perplexity against density of a small character-level language model, over seeds.

    python benchmarks/language_model.py run      # appends rows; goes on where it was stopped
    python benchmarks/language_model.py table    # prints the stored rows as markdown
    python benchmarks/language_model.py plot     # draws figures/pictures/language_model.svg from them

The network, the text and the training are those of examples/sparse_language_model.py with ``--quick`` (40,000
characters, one epoch) or, with ``--whole``, all of it. Rows lie in figures/results/language_model.jsonl.
Density 1 is the dense network. Perplexities are of held-out text: lower is better.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections import defaultdict
from itertools import product
from pathlib import Path
from typing import Any

from scipy.stats import t as student

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "examples"))

from sparse_language_model import perplexity  # noqa: E402

RESULTS = ROOT / "figures" / "results" / "language_model.jsonl"
PICTURE = ROOT / "figures" / "pictures" / "language_model.svg"
METHODS = ("concave", "l1", "gmp", "magnitude", "random")
DENSITIES = (0.5, 0.2, 0.1, 0.05)
SEEDS = 3


def stored(whole: bool) -> list[dict[str, Any]]:
    """Return the rows there are."""
    if not RESULTS.exists():
        return []
    rows = [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if row["whole"] == whole]


def run(whole: bool) -> None:
    """Compute the rows that are missing, seed by seed."""
    done = {(row["method"], row["density"], row["seed"]) for row in stored(whole)}
    settings = [("dense", 1.0), *((m, p) for p, m in product(DENSITIES, METHODS))]
    for seed, (method, density) in product(range(SEEDS), settings):
        if (method, density, seed) in done:
            continue
        began = time.perf_counter()
        row = {"whole": whole, "method": method, "density": density, "seed": seed}
        row["perplexity"] = perplexity(method, density, seed, quick=not whole)
        row["seconds"] = round(time.perf_counter() - began, 1)
        print(row, flush=True)
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def means(whole: bool) -> dict[tuple[str, float], tuple[float, float, int]]:
    """Return mean, half width of the 95% interval (NaN of one seed) and seeds, by method and density."""
    found = defaultdict(list)
    for row in stored(whole):
        found[row["method"], row["density"]].append(row["perplexity"])
    told = {}
    for key, values in found.items():
        n = len(values)
        half = student.ppf(0.975, n - 1) * statistics.stdev(values) / math.sqrt(n) if n > 1 else math.nan
        told[key] = statistics.mean(values), half, n
    return told


def table(whole: bool) -> str:
    """Return the perplexities as markdown."""
    found = means(whole)
    lines = ["| density | seeds | " + " | ".join(METHODS) + " |", "| --- " * (2 + len(METHODS)) + "|"]
    for density in DENSITIES:
        cells = [found.get((method, density)) for method in METHODS]
        seeds = min((cell[2] for cell in cells if cell), default=0)
        text = ["–" if c is None else f"{c[0]:.2f}" + (f" ± {c[1]:.2f}" if c[2] > 1 else "") for c in cells]
        lines.append(f"| {density:.0%} | {seeds} | " + " | ".join(text) + " |")
    if dense := found.get(("dense", 1.0)):
        lines.append(f"\nDense: {dense[0]:.2f}" + (f" ± {dense[1]:.2f}" if dense[2] > 1 else "") + ".")
    return "\n".join(lines)


def plot(whole: bool) -> None:
    """Draw perplexity against density."""
    import matplotlib.pyplot as plt

    found = means(whole)
    figure, axes = plt.subplots(figsize=(5, 3.4), layout="constrained")
    for method in METHODS:
        own = [(p, *found[method, p]) for p in DENSITIES if (method, p) in found]
        axes.errorbar([o[0] for o in own], [o[1] for o in own], [o[2] for o in own], marker="o", label=method)
    if dense := found.get(("dense", 1.0)):
        axes.axhline(dense[0], color="grey", linestyle="--", label="dense")
    axes.set(xscale="log", xlabel="share of the weights kept", ylabel="perplexity of held-out text")
    axes.legend()
    figure.savefig(PICTURE, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("run", "table", "plot"))
    parser.add_argument("--whole", action="store_true", help="300,000 characters, four epochs")
    arguments = parser.parse_args()
    if arguments.what == "run":
        run(arguments.whole)
    if arguments.what == "plot":
        plot(arguments.whole)
    print(table(arguments.whole))


if __name__ == "__main__":
    main()
