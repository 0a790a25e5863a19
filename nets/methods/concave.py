"""Tickets by a concave regulariser: a relaxed mask trained with the weights, in one training or in rounds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from concave_sparsity import L1, Penalty
from nets.configuration import Scalar
from nets.granularity.channels import Channels
from nets.granularity.names import KINDS
from nets.masking.course import Setting, SparseTraining
from nets.masking.laws import (
    Clipped,
    DualAscent,
    Given,
    Law,
    Quantile,
    Relaxation,
    Sigmoid,
    Slopes,
    usual_start,
)
from nets.masking.relaxed_mask import RelaxedMask
from nets.masking.trained_mask import GradientUpdate, ProximalUpdate, TrainedMask, Update
from nets.methods.method import Method, Option
from nets.search import Found, Search
from nets.search.rounds import append_curves, cut, refuse_rewinding
from nets.training.loop import Hook, Loop

RELAXATIONS = ("clipped", "sigmoid")
UPDATES = ("auto", "curvature", "gradient", "proximal")
LAWS = ("quantile", "dual-ascent")

OPTIONS = (
    Option("update", "auto", "curvature, gradient or proximal; auto: curvature where it applies"),
    Option("relaxation", "clipped", "clipped or sigmoid (gradient update only)"),
    Option("lam", 0.0, "weight of the penalty: the density follows; 0: lam is steered to the density"),
    Option("threshold", 0.5, "where lam is given: the ticket keeps the entries above it"),
    Option("law", "quantile", "how gradient and proximal steer lam: quantile or dual-ascent"),
    Option("warm_up", 0.0, "share of the training before the mask begins to move"),
    Option("descent", 0.8, "share of the training over which the target density falls"),
    Option("interval", 10, "steps between two updates of lam (curvature: of the mask, too)"),
    Option("memory", 0.02, "share of the training over which curvature averages squared gradients"),
    Option("gain_memory", 0.1, "share of it over which gradient and proximal average -dL/dm"),
    Option("optimiser", "momentum", "of the mask in gradient and proximal: sgd, momentum or adam"),
    Option("step", 0.0, "its peak step size; 0: measured (sgd, momentum) or 0.05 (adam)"),
    Option("start", 0.0, "initial entry in gradient and proximal; 0: 1, or less where the penalty is flat"),
    Option("temperature", 0.1, "of the sigmoid at the end of the training; it falls from 1"),
    Option("reweight", "step", "gradient takes r'(m) anew every step or every epoch"),
    Option("trained", "joint", "gradient and proximal train joint, alternating, or the mask alone"),
    Option("period", 10, "steps of a turn of the alternating training"),
    Option("rounds", 1, "trainings: each extracts a sparser network and rewinds the survivors"),
    Option("warm_up_in_rounds", 0.5, "curvature: warm_up of every round where there are several"),
    Option("rewinding", "weights", "what goes back: weights, or the learning-rate alone (they stay trained)"),
    Option("preset", "", "named options, for those left at their defaults: paper or paper-steered"),
)

#: The algorithm as the paper writes it: projected gradient steps on mask and weights together, lam given, the
#: entries above a threshold survive, are rewound and trained again; "paper-steered" leads lam to the density.
PRESETS: dict[str, dict[str, Scalar]] = {
    "paper": {"update": "gradient", "optimiser": "sgd", "rounds": 3, "lam": 1e-4},
    "paper-steered": {"update": "gradient", "optimiser": "sgd", "rounds": 3},
}

#: Options that an update has besides those that all have.
_OWN = ("law", "gain_memory", "optimiser", "step", "start", "temperature", "reweight", "trained", "period")


def find(search: Search) -> Iterable[Found]:
    """Train mask and weights with the penalty of the search."""
    if search.penalty is None:
        raise ValueError('method "concave" needs a penalty, e.g. Log(0.02)')
    return find_with(search, search.penalty)


def mask(setting: Setting, density: float) -> RelaxedMask | TrainedMask:
    """Return the hook that trains the mask, under the penalty of the setting."""
    if setting.penalty is None:
        raise ValueError('method "concave" needs a penalty, e.g. Log(0.02)')
    return mask_with(setting, setting.penalty, density)


def mask_with(setting: Setting, penalty: Penalty, density: float) -> RelaxedMask | TrainedMask:
    """Return the hook that trains the mask under a penalty."""
    _refuse(setting)
    return relaxed_mask(with_preset(setting.options), penalty, density)


def _refuse(setting: Setting) -> None:
    o, groups = with_preset(setting.options), setting.layout.groups
    if follows(o) and groups.fixed:
        raise ValueError(f"granularity {groups.name} fixes the density: leave lam={o['lam']:g} out")
    if isinstance(groups, Channels) and (follows(o) or chosen_update(o) != "curvature"):
        raise ValueError(
            "granularity channel prices units by their curvature, and lam is steered: leave the options lam, "
            "update and relaxation at their defaults"
        )


def find_with(search: Search, penalty: Penalty) -> Iterable[Found]:
    """Train mask and weights, extract the sparse network, rewind; in rounds, go on with the survivors.

    Round k of R ends at the density p^(k/R) for a density p asked for; a given lam decides it by itself. By
    curvature a round waits with its pruning (`warm_up_in_rounds`): what the weights of a small network are
    worth shows only once they have been trained, not where they have just been rewound to.
    """
    o = with_preset(search.options)
    if o["rounds"] < 1:
        raise ValueError(f"rounds must be at least 1, got {o['rounds']!r}")
    if o["rounds"] > 1 and chosen_update(o) == "curvature":
        if not 0 <= o["warm_up_in_rounds"] < o["descent"]:
            raise ValueError(
                f"warm_up_in_rounds must be at least 0 and less than descent, {o['descent']!r}, "
                f"got {o['warm_up_in_rounds']!r}"
            )
        o = {**o, "warm_up": max(o["warm_up"], o["warm_up_in_rounds"])}
    refuse_rewinding(o["rewinding"])
    _refuse(search)

    def one(density: float) -> Found:
        alive: Tensor | None = None
        origin = 1.0
        trace: dict[str, list[float]] = {}
        weights: dict[str, Tensor] | None = None
        for number in range(1, o["rounds"] + 1):
            aim = density ** (number / o["rounds"])
            count = max(search.count(density), round(aim * search.layout.whole))
            hook = relaxed_mask(o, penalty, aim, alive=alive, origin=origin)
            loop = _train(search, hook, alive, weights)
            alive, report, curves = _extract(search, loop, hook, count)
            weights = search.flat.snapshot() if o["rewinding"] != "weights" else None
            append_curves(trace, curves, loop.steps * (number - 1))
            origin = search.layout.groups.report(alive).get("flops_density", int(alive.sum()) / search.n)
        assert alive is not None
        if o["rounds"] > 1:
            report["rounds"] = o["rounds"]
        if follows(o):
            report["density_follows"] = True
        exact = not follows(o)
        return search.found(alive, density, weights=weights, report=report, trace=trace, exact=exact)

    return search.each(one)


def follows(options: Mapping[str, Any]) -> bool:
    """Tell whether the density follows from a lam that is given."""
    return bool(with_preset(options)["lam"])


def cost(density: float, epochs: float, options: Mapping[str, Any]) -> float:
    """Return the epochs of a search."""
    return float(epochs * with_preset(options)["rounds"])


def _train(
    search: Search,
    hook: RelaxedMask | TrainedMask,
    alive: Tensor | None,
    weights: dict[str, Tensor] | None,
) -> Loop:
    """Train once: from the initial weights at first, later the survivors from where they are rewound to."""
    hooks: list[Hook] = [] if alive is None else [SparseTraining(alive)]
    training = search.training
    alone = isinstance(hook, TrainedMask) and hook.trained == "mask"
    if alone:
        training = replace(training, weight_decay=0.0)
    if alive is None and not alone:
        return search.train(hook, training=training)
    weights = search.rewound() if weights is None else weights
    return search.train(*hooks, hook, weights=weights, training=training, start=search.rewind)


def _extract(
    search: Search, loop: Loop, hook: RelaxedMask | TrainedMask, count: int
) -> tuple[Tensor, dict[str, Scalar], dict[str, list[float]]]:
    """Cut the mask to the count, or where lam is given at the threshold; tell what that costs."""
    mask, report, curves = cut(search, loop, hook, count)
    relaxed = search.whole(hook.final(loop) > 0.5)
    report["relaxed_density"] = float(relaxed.to(torch.float64).mean())
    return mask, report, curves


def with_preset(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the options with those of their preset in place of defaults.

    Raises
    ------
    ValueError
        If the preset is unknown.
    """
    name = options.get("preset")
    if not name:
        return options
    if name not in PRESETS:
        raise ValueError(f"preset must be one of {', '.join(PRESETS)}, got {name!r}")
    defaults = {option.name: option.default for option in OPTIONS}
    left = {key: value for key, value in PRESETS[name].items() if options[key] == defaults[key]}
    return {**options, **left}


