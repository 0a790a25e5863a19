"""What the paper's abstract and this project's README claim, each beside what the stored results say of it.

`python -m figures.tables` writes the page; nothing of a verdict, an effect or an interval is typed by hand.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from benchmarks import seed_rows
from figures import controls, front, stored

Values = Mapping[Any, float]


@dataclass(frozen=True)
class Effect:
    """A difference with its interval, in the claim's favour where positive.

    Parameters
    ----------
    where : str
        Density, kind of problem, ...
    mean, half : float
        Mean of the paired differences and half width of its 95% interval.
    n : int
        Pairs.
    """

    where: str
    mean: float
    half: float
    n: int

    @property
    def word(self) -> str:
        """What it says of the claim."""
        if self.n < 2 or not abs(self.mean) > self.half:
            return "not shown"
        return "holds" if self.mean > 0 else "refuted"


@dataclass(frozen=True)
class Claim:
    """A claim, who makes it, and what was measured.

    Parameters
    ----------
    text : str
        The claim in one sentence.
    source : str
        "paper" or "README".
    ground : str
        What it was tried on; a general claim that holds there "holds here only".
    unit : str
        Of the effects.
    effects : sequence of Effect
        One for every place it was tried at; none: it was not tried.
    command : str
        Makes the results.
    general : bool
        Whether it claims more than the ground.
    """

    text: str
    source: str
    ground: str
    unit: str
    effects: Sequence[Effect]
    command: str
    general: bool = True

    @property
    def verdict(self) -> str:
        """Return the verdict, place by place where places differ."""
        if not self.effects:
            return "not shown: not tried"
        words = {word: [e.where for e in self.effects if e.word == word] for word in WORDS}
        found = {word: places for word, places in words.items() if places}
        named = {"holds": "holds here only" if self.general else "holds"}
        if len(found) == 1:
            return named.get(next(iter(found)), next(iter(found)))
        return "; ".join(f"{named.get(word, word)} at {', '.join(places)}" for word, places in found.items())


WORDS = ("holds", "refuted", "not shown")

#: Methods that prune before training.
BEFORE = ("snip", "grasp", "synflow")


def effect(where: str, first: Values, second: Values) -> Effect:
    """Return first minus second over their common pairs."""
    return Effect(where, *front.paired(first, second))


def claims() -> list[Claim]:
    """Return all claims, the paper's first."""
    found = [*_convex(), *_networks(), *_second_ground(), *_paper_algorithm()]
    return [*found, *_mechanism(), *_tickets(), *_not_tried()]


def _convex() -> list[Claim]:
    data = stored.read("log_against_l1")
    command = "python -m figures --recompute log_against_l1"
    ground = f"{data['draws']} random masks of {data['k']} in {data['d']} a row, lam by fresh samples"

    def effects(field: str) -> list[Effect]:
        return [
            effect(name, *(dict(enumerate(rules["validation"][p][field])) for p in ("l1", "log")))
            for name, rules in data["grounds"].items()
        ]

    rows = data["bounds"]["rows"]
    bounds = data["bounds"]
    by = {(r["theorem"], r["penalty"], r["lam"], r["draw"]): r for r in rows}
    tighter, loose = [], []
    for theorem in ("T2", "T4"):
        l1, log = ({k[2:]: r for k, r in by.items() if k[:2] == (theorem, name)} for name in ("l1", "log"))
        speaks = [k for k in l1 if l1[k]["bound"] is not None and log[k]["bound"] is not None]
        draws = sorted({k[1] for k in speaks})
        first, second = (
            {d: fmean(side[k]["bound"] for k in speaks if k[1] == d) for d in draws} for side in (l1, log)
        )
        tighter.append(effect(theorem, first, second))
        ratio = median(log[k]["measured"] / log[k]["bound"] for k in speaks)
        loose.append(f"{theorem} {ratio:.2f}")
    return [
        Claim(
            "In the convex setting a concave penalty comes nearer to the target mask than l1.",
            "paper", ground, "distance", effects("error"), command, general=False,
        ),
        Claim(
            "It does so with fewer nonzero entries.",
            "paper", ground, "entries", effects("support"), command, general=False,
        ),
        Claim(
            "Its error bound is smaller than that of l1. (Measured over bound, median: "
            + ", ".join(loose) + ".)",
            "paper",
            f"{data['draws']} draws, n = {bounds['n']}, d = {bounds['d']}, three lam, log({bounds['eps']:g})",
            "bound", tighter, command, general=False,
        ),
    ]  # fmt: skip


