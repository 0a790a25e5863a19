"""Ways to search: at once before training, in rounds of training and rewinding, by scores that one trains."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from nets.configuration import Scalar, Training
from nets.masking.course import MaskHook, Setting, SparseTraining
from nets.masking.curves import ENTRIES, traced
from nets.masking.scored_mask import ScoredMask
from nets.masking.selection import select
from nets.search import Found, Search
from nets.search.criteria import Criterion
from nets.training.loop import Hook, Loop


class Snapshot(Hook):
    """Keep a copy of the network as it is after a given step."""

    state = ("weights",)

    def __init__(self, step: int) -> None:
        self.step = step
        self.weights: dict[str, Tensor] = {}

    def after_step(self, loop: Loop) -> None:
        """Copy the network at the step asked for."""
        if loop.step == self.step:
            self.weights = loop.flat.snapshot()


def scored_mask(
    setting: Setting, density: float, criterion: Criterion, distribution: str = "global", pooling: str = "sum"
) -> SparseTraining:
    """Return the hook that trains under the mask of highest scores, of the network as it stands."""
    scores = criterion(setting)
    return SparseTraining(select(scores, setting.layout, setting.count(density), distribution, pooling))


def one_shot(
    search: Search, criterion: Criterion, distribution: str = "global", pooling: str = "sum"
) -> Iterator[Found]:
    """Score once, at the weights the ticket is rewound to, and cut to every density asked for.

    `pooling`: see `nets.masking.selection.select`.
    """
    search.flat.load(search.rewound())
    scores = criterion(search)
    for density in search.densities:
        mask = select(scores, search.layout, search.count(density), distribution, pooling)
        yield search.found(mask, density)


#: What is rewound between two rounds: the weights (Frankle, Carbin 2019), only the learning rate (Renda,
#: Frankle, Carbin 2020), or nothing (fine-tuning; Han et al. 2015).
REWINDING = ("weights", "learning-rate", "fine-tuning")


def in_rounds(
    search: Search,
    criterion: Criterion,
    keep: float = 0.8,
    distribution: str = "global",
    rewinding: str = "weights",
    fine_tune: float = 0.1,
    pooling: str = "sum",
) -> Iterator[Found]:
    """Train, keep the share `keep` of highest score, rewind the survivors, train again, and so on.

    Parameters
    ----------
    search : Search
        The search.
    criterion : callable
        What the weights are ranked by.
    keep : float
        Share that survives a round.
    distribution : str
        See `nets.masking.selection.select`.
    rewinding : str
        "weights": survivors and schedule go back to step `search.rewind`; "learning-rate": the schedule does,
        the survivors keep their trained values; "fine-tuning": they are trained on at a constant small rate.
    fine_tune : float
        That rate as a share of the peak learning rate.
    pooling : str
        See `nets.masking.selection.select`.

    Round r trains at density keep**r. A density between two rounds is cut directly from the last training
    above it, so a ticket is the same whether its density is searched alone or along one chain with others.
    """
    if not 0 < keep < 1:
        raise ValueError(f"keep must be in (0, 1), got {keep!r}")
    if rewinding not in REWINDING:
        raise ValueError(f"rewinding must be one of {', '.join(REWINDING)}, got {rewinding!r}")
    if not 0 < fine_tune <= 1:
        raise ValueError(f"fine_tune must be in (0, 1], got {fine_tune!r}")
    training, start = search.training, search.rewind
    if rewinding == "fine-tuning":
        training, start = fine_tuning(training, fine_tune), 0
    pending = list(search.densities)
    mask: Tensor | None = None
    rewound = search.initial
    snapshot = Snapshot(search.rewind)
    number = 0
    while pending:
        if mask is None:
            search.train(*([snapshot] if search.rewind else []))
            rewound = snapshot.weights if search.rewind else search.initial
        else:
            search.train(SparseTraining(mask), weights=rewound, training=training, start=start)
        if rewinding != "weights":
            rewound = search.flat.snapshot()
        number += 1
        scores = criterion(search).to(torch.float64)
        if mask is not None:
            scores.masked_fill_(~mask, -torch.inf)
        following = round(keep**number * search.layout.whole)
        while pending and search.count(pending[0]) >= following:
            density = pending.pop(0)
            chosen = select(scores, search.layout, search.count(density), distribution, pooling)
            tuned = fine_tune if rewinding == "fine-tuning" else 0.0
            report = {"rounds": number}
            yield search.found(chosen, density, weights=rewound, report=report, fine_tune=tuned)
        if pending:
            mask = select(scores, search.layout, following, distribution, pooling)


def refuse_rewinding(rewinding: str) -> None:
    """Raise ValueError unless a search of one training can do this: rewind weights, or the rate alone."""
    if rewinding not in REWINDING[:2]:
        raise ValueError(f"rewinding must be one of {', '.join(REWINDING[:2])}, got {rewinding!r}")


def fine_tuning(training: Training, share: float) -> Training:
    """Return the training at a constant rate, `share` of its peak."""
    return replace(training, schedule="constant", lr=training.lr * share, warm_up=0.0)


def append_curves(trace: dict[str, list[float]], more: Mapping[str, list[float]], offset: int) -> None:
    """Append the curves of a round to those of the rounds before, its steps counted on."""
    for name, values in more.items():
        if name == ENTRIES:  # no curve: how the mask ended
            trace[name] = list(values)
            continue
        shift = offset if name == "step" else 0
        trace.setdefault(name, []).extend(value + shift for value in values)


def rounds_needed(density: float, keep: float) -> int:
    """Return the number of trainings that `in_rounds` makes for a density."""
    number = 1
    while keep**number > density * (1 + 1e-12):
        number += 1
    return number


def cut(
    search: Search, loop: Loop, hook: MaskHook, count: int
) -> tuple[Tensor, dict[str, Scalar], dict[str, list[float]]]:
    """Return the binary mask, and the task's metric of the relaxed and of the cut network.

    Parameters
    ----------
    search : Search
        The search; its network sees its own weights again afterwards.
    loop : Loop
        The training that has just finished.
    hook : MaskHook
        It trained the mask.
    count : int
        Weights that are kept.

    Returns
    -------
    mask : Tensor
        Boolean, shape (n,).
    report : dict
        relaxed_accuracy, cut_accuracy (both of the validation part, named by the task's metric), cut_loss (by
        how much the cut is worse), mean_mask, lam.
    trace : dict
        Curves of the training, and a histogram of the relaxed mask ("entries").
    """
    flat = search.flat
    final = hook.final(loop)
    hook.show(loop, final)
    relaxed = search.evaluated()
    mask = hook.cut(loop, count)
    hook.show(loop, mask)
    after = search.evaluated()
    report: dict[str, Scalar] = {}
    if relaxed is not None and after is not None:
        metric = relaxed.metric
        report = {
            metric.column("relaxed"): relaxed.score,
            metric.column("cut"): after.score,
            "cut_loss": metric.gain(relaxed.score, after.score),
        }
    whole = search.whole(final)
    report |= {"lam": hook.lam, "mean_mask": float(whole.mean())}
    flat.unite()
    return mask, report, traced(hook, whole)


def find_by_scores(
    search: Search,
    hook: Callable[[float], ScoredMask],
    rounds: int = 1,
    again: Callable[[ScoredMask, float, float], ScoredMask] | None = None,
) -> list[Found]:
    """Train a scored mask for every density and keep the weights that rank highest.

    Parameters
    ----------
    search : Search
        The search. Where the hook freezes the weights they are the rewound ones, not decayed.
    hook : callable
        Makes the hook for a density; the network stands at its initial weights.
    rounds : int
        Trainings, each going on from the weights of the last; round k of R ends at the density p^(k/R) for a
        density p asked for.
    again : callable, optional
        For more rounds than one: makes the hook of a round from that of the last, the density at which it
        begins and that at which it ends.
    """

    def one(density: float) -> Found:
        search.flat.load(search.initial)
        scored = hook(density ** (1 / rounds))
        training, weights = search.training, None
        if scored.freeze:
            training, weights = replace(training, weight_decay=0.0), search.rewound()
        loop = search.train(scored, weights=weights, training=training, teacher=scored.teacher)
        trace: dict[str, list[float]] = {}
        for number in range(2, rounds + 1):
            assert again is not None
            append_curves(trace, scored.trace, loop.steps * (number - 2))
            weights = search.flat.snapshot()
            scored = again(scored, density ** ((number - 1) / rounds), density ** (number / rounds))
            loop = search.train(scored, weights=weights, training=training, teacher=scored.teacher)
        mask, report, curves = cut(search, loop, scored, search.count(density))
        append_curves(trace, curves, loop.steps * (rounds - 1))
        if rounds > 1:
            report["rounds"] = rounds
        return search.found(mask, density, report=report, trace=trace)

    return search.each(one)