def relaxed_mask(
    options: Mapping[str, Any],
    penalty: Penalty,
    density: float,
    *,
    alive: Tensor | None = None,
    origin: float = 1.0,
) -> RelaxedMask | TrainedMask:
    """Return the hook that the options describe.

    Parameters
    ----------
    options : mapping
        Values of `OPTIONS`.
    penalty : Penalty
        r.
    density : float
        Density to reach, unless lam is given.
    alive : Tensor, optional
        Boolean, shape (n,): entries outside are zero and stay so.
    origin : float
        Density from which the density wanted falls.

    Raises
    ------
    ValueError
        If an option has an unknown value, or two options do not go together.
    """
    update = chosen_update(options)
    shared = {name: options[name] for name in ("warm_up", "descent", "interval", "threshold")}
    shared |= {"alive": alive, "origin": origin}
    if update == "curvature":
        for option in OPTIONS:
            if option.name in _OWN and options[option.name] != option.default:
                raise ValueError(
                    f"option {option.name} belongs to the updates gradient and proximal, "
                    f"got {options[option.name]!r} with curvature"
                )
        return RelaxedMask(penalty, density, memory=options["memory"], lam=options["lam"], **shared)
    lr = options["step"]
    stepping: Update = (
        GradientUpdate(lr, options["optimiser"])
        if update == "gradient"
        else ProximalUpdate(penalty, lr, options["optimiser"])
    )
    relaxation: Relaxation = (
        Clipped() if options["relaxation"] == "clipped" else Sigmoid(options["temperature"])
    )
    if options["reweight"] != "step" and update != "gradient":
        raise ValueError(
            f"the {update} update takes the penalty itself, not its tangents: "
            f"option reweight={options['reweight']} belongs to update=gradient"
        )
    law: Law
    if options["law"] not in LAWS:
        raise ValueError(f"law must be one of {', '.join(LAWS)}, got {options['law']!r}")
    if options["lam"]:
        law = Given(options["lam"])
    else:
        law = Quantile() if options["law"] == "quantile" else DualAscent()
    return TrainedMask(
        relaxation,
        Slopes(penalty, options["reweight"]),
        stepping,
        law,
        density=density,
        start=options["start"] or usual_start(penalty),
        memory=options["gain_memory"],
        trained=options["trained"],
        period=options["period"],
        **shared,
    )


