"""The paper's own algorithm as it is written, with the log penalty and with l1.

python -m figures.paper_algorithm run DATA [--minutes M]   play what is missing
python -m figures.paper_algorithm table                    print the tables of the documentation

Projected gradient steps on mask and weights together, a threshold, rewinding, rounds (the presets "paper" and
"paper-steered" of the method): at equal density (lam steered to it), at equal lam, and with parts of the
algorithm left out or exchanged.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from figures import front, stored

#: Finished runs are kept here.
RUNS = Path(os.environ.get("FIGURES_RUNS", "runs")) / "paper_algorithm"

COMMAND = "python -m figures.paper_algorithm run; python -m figures.paper_algorithm gather"

SEEDS = {"digits": 5, "mnist": 5, "cifar10": 3}
DENSITIES = {"digits": (0.02, 0.01), "mnist": (0.02, 0.005), "cifar10": (0.02,)}
#: What the plays on a data set have in common besides; the others are the usual ones of LeNet-300-100.
COMMON: dict[str, Any] = {"cifar10": front.GROUNDS["cifar10"].common}
LAMS = (1e-4, 3e-4)

STEERED = {"preset": "paper-steered"}
#: Name, options, data sets, and what is asked for: densities, or nothing where lam is given.
FORMS: tuple[tuple[str, dict[str, Any], tuple[str, ...], str], ...] = (
    ("one round, lam steered", {"update": "gradient", "optimiser": "sgd"}, tuple(SEEDS), "density"),
    ("three rounds, lam given", {"preset": "paper"}, ("digits",), "lam"),
    ("three rounds, lam steered", STEERED, ("digits",), "density"),
    ("proximal steps instead", {"update": "proximal", "optimiser": "sgd"}, ("digits",), "density"),
    ("a sigmoid instead of the projection", {"relaxation": "sigmoid"}, ("digits",), "density"),
)


def planned(data: str, seed: int) -> Iterator[tuple[dict[str, Any], Any]]:
    """Yield what a row is known by and its play, for one data set and seed."""
    from nets import Play

    for form, options, grounds, kind in FORMS:
        if data not in grounds:
            continue
        for penalty, method in (("log(0.02)", "concave"), ("l1", "l1")):
            for density in (None,) if kind == "lam" else DENSITIES[data]:
                for lam in LAMS if kind == "lam" else (None,):
                    own = options if lam is None else {**options, "lam": lam}
                    asked = {"method": method, "options": own, "density": density or 0.05, "seed": seed}
                    play = Play(**{"data": data, **COMMON.get(data, {}), **asked})
                    known = {"data": data, "form": form, "penalty": penalty, "seed": seed}
                    yield {**known, "asked": density, "lam": lam}, play


def make(data: str, seeds: int, minutes: float = math.inf) -> None:
    """Play what is neither finished nor stored, form by form, seed by seed."""
    from nets import run
    from nets.runs.driver import RunFailed

    begun, before = time.monotonic(), stored_rows()
    order = [form for form, *_ in FORMS]
    plays = [
        one for seed in range(seeds) for one in planned(data, seed) if tuple(one[0].values()) not in before
    ]
    for known, play in sorted(plays, key=lambda one: (order.index(one[0]["form"]), one[0]["seed"])):
        if time.monotonic() - begun > 60 * minutes:
            return
        try:
            result = run(play, RUNS)
        except RunFailed as error:
            print(f"{known}: {error}", flush=True)
            continue
        print(f"{known}: {100 * result.test_accuracy:.2f} at {100 * result.density:.2f}%", flush=True)


def stored_rows() -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return the stored rows by what they are known by."""
    return {
        tuple(row[name] for name in ("data", "form", "penalty", "seed", "asked", "lam")): row
        for row in stored.read("paper_algorithm")["rows"]
    }


def gather() -> dict[str, Any]:
    """Return the rows of all finished runs, and those stored of the others."""
    from importlib.metadata import version

    from nets.runs.canonical import address, settled
    from nets.runs.folder import RunFolder

    rows, before = [], stored_rows()
    for data, seeds in SEEDS.items():
        for seed in range(seeds):
            for known, play in planned(data, seed):
                folder = RunFolder(RUNS / address(settled(play)))
                if not folder.finished:
                    if (key := tuple(known.values())) in before:
                        rows.append(before[key])
                    continue
                row = folder.result()
                named = ("density", "test_accuracy", "validation_accuracy", "dense_test_accuracy")
                found = {name: row[name] for name in (*named, "search_cut_loss", "search_relaxed_density")}
                rows.append({**known, **found, "epochs": row["search_epochs_spent"]})
    return {"model": "lenet-300-100", "torch": version("torch"), "rows": rows}


def pairs(
    data: dict[str, Any], ground: str, form: str, field: str
) -> Iterator[tuple[str, tuple[dict[int, float], dict[int, float]]]]:
    """Yield density (or lam) and the values of log and of l1 by seed, in % or points, over common seeds."""
    rows = [r for r in data["rows"] if (r["data"], r["form"]) == (ground, form)]
    for asked, lam in dict.fromkeys((r["asked"], r["lam"]) for r in rows):
        sides = []
        for penalty in ("log(0.02)", "l1"):
            here = [r for r in rows if (r["asked"], r["lam"], r["penalty"]) == (asked, lam, penalty)]
            sides.append({r["seed"]: 100 * r[field] for r in here})
        common = set(sides[0]) & set(sides[1])
        where = f"lam {lam:g}" if asked is None else f"{100 * asked:g}%"
        first, second = ({seed: side[seed] for seed in sorted(common)} for side in sides)
        yield where, (first, second)


def table(data: dict[str, Any], ground: str) -> str:
    """Return accuracy, density, loss at the cut of log and l1, and paired differences, as Markdown."""
    lines = [
        "| form | at | log, test % | l1, test % | difference | log, density % | l1, density % "
        "| log, cut loss | l1, cut loss | seeds |",
        "| --- |" + " --- |" * 9,
    ]
    for form in dict.fromkeys(r["form"] for r in data["rows"] if r["data"] == ground):
        columns = {
            field: dict(pairs(data, ground, form, field))
            for field in ("test_accuracy", "density", "search_cut_loss")
        }
        for where, (log, l1) in columns["test_accuracy"].items():
            if len(log) < 2:
                continue
            cells = [_interval(log), _interval(l1)]
            mean, half, n = front.paired(log, l1)
            cells.append(f"{mean:+.2f} ± {half:.2f}")
            cells += [f"{_mean(side):.2f}" for side in columns["density"][where]]
            cells += [f"{_mean(side):.2f}" for side in columns["search_cut_loss"][where]]
            lines.append(f"| {form} | {where} | {' | '.join(cells)} | {n} |")
    return "\n".join(lines)


def _mean(values: dict[int, float]) -> float:
    return sum(values.values()) / len(values)


def _interval(values: dict[int, float]) -> str:
    from nets.analysis.comparison import mean_interval

    mean, half = mean_interval(list(values.values()))
    return f"{mean:.2f} ± {half:.2f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("act", choices=("run", "gather", "table"))
    parser.add_argument("data", nargs="?", default="digits", choices=tuple(SEEDS))
    parser.add_argument("--minutes", type=float, default=math.inf)
    given = parser.parse_args()
    if given.act == "run":
        make(given.data, SEEDS[given.data], given.minutes)
    elif given.act == "gather":
        print(stored.write("paper_algorithm", gather(), 0.0, COMMAND))
    else:
        data = stored.read("paper_algorithm")
        print(*(table(data, ground) for ground in SEEDS), sep="\n\n")
