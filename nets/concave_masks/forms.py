"""Which forms of the relaxed mask there are, and how one is put together from the options of a method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from concave_sparsity import Penalty
from nets.concave_masks.laws import DualAscent, Given, Law, Quantile
from nets.concave_masks.relaxations import Clipped, Relaxation, Sigmoid
from nets.concave_masks.slopes import Slopes, usual_start
from nets.concave_masks.trained_mask import TrainedMask
from nets.concave_masks.updates import GradientUpdate, ProximalUpdate, Update
from nets.configuration import Scalar
from nets.methods.method import Option
from nets.relaxed_mask import RelaxedMask

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
