"""Forms of the concave mask side by side: accuracy of the retrained ticket, and what the cut costs.

python -m figures.concave_forms run plays them; without "run" it prints the stored tables.
"""

from __future__ import annotations

import os
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from figures import stored

#: Name, method, options. What is not named is at its default.
FORMS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("curvature (default)", "concave", {}),
    ("proximal", "concave", {"update": "proximal"}),
    ("proximal, l1", "l1", {"update": "proximal"}),
    ("proximal, dual ascent", "concave", {"update": "proximal", "law": "dual-ascent"}),
    ("proximal, adam", "concave", {"update": "proximal", "optimiser": "adam"}),
    ("gradient", "concave", {"update": "gradient"}),
    ("gradient, weights an epoch old", "concave", {"update": "gradient", "reweight": "epoch"}),
    ("gradient, dual ascent", "concave", {"update": "gradient", "law": "dual-ascent"}),
    ("gradient, warm-up 0.2", "concave", {"update": "gradient", "warm_up": 0.2}),
    ("gradient, alternating", "concave", {"update": "gradient", "trained": "alternating"}),
    ("sigmoid", "concave", {"relaxation": "sigmoid"}),
    ("sigmoid, dual ascent", "concave", {"relaxation": "sigmoid", "law": "dual-ascent"}),
)
#: Forms that MNIST is tried with.
ON_MNIST = (
    "curvature (default)", "proximal", "gradient", "gradient, dual ascent",
    "sigmoid, dual ascent",
)  # fmt: skip
DENSITIES = (0.05, 0.01)
COMMAND = "python -m figures.concave_forms run"
#: Values of lam in the classical mode, where the density follows.
LAMS = (1e-5, 3e-5, 1e-4, 3e-4)
SEEDS = {
    "digits": 5,
    "mnist": int(os.environ.get("CONCAVE_FORMS_MNIST_SEEDS", "0")),
}
#: Finished runs are kept here and not made again: `compute` may be stopped and started again at any moment.
RUNS = Path(os.environ.get("CONCAVE_FORMS_RUNS", "runs/concave_forms"))


def compute() -> dict[str, Any]:
    """Play every form: a minute of one core a seed for digits, some ten for MNIST."""
    of_lam = tuple((f"lam = {lam:g}", "concave", {"lam": lam}) for lam in LAMS)
    rows = [
        _row(data, form, method, options, density, seed)
        for data, seeds in SEEDS.items()
        for seed in range(seeds)
        for form, method, options in (*FORMS, *of_lam)
        if data == "digits" or form in ON_MNIST
        for density in (DENSITIES if "lam" not in options else DENSITIES[:1])
    ]
    return {"model": "lenet-300-100", "penalty": "log(0.02)", "torch": version("torch"), "rows": rows}


def _row(
    data: str, form: str, method: str, options: dict[str, Any], density: float, seed: int
) -> dict[str, Any]:
    from nets import Play, run

    result = run(Play(data=data, method=method, options=options, density=density, seed=seed), RUNS)
    return {
        "data": data,
        "form": form,
        "seed": seed,
        "asked": None if options.get("lam") else density,
        "density": result.density,
        "test": result.test_accuracy,
        "validation": result.validation_accuracy,
        "dense": result.dense_test_accuracy,
        "epochs": result.search_epochs,
        **{n: result.report[n] for n in ("relaxed_accuracy", "cut_loss", "relaxed_density", "lam")},
    }


def table(data: dict[str, Any], name: str) -> str:
    """Return the table of one data set as Markdown: mean and 95% interval of the test accuracy, cut loss."""
    rows = [r for r in data["rows"] if r["data"] == name and r["asked"] is not None]
    heads = [
        f"{100 * d:g}%: {what}" for d in DENSITIES for what in ("test, %", "cut loss", "relaxed density, %")
    ]
    lines = [f"| form | {' | '.join(heads)} |", "| --- |" + " --- |" * len(heads)]
    for form, _, _ in FORMS:
        cells = []
        for density in DENSITIES:
            found = [r for r in rows if r["form"] == form and r["asked"] == density]
            if found:
                cut = sum(100 * r["cut_loss"] for r in found) / len(found)
                relaxed = sum(100 * r["relaxed_density"] for r in found) / len(found)
                cells += [_told([100 * r["test"] for r in found]), f"{cut:.2f}", f"{relaxed:.2f}"]
        if cells:
            lines.append(f"| {form} | {' | '.join(cells)} |")
    return "\n".join(lines)


def table_of_lam(data: dict[str, Any]) -> str:
    """Return the table of the classical mode as Markdown: what density follows from lam."""
    lines = ["| lam | density reached, % | test, % | cut loss |", "| --- | --- | --- | --- |"]
    for lam in LAMS:
        found = [r for r in data["rows"] if r["form"] == f"lam = {lam:g}"]
        cells = [_told([100 * r[name] for r in found]) for name in ("density", "test")]
        cut = sum(100 * r["cut_loss"] for r in found) / len(found)
        lines.append(f"| {lam:g} | {' | '.join(cells)} | {cut:.2f} |")
    return "\n".join(lines)


def _told(values: list[float]) -> str:
    mean, half = _interval(values)
    return f"{mean:.2f} ± {half:.2f}" if len(values) > 1 else f"{mean:.2f}"


def _interval(values: list[float]) -> tuple[float, float]:
    from nets.analysis.comparison import mean_interval

    mean, half = mean_interval(values)
    return mean, half if len(values) > 1 else 0.0


if __name__ == "__main__":
    if sys.argv[1:] == ["run"]:
        begun = time.perf_counter()
        print(stored.write("concave_forms", compute(), time.perf_counter() - begun, COMMAND))
    else:
        read = stored.read("concave_forms")
        print(table(read, "digits"), table(read, "mnist"), table_of_lam(read), sep="\n\n")