def _compared(name: str) -> Callable[[str, float], dict[int, float]]:
    """Return (method, density) -> test accuracy in % by seed, of a stored comparison."""
    record = json.loads((stored.RESULTS / f"{name}.json").read_text())
    rows = record["results"] if "results" in record else record["data"]["rows"]

    def by_seed(method: str, density: float) -> dict[int, float]:
        return {
            r["seed"]: 100 * r["test_accuracy"]
            for r in rows
            if r["method"] == method
            and (method == "dense" or r.get("asked_density", r["density"]) == density)
        }

    return by_seed


def _networks() -> list[Claim]:
    five, all_methods = _compared("mnist_lenet_300_100"), _compared("mnist_all_methods")
    rows = stored.read("front")["rows"]
    ground = "MNIST, LeNet-300-100, 5 epochs a training"
    first = "lottery compare --data mnist --weight-decay 0.0005"
    second = "python -m figures --recompute mnist_all_methods"
    lower = (0.05, 0.02, 0.01)
    lowest = (*lower, 0.005)

    def against(other: str, run: Any, densities: Sequence[float], margin: float = 0.0) -> list[Effect]:
        return [
            effect(f"{100 * d:g}%", {k: v + margin for k, v in run("concave", d).items()}, run(other, d))
            for d in densities
        ]

    def for_no_more(other: str, budget: float) -> list[Effect]:
        pairs = [(d, *front.at_equal_cost(rows, other, d, budget)) for d in front.GROUNDS["mnist"].densities]
        return [
            effect(f"{100 * d:g}%", ours.test, theirs.test) for d, ours, theirs in pairs if ours and theirs
        ]

    cheaper = []
    for density in front.GROUNDS["mnist"].densities:
        theirs = front.within(front.points(rows, "imp", density), 200)
        budget = 0.0 if theirs is None else theirs.cost / 5
        ours = front.within(front.points(rows, "concave", density), budget)
        if ours is not None and theirs is not None:
            cheaper.append(
                effect(f"{100 * density:g}%", {k: v + 0.3 for k, v in ours.test.items()}, theirs.test)
            )
    ran = "python -m figures --recompute front"
    return [
        *(
            Claim(
                "Concave masks find better tickets than iterative magnitude pruning, for no more search, "
                f"up to {budget} epochs.",
                "paper", ground, "points", for_no_more("imp", budget), ran,
            )
            for budget in front.BUDGETS[1:]
        ),
        Claim(
            "They come within 0.3 points of it for at most a fifth of its search.",
            "README", f"{ground}; effect: difference + 0.3", "points", cheaper,
            ran, general=False,
        ),
        *(
            Claim(
                f"They find better tickets than {peer} for the same search.",
                "paper", ground, "points", for_no_more(peer, front.BUDGETS[0]), ran,
            )
            for peer in ("gmp", "continuous-sparsification", "soft-threshold", "magnitude", "rigl")
        ),
        *(
            Claim(
                f"They find better tickets than {peer} for the same search.",
                "paper", ground, "points", against(peer, all_methods, lowest), second,
            )
            for peer in ("l0", "pilot")
        ),
        Claim(
            "They find better tickets than pruning before training (the best of snip, grasp, synflow).",
            "paper", ground, "points",
            [
                against(max(BEFORE, key=lambda m: fmean(all_methods(m, d).values())), all_methods, (d,))[0]
                for d in lowest
            ],
            second,
        ),
        Claim(
            "The log penalty finds better tickets than l1.",
            "paper", ground, "points", against("l1", five, lower), first,
        ),
        Claim(
            "Their tickets match the dense network within half a point.",
            "paper", f"{ground}; effect: difference + 0.5", "points",
            against("dense", five, lower, margin=0.5), first,
        ),
    ]  # fmt: skip


