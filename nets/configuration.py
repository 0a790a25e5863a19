"""What to run, as frozen dataclasses of plain values: this module imports no torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from concave_sparsity.penalty_text import penalty_text
from concave_sparsity.registry import is_import_path
from nets import registry
from nets.granularity.names import density_under, granularity_name

Scalar = bool | int | float | str

#: Sanity checks that a ticket is put to (`nets.analysis.controls`); "" is none.
CONTROLS = ("shuffle", "reinitialise", "invert", "random", "small-dense")
PRECISIONS = ("float32", "bfloat16")

#: Usual length, batch size and peak learning rate of one training, by data set; others take the entry "".
USUAL: dict[str, dict[str, Any]] = {
    "": {"epochs": 20, "batch_size": 128, "lr": 0.1},
    "digits": {"epochs": 20, "batch_size": 64, "lr": 0.1},
    "mnist": {"epochs": 5, "batch_size": 128, "lr": 0.1},
    "fashion-mnist": {"epochs": 10, "batch_size": 128, "lr": 0.1},
}


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a network is trained, once, by the one training loop.

    Parameters
    ----------
    epochs : int
        Passes over the training part.
    batch_size : int
        Samples a step; the last, incomplete batch of an epoch is left out (the order changes every epoch).
    optimiser : str
        "sgd", "adam", "adamw", or the name or "package.module:function" of one's own, called as
        ``function(parameters, training)``.
    lr : float
        Peak learning rate.
    momentum : float
        Momentum of SGD; first beta of Adam.
    nesterov : bool
        Nesterov momentum (SGD only).
    weight_decay : float
        Weight decay of all trained parameters.
    schedule : str
        "one-cycle", "cosine", "linear", "constant", "step", or the name or "package.module:function" of one's
        own: share of the training done -> share of the peak rate.
    warm_up : float
        Epochs of linear warm-up in front of the schedule's own values.
    milestones : tuple of float
        For "step": shares of the training at which the rate drops.
    lr_factor : float
        For "step": the factor by which it drops.
    label_smoothing : float
        Of the cross-entropy.
    precision : str
        "float32", or "bfloat16": matrix products and convolutions in bfloat16 (automatic mixed precision),
        weights, masks and the optimiser in float32.
    accumulate : int
        Parts that a batch is passed in, one after another: less memory; batch normalisation sees parts.
    channels_last : bool
        Images with their channels last, which convolutions on a GPU prefer; no part of what the training is.
    compile : bool
        Compile forward and backward with torch.compile; no part of what the training is.
    graphs : bool
        Replay forward and backward as a CUDA graph; no part of what the training is.
    """

    epochs: int = 20
    batch_size: int = 128
    optimiser: str = "sgd"
    lr: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    schedule: str = "one-cycle"
    warm_up: float = 0.0
    milestones: tuple[float, ...] = (0.5, 0.75)
    lr_factor: float = 0.1
    label_smoothing: float = 0.0
    precision: str = "float32"
    accumulate: int = 1
    channels_last: bool = field(default=False, compare=False)
    compile: bool = field(default=False, compare=False)
    graphs: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "milestones", tuple(float(m) for m in self.milestones))
        check(self.epochs >= 1, "epochs", self.epochs, "at least 1")
        check(self.batch_size >= 1, "batch_size", self.batch_size, "at least 1")
        for known, name in ((registry.optimisers, self.optimiser), (registry.schedules, self.schedule)):
            if name not in known and not is_import_path(name):
                raise ValueError(known.unknown(name))
        check(0 < self.lr < math.inf, "lr", self.lr, "positive")
        check(0 <= self.momentum < 1, "momentum", self.momentum, "in [0, 1)")
        check(0 <= self.weight_decay < math.inf, "weight_decay", self.weight_decay, "0 or more")
        check(not self.nesterov or self.momentum > 0, "nesterov", self.nesterov, "False where momentum is 0")
        check(0 <= self.warm_up <= self.epochs, "warm_up", self.warm_up, "between 0 and epochs")
        check(all(0 <= m <= 1 for m in self.milestones), "milestones", self.milestones, "shares in [0, 1]")
        check(0 <= self.label_smoothing < 1, "label_smoothing", self.label_smoothing, "in [0, 1)")
        check(self.precision in PRECISIONS, "precision", self.precision, "one of " + ", ".join(PRECISIONS))
        check(1 <= self.accumulate <= self.batch_size, "accumulate", self.accumulate, "1 to batch_size")

    @classmethod
    def usual(cls, data: str = "", **changes: Any) -> Training:
        """Return the usual training on the data set named `data`, with `changes`."""
        return cls(**{**USUAL.get(data, USUAL[""]), **changes})


