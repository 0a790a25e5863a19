"""Variants of the concave mask, tried on validation data, each against the default with the same seeds.

python -m figures.mask_variants run DATA [--minutes M]   play what is missing, seed by seed
python -m figures.mask_variants table                    print the table of the documentation

A variant changes one thing of the default curvature update: what entries are ranked by, which price they pay,
what happens to the weights of pruned entries, or the way down. Accuracies are those of the retrained ticket
on held-out validation data: nothing here was chosen on test data.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import seed_rows
from concave_sparsity import L1, Log, Penalty
from figures import stored
from nets.configuration import Training
from nets.lottery import find_tickets, retrain
from nets.masking.relaxed_mask import critical_step, look_up, proximal_table
from nets.masking.selection import select
from nets.methods.method import Method
from nets.search import Found, Search
from nets.training.loop import Hook, Loop


@dataclass(frozen=True)
class Variant:
    """What differs from the default.

    Parameters
    ----------
    power : float
        Entries are ranked by theta^2 E[g^2]^power; the default is 1/2, 1 the empirical Fisher, 0 magnitude.
    stick : float
        An entry pays r'(m)^stick besides: a decision persists the more, the more concave the penalty.
    leak : float
        Share of the gradient that reaches the weight of an entry at zero (1: straight through).
    memory : float
        Share of the training over which squared gradients are averaged.
    rank_memory : float
        Share of the training over which the ranking itself is averaged; 0: not at all.
    descent, begin : float
        Shares of the training at which the density asked for is reached, and at which pruning begins.
    exponent : float
        Of the way down: 3 is the usual cubic.
    graduated : bool
        The penalty goes from l1 to its own form during the descent (graduated non-convexity).
    layerwise : float
        h is divided by its layer's mean to this power: 1 is a lam for every layer.
    origin : float
        h is multiplied by |theta_0 / theta|^origin, theta_0 being the initial weight that is rewound to.
    agree : bool
        Entries whose sign differs from the initial one are ranked last.
    decay : float
        Weight decay of the search as a multiple of that of the training.
    frozen : float
        Share of the training from which the mask stays as it is; 1: never.
    """

    power: float = 0.5
    stick: float = 0.0
    leak: float = 0.0
    memory: float = 0.02
    rank_memory: float = 0.0
    descent: float = 0.8
    begin: float = 0.0
    exponent: float = 3.0
    graduated: bool = False
    layerwise: float = 0.0
    origin: float = 0.0
    agree: bool = False
    decay: float = 1.0
    frozen: float = 1.0


class VariedMask(Hook):
    """The curvature update of `RelaxedMask`, in plain steps, with a variant's change."""

    def __init__(self, penalty: Penalty, density: float, variant: Variant, interval: int = 10) -> None:
        self.penalty, self.density, self.variant, self.interval = penalty, density, variant, interval
        self.critical = critical_step(penalty)

    def start(self, loop: Loop) -> None:
        """Start with a mask of ones."""
        flat, v = loop.flat, self.variant
        self.mask = torch.ones_like(flat.weights)
        self.squares = torch.zeros_like(flat.weights)
        self.ranks = torch.zeros_like(flat.weights)
        self.first = flat.weights.clone()
        self.keep = math.exp(-self.interval / max(self.interval, v.memory * loop.steps))
        self.keep_rank = math.exp(-self.interval / max(self.interval, v.rank_memory * loop.steps))
        self.table = proximal_table(self.penalty, self.critical).to(flat.weights)
        self.straight = proximal_table(L1(), critical_step(L1())).to(flat.weights)
        flat.separate()
        torch.mul(flat.weights, self.mask, out=flat.effective)

    def after_backward(self, loop: Loop) -> None:
        """Sum the squared gradients of the effective weights; turn them into gradients of the weights."""
        gradients = loop.flat.gradients
        self.squares.addcmul_(gradients, gradients)
        leak = self.variant.leak
        gradients.mul_(self.mask.clamp(min=leak) if leak else self.mask)

    def after_step(self, loop: Loop) -> None:
        """Update the mask when it is due, and the effective weights."""
        if loop.step % self.interval == 0 and loop.share <= self.variant.frozen:
            self.update(loop)
        torch.mul(loop.flat.weights, self.mask, out=loop.flat.effective)

    def rank(self, loop: Loop) -> Tensor:
        """Return what entries are ranked by, shape (n,)."""
        v, theta = self.variant, loop.flat.weights
        h = theta * theta
        if v.power:
            h = h * self.squares**v.power
        if v.origin:
            h = h * (self.first.abs() / theta.abs().clamp(min=1e-12)) ** v.origin
        if v.agree:
            h = torch.where(self.first * theta > 0, h, h * 1e-6)
        if v.layerwise:
            parts = loop.flat.layout.segments(h)
            h = torch.cat([p / p.mean() ** v.layerwise for p in parts])
        if v.rank_memory:
            h = h / h.mean()
            self.ranks.mul_(self.keep_rank).add_(h, alpha=1.0 - self.keep_rank)
            h = self.ranks
        if v.stick:
            h = h / self.penalty.derivative(self.mask) ** v.stick
        return h

    def update(self, loop: Loop) -> None:
        """Set lam for the density wanted now, and the mask by the penalty's proximal operator."""
        v = self.variant
        self.h = self.rank(loop)
        self.squares.mul_(self.keep)
        share = loop.share
        left = max(0.0, 1.0 - max(0.0, share - v.begin) / (v.descent - v.begin))
        target = self.density + (1.0 - self.density) * left**v.exponent
        found = loop.flat.layout.groups.threshold(self.h, target)
        if found is None:
            return
        table = self.table
        if v.graduated:
            done = min(1.0, share / v.descent)
            table = torch.lerp(self.straight, self.table, done)
        look_up(table, self.h / found.clamp(min=torch.finfo(self.h.dtype).tiny), self.mask)


