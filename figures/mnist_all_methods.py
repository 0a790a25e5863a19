"""All methods on MNIST, LeNet-300-100: accuracy of the retrained ticket against its density."""

from __future__ import annotations

import math
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from figures import style

DENSITIES = (0.2, 0.1, 0.05, 0.02, 0.01, 0.005)
SEEDS = int(os.environ.get("MNIST_ALL_METHODS_SEEDS", "3"))
#: Finished runs are kept here and not made again: `compute` may be stopped and started again at any moment.
RUNS = Path(os.environ.get("MNIST_ALL_METHODS_RUNS", "runs/mnist_all_methods"))

#: Panels: methods that prune before training, while training, by trained scores over frozen weights or with
#: the weights, and after training. The concave mask is shown in each.
PANELS: dict[str, tuple[str, ...]] = {
    "before training": ("random", "snip", "grasp", "synflow"),
    "after or during training": ("magnitude", "imp", "gmp", "set", "rigl", "soft-threshold"),
    "masks over frozen weights": ("edge-popup", "gem-miner", "concrete-ticket"),
    "masks trained with the weights": ("l1", "l0", "continuous-sparsification", "pilot"),
}


def compute() -> dict[str, Any]:
    """Play every method at every density, seed by seed: about two hours of one core for three seeds."""
    from nets import Play, compare
    from nets.methods import method_names

    names = [name for name in method_names() if name != "dense"]
    for seed in range(SEEDS):
        compare(
            Play(data="mnist", model="lenet-300-100"),
            methods=names,
            densities=DENSITIES,
            seeds=(seed,),
            workers=1,
            folder=RUNS,
        )
    return gather(RUNS)


def gather(runs: Path) -> dict[str, Any]:
    """Return the rows of all finished runs."""
    from nets.runs.results import rows

    kept = [
        {
            "method": row["method"],
            "density": row["asked_density"],
            "kept": row["kept"],
            "seed": row["seed"],
            "test_accuracy": row["test_accuracy"],
            "validation_accuracy": row["validation_accuracy"],
            "search_epochs": row["search_epochs_spent"],
            "search_seconds": row["search_seconds"],
            **{n: row[n] for n in ("search_relaxed_accuracy", "search_cut_accuracy") if n in row},
        }
        for row in rows(runs)
    ]
    kept.sort(key=lambda r: (r["method"], -r["density"], r["seed"]))
    return {"data": "mnist", "model": "lenet-300-100", "epochs": 5, "torch": version("torch"), "rows": kept}


def draw(data: dict[str, Any]) -> Figure:
    """Draw a panel for each kind of method, the concave mask and the dense network in all."""
    rows = data["rows"]
    dense = [100 * r["test_accuracy"] for r in rows if r["method"] == "dense"]
    seeds = sorted({r["seed"] for r in rows})
    figure, axes = style.canvas(2, 2, 5.6, sharex=True, sharey=True)
    densities = sorted({r["density"] for r in rows if r["method"] != "dense"})
    for letter, place, (title, methods) in zip("abcd", axes.flat, PANELS.items()):
        place.axhline(sum(dense) / len(dense), color="#777777", linewidth=1, label="dense")
        for index, method in enumerate(("concave", *methods)):
            points = [(d, _accuracies(rows, method, d)) for d in densities]
            points = [(d, values) for d, values in points if values]
            if not points:
                continue
            place.errorbar(
                [100 * d for d, _ in points],
                [sum(values) / len(values) for _, values in points],
                yerr=[_half_width(values) for _, values in points],
                capsize=2,
                elinewidth=0.8,
                label=method,
                **style.look(index, marker=True),
            )
        style.name_panel(place, letter, title)
        place.legend(loc="lower right", fontsize=7)
        place.set_xscale("log")
        place.set_xticks([100 * d for d in densities], [f"{100 * d:g}" for d in densities])
        place.set_xticks([], minor=True)
    low = min(_accuracies_of_interest(rows), default=90.0)
    axes[0, 0].set_ylim(max(85.0, math.floor(low)), 99.0)
    for place in axes.flat:
        place.set_xlabel("density: weights kept, %")
    for place in axes[:, 0]:
        place.set_ylabel("test accuracy, %")
    count = f"{len(seeds)} seeds, 95% intervals" if len(seeds) > 1 else "one seed"
    figure.suptitle(
        f"LeNet-300-100 on MNIST, {data['epochs']} epochs a training, {count}", fontsize=10, x=0.3
    )
    return figure


def _accuracies(rows: list[dict[str, Any]], method: str, density: float) -> list[float]:
    return [100 * r["test_accuracy"] for r in rows if r["method"] == method and r["density"] == density]


def _accuracies_of_interest(rows: list[dict[str, Any]]) -> list[float]:
    """Return accuracies that the picture should show; what has collapsed may leave it."""
    return [100 * r["test_accuracy"] for r in rows if r["test_accuracy"] > 0.85]


def _half_width(values: list[float]) -> float:
    """Return the half width of the mean's 95% interval; nothing for one value."""
    if len(values) < 2:
        return 0.0
    from nets.comparison import mean_interval

    return mean_interval(values)[1]