def chosen_update(options: Mapping[str, Any]) -> str:
    """Return "curvature", "gradient" or "proximal".

    Raises
    ------
    ValueError
        If a value is unknown, or the update does not go with the relaxation.
    """
    update, relaxation = options["update"], options["relaxation"]
    if relaxation not in RELAXATIONS:
        raise ValueError(f"relaxation must be one of {', '.join(RELAXATIONS)}, got {relaxation!r}")
    if update not in UPDATES:
        raise ValueError(f"update must be one of {', '.join(UPDATES)}, got {update!r}")
    if relaxation == "sigmoid":
        if update not in ("auto", "gradient"):
            raise ValueError(f"a sigmoid is trained by gradients: update must be gradient, got {update!r}")
        return "gradient"
    if update == "auto":
        return "proximal" if options["lam"] else "curvature"
    return str(update)


CONCAVE = Method(
    name="concave",
    summary="relaxed mask with a concave penalty, trained with the weights, lam steered to the density",
    reference="Fracastoro et al., Playing the lottery with concave regularizers, IEEE TNNLS 2024",
    find=find,
    mask=mask,
    cost=cost,
    needs=("penalty",),
    options=OPTIONS,
    density_follows=follows,
    granularities=KINDS,
    revision=2,
)


def find_l1(search: Search) -> Iterable[Found]:
    """Train mask and weights jointly with the l1 penalty."""
    return find_with(search, L1())


L1_MASK = Method(
    name="l1",
    summary="relaxed mask with the l1 penalty, otherwise as concave",
    reference="Fracastoro et al., IEEE TNNLS 2024 (baseline)",
    find=find_l1,
    mask=lambda setting, density: mask_with(setting, L1(), density),
    cost=cost,
    options=OPTIONS,
    density_follows=follows,
    granularities=KINDS,
    revision=2,
)