def method_of(variant: Variant) -> Method:
    """Return the method that searches with a variant."""

    def find(search: Search) -> Iterable[Found]:
        assert search.penalty is not None
        decay = search.training.weight_decay * variant.decay
        for density in search.densities:
            hook = VariedMask(search.penalty, density, variant)
            search.train(hook, training=replace(search.training, weight_decay=decay))
            order = hook.h.argsort(descending=True, stable=True)
            rank = torch.empty_like(order)
            rank[order] = torch.arange(search.n, 0, -1)
            scores = hook.mask.to(torch.float64) + rank.to(torch.float64) * (1e-6 / search.n)
            mask = select(scores, search.layout, search.count(density), pooling="own")
            search.flat.unite()
            yield search.found(mask, density)

    return Method("variant", "", "", find, cost=lambda density, epochs, options: epochs, needs=("penalty",))


#: By name: what changes, and the penalty.
VARIANTS: dict[str, tuple[dict[str, Any], Penalty]] = {
    "default, log(0.02)": ({}, Log(0.02)),
    "default, l1": ({}, L1()),
    "prices r'(m) in the ranking": ({"stick": 1.0}, Log(0.02)),
    "from l1 to log on the way": ({"graduated": True}, Log(0.02)),
    "pruned weights still learn": ({"leak": 1.0}, Log(0.02)),
    "ranking averaged over 10%": ({"rank_memory": 0.1}, Log(0.02)),
    "lam by layer, half way": ({"layerwise": 0.5}, Log(0.02)),
    "descent over 60%": ({"descent": 0.6}, Log(0.02)),
    "descent over 90%": ({"descent": 0.9}, Log(0.02)),
    "ranked by theta^2 E[g^2]^(1/4)": ({"power": 0.25}, Log(0.02)),
    "ranked by the empirical Fisher": ({"power": 1.0}, Log(0.02)),
    "curvature averaged over 10%": ({"memory": 0.1}, Log(0.02)),
    "ranked by |theta theta_0| E[g^2]^(1/2)": ({"origin": 1.0}, Log(0.02)),
    "sign changes ranked last": ({"agree": True}, Log(0.02)),
    "four times the weight decay": ({"decay": 4.0}, Log(0.02)),
    "prices r'(m) in the ranking, log(1)": ({"stick": 1.0}, Log(1.0)),
    "pruned weights learn a fifth": ({"leak": 0.2}, Log(0.02)),
    "ranked by magnitude": ({"power": 0.0}, Log(0.02)),
    "descent quadratic": ({"exponent": 2.0}, Log(0.02)),
    "descent quintic": ({"exponent": 5.0}, Log(0.02)),
    "pruning begins at 10%": ({"begin": 0.1}, Log(0.02)),
    "default, log(1)": ({}, Log(1.0)),
    "pruned weights learn a fifth, descent quintic": ({"leak": 0.2, "exponent": 5.0}, Log(0.02)),
    "no weight decay in the search": ({"decay": 0.0}, Log(0.02)),
}

#: Seeds that a variant needs to be told of.
LEAST = 3

COMMAND = "python -m figures.mask_variants run; python -m figures.mask_variants gather"

