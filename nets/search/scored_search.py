"""Tickets from masks that are trained: rank the scores, cut to the exact count, say what the cut costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from nets.configuration import Scalar
from nets.masking.course import MaskHook
from nets.masking.curves import traced
from nets.masking.scored_mask import ScoredMask
from nets.search import Found, Search
from nets.search.rounds import append_curves
from nets.training.loop import Loop


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