def _second_ground() -> list[Claim]:
    """Return what is claimed against other methods, on CIFAR-10 at equal cost."""
    try:
        data = stored.read(front.stored_name("cifar10"))
    except FileNotFoundError:
        return []
    ground = front.GROUNDS["cifar10"]
    found = []
    for other in ("imp", "gmp", "l1", "magnitude"):
        effects = []
        for density in ground.densities:
            own = front.points(data["rows"], "concave", density)
            theirs = front.points(data["rows"], other, density)
            if own and theirs:
                # of the other the cheapest setting that costs at least as much as our cheapest
                dear = [p for p in theirs if p.cost >= own[0].cost] or theirs[-1:]
                effects.append(effect(f"{100 * density:g}%", own[0].test, dear[0].test))
        if any(e.n > 1 for e in effects):
            text = f"They find better tickets than {other} that searches at least as long."
            tried = f"CIFAR-10, {ground.network}, {ground.common['epochs']} epochs a training"
            ran = "python -m figures.front run cifar10"
            found.append(Claim(text, "paper", tried, "points", effects, ran))
    return found


def _paper_algorithm() -> list[Claim]:
    from figures import paper_algorithm

    try:
        data = stored.read("paper_algorithm")
    except FileNotFoundError:
        return []
    found = []
    for ground in dict.fromkeys(row["data"] for row in data["rows"]):
        asked = [row for row in data["rows"] if row["data"] == ground and row["asked"] is not None]
        for form in dict.fromkeys(row["form"] for row in asked):
            effects = [
                effect(where, *sides)
                for where, sides in paper_algorithm.pairs(data, ground, form, "test_accuracy")
            ]
            if any(e.n > 1 for e in effects):
                text = f"In the paper's own algorithm ({form}) log finds better tickets than l1."
                ran = "python -m figures.paper_algorithm run"
                network = front.GROUNDS.get(ground, front.GROUNDS["mnist"]).network
                found.append(Claim(text, "paper", f"{ground}, {network}", "points", effects, ran))
    return found


def _mechanism() -> list[Claim]:
    data = stored.read("mechanism")
    ground, command = "digits, LeNet-300-100, 2%", "python -m figures --recompute mechanism"
    last, cut = (
        {name: dict(enumerate(100 * v for v in values)) for name, values in by_penalty.items()}
        for by_penalty in ({n: [r[-1] for r in runs] for n, runs in data["transition"].items()}, data["cut"])
    )
    return [
        Claim(
            "The concave penalty leaves fewer entries of the mask between 0.05 and 0.95 than l1.",
            "paper", ground, "% of the mask", [effect("2%", last["l1"], last["log(0.02)"])], command,
        ),
        Claim(
            "So its cut to a binary mask costs less accuracy.",
            "README", ground, "points", [effect("2%", cut["l1"], cut["log(0.02)"])], command,
        ),
    ]  # fmt: skip


def _tickets() -> list[Claim]:
    """Return what makes a ticket of a mask, on digits."""
    rows = seed_rows.stored(controls.FILE)
    texts = {
        "reinitialise": "Their tickets need their initial weights: newly drawn ones end lower.",
        "shuffle": "Their masks are more than densities of layers: shuffled within layers they end lower.",
    }
    found = []
    for control, text in texts.items():
        effects = [
            effect(
                f"{100 * density:g}%",
                *(controls.by_seed(rows, density, "concave", field) for field in ("ticket", control)),
            )
            for density in controls.DENSITIES
        ]
        ground, command = "digits, LeNet-300-100", "python -m figures.controls"
        found.append(Claim(text, "paper", ground, "points", effects, command))
    return found


def _not_tried() -> list[Claim]:
    card = "python benchmarks/gpu_evidence.py"
    return [
        Claim(
            "Concave masks improve on the state of the art on ResNet-20 and VGG-16, CIFAR-10 and CIFAR-100.",
            "paper", "no machine with a GPU yet", "", [], card,
        )
    ]  # fmt: skip


def table() -> str:
    """Return the claims as Markdown."""
    lines = [
        "| claim | source | verdict | effect, 95% interval | pairs | tried on | command |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for claim in claims():
        told = "; ".join(f"{e.where}: {e.mean:+.2f} ± {e.half:.2f}" for e in claim.effects if e.n > 1)
        pairs = sorted({e.n for e in claim.effects})
        count = "" if not pairs else f"{pairs[0]}" if len(pairs) == 1 else f"{pairs[0]} to {pairs[-1]}"
        unit = f" {claim.unit}" if told else ""
        cells = (claim.text, claim.source, f"**{claim.verdict}**", told + unit, count, claim.ground)
        lines.append(f"| {' | '.join(cells)} | `{claim.command}` |")
    return "\n".join(lines)