#: By data set: densities, epochs of the search, and what its plays have in common.
GROUNDS: dict[str, tuple[tuple[float, ...], int, dict[str, Any]]] = {
    "mnist": ((0.02, 0.005), 2, {"epochs": 5, "weight_decay": 5e-4}),
    "digits": ((0.01, 0.005), 20, {"epochs": 20, "weight_decay": 5e-4}),
}
ROWS = Path(os.environ.get("FIGURES_RUNS", "runs")) / "mask_variants.jsonl"


def make(ground: str, seeds: Sequence[int], names: Sequence[str], minutes: float = math.inf) -> None:
    """Play the variants that are missing, seed by seed; every row is stored at once."""
    from nets.data import load

    begun = time.monotonic()
    densities, epochs, common = GROUNDS[ground]
    done = {(r["data"], r["variant"], r["density"], r["seed"]) for r in rows()}
    for seed in seeds:
        # on digits the held-out part is small: every seed holds out others
        data_seed = seed if ground == "digits" else 0
        data = load(ground, seed=data_seed)
        training = Training.usual(ground, **common)
        for name in names:
            finished = all((ground, name, density, seed) in done for density in densities)
            if finished or time.monotonic() - begun > 60 * minutes:
                continue
            changes, penalty = VARIANTS[name]
            start, fresh = time.monotonic(), []
            given: dict[str, Any] = {"seed": seed, "training": training}
            tickets = find_tickets(
                "lenet-300-100", data, method_of(Variant(**changes)), densities=densities,
                penalty=penalty, epochs=epochs, **given,
            )  # fmt: skip
            for density, ticket in zip(densities, tickets):
                trained = retrain(ticket, "lenet-300-100", data, **given)
                fresh.append(
                    {
                        "data": ground,
                        "variant": name,
                        "density": density,
                        "seed": seed,
                        "validation": trained.validation_accuracy,
                        "test": trained.test_accuracy,
                    }
                )
            for row in fresh:
                seed_rows.append(ROWS, row)
            told = " ".join(f"{100 * row['validation']:.2f}" for row in fresh)
            print(f"{ground} seed {seed}, {name}: {told} ({time.monotonic() - start:.0f} s)", flush=True)


def rows() -> list[dict[str, Any]]:
    """Return the rows of the runs here, and those stored of others."""
    every = [*stored.read("mask_variants")["rows"], *seed_rows.stored(ROWS)]
    return list({(r["data"], r["variant"], r["density"], r["seed"]): r for r in every}.values())


def gather() -> dict[str, Any]:
    """Return the rows, in the order of the variants."""
    order = list(VARIANTS)
    found = [row for row in rows() if row["variant"] in order]
    found.sort(key=lambda r: (r["data"], order.index(r["variant"]), -r["density"], r["seed"]))
    return {"model": "lenet-300-100", "torch": version("torch"), "rows": found}


def table(data: dict[str, Any], ground: str) -> str:
    """Return for every variant its difference to the default, paired over seeds, as Markdown: validation."""
    from figures.front import paired

    here = [r for r in data["rows"] if r["data"] == ground]
    densities = sorted({r["density"] for r in here}, reverse=True)

    def of(name: str, density: float) -> dict[int, float]:
        return {
            r["seed"]: 100 * r["validation"] for r in here if (r["variant"], r["density"]) == (name, density)
        }

    heads = " | ".join(f"{100 * d:g}%" for d in densities)
    lines = [f"| variant | {heads} | seeds |", "| --- |" + " --- |" * (len(densities) + 1)]
    first, *others = dict.fromkeys(r["variant"] for r in here)
    cells = [f"{statistics.fmean(of(first, d).values()):.2f}" for d in densities]
    lines.append(f"| {first} | {' | '.join(cells)} | {len(of(first, densities[0]))} |")
    for name in others:
        found = [paired(of(name, d), of(first, d)) for d in densities]
        if min(n for _, _, n in found) >= LEAST:
            cells = [f"{mean:+.2f} ± {half:.2f}" for mean, half, _ in found]
            escaped = name.replace("|", "\\|")
            lines.append(f"| {escaped} | {' | '.join(cells)} | {found[0][2]} |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("act", choices=("run", "gather", "table"))
    parser.add_argument("data", nargs="?", default="digits", choices=tuple(GROUNDS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=math.inf, help="nothing is begun after these")
    given = parser.parse_args()
    if given.act == "run":
        make(given.data, range(given.seeds), list(VARIANTS), given.minutes)
    elif given.act == "gather":
        print(stored.write("mask_variants", gather(), 0.0, COMMAND))
    else:
        print(table(stored.read("mask_variants"), given.data))