@dataclass(frozen=True, kw_only=True)
class Play(Training):
    """One play of the lottery: find a ticket, rewind, retrain it and compare it with the dense network.

    Parameters not listed here are those of `Training`.

    Parameters
    ----------
    epochs : int
        Passes over the training part; 0: the usual number for the data set.
    batch_size : int
        Samples a step; 0: the usual number for the data set.
    lr : float
        Peak learning rate; 0: the usual one for the data set.
    data : str
        Name of a data set, or "package.module:factory".
    model : str
        Name of a model, or "package.module:factory".
    method : str
        Name of a method (`lottery methods` lists them), "package.module:METHOD"; in Python a Method, too.
    penalty : str or Penalty
        For methods that take one, e.g. "log(0.02)", "mcp(2)", "lq(0.5)", or
        "package.module:PENALTY"; in Python a Penalty, too.
    density : float
        Share of the maskable weights that the ticket keeps, in (0, 1].
    rewind : int
        Step to which the surviving weights are rewound; 0 is the initialisation.
    search_epochs : int
        Epochs of each training within the search; 0: as many as `epochs`.
    seed : int
        Fixes initialisation, batch order and everything else that is random, to the bit on CPU.
    data_seed : int
        Fixes which samples are held out.
    include : tuple of str
        Glob patterns of the parameters to mask; default: weights of linear and convolutional layers.
    exclude : tuple of str
        Glob patterns of parameters to leave unmasked.
    granularity : str
        What shares one mask entry: "weight"; "N:M", e.g. "2:4": of M consecutive weights N are kept, so the
        density is N / M; "channel": a neuron, channel or attention head with all its weights; "kernel",
        "square" or "package.module:function": blocks (`nets.registry.granularities`).
    options : mapping of str to scalar
        Options of the method (`lottery methods NAME` lists them); kept as sorted pairs.
    control : str
        Sanity check instead of the ticket itself: "shuffle", "reinitialise", "invert", "random" or
        "small-dense" (see `nets.analysis.controls`); the search is that of the play without it.
    task : str
        What the targets mean, how outputs are trained and judged: "classification", "regression",
        "multi-label", "per-pixel" or "language-model", with settings in brackets if need be, e.g.
        "regression(huber)", or "package.module:TASK"; "": regression for targets of floats, else
        classification.
    device : str
        Where to train.
    data_dir : str, optional
        Data folder; not part of what the run is.
    verify : bool
        Check the files of a named data set against the published ones; False reads changed ones.
    """

    epochs: int = 0
    batch_size: int = 0
    lr: float = 0.0
    data: str = "digits"
    model: str = "lenet-300-100"
    method: str = "concave"
    penalty: str = "log(0.02)"
    density: float = 0.05
    rewind: int = 0
    search_epochs: int = 0
    seed: int = 0
    data_seed: int = 0
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    granularity: str = "weight"
    options: tuple[tuple[str, Scalar], ...] = ()
    control: str = ""
    task: str = ""
    device: str = field(default="cpu", compare=False)
    data_dir: str | None = field(default=None, compare=False)
    verify: bool = field(default=True, compare=False)

    def __post_init__(self) -> None:
        for name, value in USUAL.get(self.data, USUAL[""]).items():
            if getattr(self, name) == 0:
                object.__setattr__(self, name, value)
        super().__post_init__()
        if not isinstance(self.penalty, str):
            object.__setattr__(self, "penalty", penalty_text(self.penalty))
        if not isinstance(self.method, str):
            object.__setattr__(self, "method", registry.method_text(self.method))
        pairs = self.options.items() if isinstance(self.options, Mapping) else self.options
        object.__setattr__(self, "options", tuple(sorted((str(k), v) for k, v in pairs)))
        object.__setattr__(self, "include", _patterns(self.include))
        object.__setattr__(self, "exclude", _patterns(self.exclude))
        check(0 < self.density <= 1, "density", self.density, "in (0, 1], a share of the weights")
        object.__setattr__(self, "granularity", granularity_name(self.granularity))
        object.__setattr__(self, "density", density_under(self.granularity, self.density))
        check(self.control in ("", *CONTROLS), "control", self.control, "one of " + ", ".join(CONTROLS))
        check(self.rewind >= 0, "rewind", self.rewind, "0 (the initialisation) or a later step")
        check(self.search_epochs >= 0, "search_epochs", self.search_epochs, "0 (as many as epochs) or more")

    @property
    def training(self) -> Training:
        """How the ticket and the dense network are trained."""
        return Training(**{f.name: getattr(self, f.name) for f in fields(Training)})

    @property
    def search_training(self) -> Training:
        """How each training within the search is done."""
        return replace(self.training, epochs=self.search_epochs or self.epochs)


def check(holds: bool, name: str, value: object, wanted: str) -> None:
    """Raise ValueError naming the parameter, what it must be and what it is."""
    if not holds:
        raise ValueError(f"{name} must be {wanted}, got {value!r}")


def check_several(values: object, name: str) -> None:
    """Raise ValueError for one value where a sequence of them is wanted."""
    single = isinstance(values, (str, Mapping)) or not isinstance(values, Iterable)
    check(not single, name, values, f"a sequence, such as [{values!r}]")


def _patterns(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
