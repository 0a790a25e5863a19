"""Find, rewind, retrain, compare with the dense network."""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nets.analysis.controls import control, draws
from nets.configuration import Play, Training
from nets.data import AnyData, load
from nets.granularity.factory import groups_of
from nets.granularity.names import budget_of, density_under, prunes_units
from nets.masking.course import SparseTraining
from nets.masking.layout import Layout, copied, maskable
from nets.methods import Method
from nets.methods import method as named_method
from nets.metric import ACCURACY, Judged, Metric
from nets.models import build
from nets.models.flops import FlopCount, inference_flops, training_flops, width_for
from nets.result import Result
from nets.search import Found, Search, Wanted
from nets.search.rounds import fine_tuning
from nets.seeds import derive
from nets.storage import tensor_file
from nets.tasks import CLASSIFICATION, Task
from nets.tickets import Ticket
from nets.training.evaluation import evaluate_if_there
from nets.training.flat_model import FlatModel
from nets.training.loop import Checkpoint, Hook, Loop

#: A data set's name, a pair (x, y) of arrays or tensors, a `nets.data.Dataset`, or "package.module:factory".
Data = Any
#: A training of the user's own; see `nets.masking.own_training.OwnTraining`.
OwnTraining = Callable[[nn.Module, Any], Any]
#: A network, a model's name, "package.module:factory", or a callable (input_shape, n_classes) -> network.
Model = Any


def device_of(device: str | torch.device) -> torch.device:
    """Return a device that is there.

    Raises
    ------
    ValueError
        If there is none of this name here.
    """
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device {device!r} is none: {str(error).splitlines()[0]}") from None
    missing = found.type == "cuda" and not torch.cuda.is_available()
    if missing or (found.type == "mps" and not torch.backends.mps.is_available()):
        raise ValueError(f"device {str(device)!r} is not here: torch sees no such device; leave it at 'cpu'")
    return found


@dataclass(frozen=True)
class Trained(Judged):
    """A trained network.

    Parameters
    ----------
    model : Module
        The network; its pruned weights are exactly zero.
    test_score, validation_score : float
        Of the task's metric.
    epochs, seconds : float
        Spent.
    metrics : tuple of mapping
        Per epoch.
    flops : FlopCount, optional
        Operations of one inference, with the ticket's masks and without.
    samples : int
        Training samples an epoch.
    metric : Metric
        What the scores are.
    sizes : mapping of str to int, optional
        Of a smaller dense network in place of a ticket: weights of each maskable tensor.
    """

    model: nn.Module
    test_score: float
    validation_score: float
    epochs: float
    seconds: float
    metrics: tuple[Mapping[str, float], ...]
    flops: FlopCount | None = None
    samples: int = 0
    metric: Metric = ACCURACY
    sizes: Mapping[str, int] | None = None

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the trained network's `state_dict` as a safetensors file, atomically.

        ``model.load_state_dict(safetensors.torch.load_file(path))`` reads it back.
        """
        path = Path(path)
        metadata = {"metric": self.metric.name, "test": self.test_score, "validation": self.validation_score}
        metadata = {key: None if value != value else value for key, value in metadata.items()}
        tensor_file.write(path, "concave-sparsity network", 1, self.model.state_dict(), metadata)
        return path


#: Stands for a dense network that somebody else trains: its scores are NaN.
Untrained = Trained(nn.Identity(), math.nan, math.nan, 0.0, 0.0, ())


@dataclass(frozen=True, kw_only=True)
class Setup:
    """On what, how and where networks are trained, in a search and after it.

    Parameters
    ----------
    task : str or Task, optional
        What the targets mean, how outputs are trained and judged: a `nets.Task` or the name of one (see
        `nets.tasks.named_task`); default: regression for targets of floats, else classification.
    training : Training, optional
        How each training is done; default: the usual of the data set.
    epochs : int, optional
        Epochs of each training, in place of the training's own.
    seed : int
        Fixes initial weights (of models given by name), batch order and all else, to the bit on CPU.
    hooks : sequence of Hook
        Called in every training.
    data_dir : path, optional
        Data folder.
    data_seed : int
        Fixes which samples are held out.
    device : str or torch.device
        Where to train.
    checkpoint : Checkpoint, optional
        Where the trainings are kept, so that an interrupted search resumes.
    """

    task: str | Task | None = None
    training: Training | None = None
    epochs: int | None = None
    seed: int = 0
    hooks: Sequence[Hook] = ()
    data_dir: str | os.PathLike[str] | None = None
    data_seed: int = 0
    device: str | torch.device = "cpu"
    checkpoint: Checkpoint | None = None

    @classmethod
    def of(
        cls, play: Play, training: Training, hooks: Sequence[Hook], checkpoint: Checkpoint | None
    ) -> Setup:
        """Return the setup of a play whose data are loaded already."""
        return cls(training=training, seed=play.seed, device=play.device, hooks=hooks, checkpoint=checkpoint)

    def prepared(self, model: Model, data: Data, width: float = 1.0) -> tuple[nn.Module, AnyData, Training]:
        """Return the network at its initial weights, a copy of the user's, the data, and the training."""
        device = device_of(self.device)
        dataset = load(data, task=self.task, seed=self.data_seed, data_dir=self.data_dir).to(device)
        training = Training.usual(dataset.name) if self.training is None else self.training
        if self.epochs is not None:
            training = replace(training, epochs=self.epochs)
        network = build(model, dataset, seed=derive(self.seed, "initialisation"), width=width)
        return network.to(device), dataset, training


def _sorted_settings(given: Mapping[str, Any], *kinds: type) -> list[Any]:
    """Return one object of each kind, made of the settings that are its own.

    Raises
    ------
    TypeError
        If no kind has a setting; the nearest is suggested.
    """
    known = {field.name: kind for kind in kinds for field in fields(kind)}
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise TypeError(f"there is no setting {name!r}{hint}; there are {', '.join(sorted(known))}")
    return [kind(**{n: value for n, value in given.items() if known[n] is kind}) for kind in kinds]


def find_ticket(
    model: Model,
    data: Data = None,
    method: str | Method = "concave",
    *,
    density: float | Mapping[str, float] = 0.05,
    **settings: Any,
) -> Ticket:
    """Find a lottery ticket.

    Parameters
    ----------
    model : Module, str or callable
        Any network (it is copied, its weights are the initialisation), a model's name,
        "package.module:factory", or a callable ``(input_shape, n_classes) -> network``.
    data : str, (x, y) or Dataset
        A data set's name, a pair of arrays or tensors (a validation and a test part are split off), or a
        data object.
    method : str
        Name of a method; ``lottery methods`` lists them.
    density : float or mapping of str to float
        Share of the maskable weights to keep: exactly round(density * n) are, at granularity "weight". Or one
        by glob pattern over their names, the first match counts: ``{"fc1.*": 0.1, "*": 0.05}``.
    **settings
        penalty (Penalty or str, default Log(0.02)), rewind, include, exclude, granularity, budget and
        options, see `nets.search.Wanted`; task, epochs, seed, training, hooks, data_dir, data_seed, device,
        checkpoint: see `Setup`; and for a training of your own train, steps, loss and batch, see
        `find_tickets`.

    Returns
    -------
    Ticket
    """
    return find_tickets(model, data, method, densities=(density,), **settings)[0]


def find_tickets(
    model: Model,
    data: Data = None,
    method: str | Method = "concave",
    *,
    train: OwnTraining | None = None,
    steps: int | None = None,
    loss: Any = None,
    batch: Any = None,
    **settings: Any,
) -> list[Ticket]:
    """Find a ticket for every density; methods that prune in rounds share one chain of trainings.

    Parameters
    ----------
    model, data, method
        See `find_ticket`.
    train : callable, optional
        A training of your own in place of data and `Setup`: ``train(model, masking)`` is called as often as
        the method needs. It trains the network (a copy of `model`) from its weights, and calls
        ``masking.attach(optimiser, steps)`` before the first step.
    steps : int, optional
        Optimiser steps of one such training, unless it tells them.
    loss, batch
        For criteria that look at gradients, with `train`: see `nets.Masking`.
    **settings
        densities and all else of `nets.search.Wanted` and of `Setup`.

    Returns
    -------
    list of Ticket
        In the order of `densities`; their tensors lie on the CPU.
    """
    setup, wanted = _sorted_settings(settings, Setup, Wanted)
    if train is None:
        given = {"steps": steps, "loss": loss, "batch": batch}
        if alone := [name for name, value in given.items() if value is not None]:
            raise ValueError(f"{', '.join(alone)} go with a training of your own, train=: leave them out")
        return _found(model, data, method, setup, wanted)
    from nets.masking.own_training import OwnSearch

    ours = ["data"] if data is not None else []
    ours += [f.name for f in fields(Setup) if f.name in settings and f.name not in ("seed", "hooks")]
    if ours:
        raise ValueError(
            f"train= is a training of your own, with its own data and states: leave {', '.join(ours)} out"
        )
    if not isinstance(model, nn.Module):
        raise TypeError(f"train= needs the network itself, got {type(model).__name__}")
    chosen, wanted = _settled(method, wanted)
    own = {"seed": setup.seed, "hooks": setup.hooks, "steps": steps, "loss": loss, "batch": batch}
    search = OwnSearch(copied(model, wrapped=True), train, wanted, **own)
    return _tickets(chosen, search, wanted, {"model": type(model).__name__}, [])


def _settled(method: str | Method, wanted: Wanted) -> tuple[Method, Wanted]:
    """Return a method, and what is wanted as it can give it, options filled in."""
    chosen = named_method(method)
    options = chosen.settle(wanted.options or {})
    chosen.refuse(wanted.granularity)
    follows = chosen.density_follows(options)
    if wanted.of_layers is not None:
        if follows or chosen.fixed_density:
            raise ValueError(
                f"densities of layers do not go with method {chosen.name}, which fixes the density itself"
            )
        return chosen, replace(wanted, options=options)
    asked: list[float | Mapping[str, float]] = [
        density_under(wanted.granularity, density) if chosen.fixed_density is None else chosen.fixed_density
        for density in wanted.densities
    ]
    if follows:
        asked = asked[:1] * len(asked)  # one search: the density is what its options give
    return chosen, replace(wanted, options=options, densities=asked)


def _found(model: Model, data: Data, method: str | Method, setup: Setup, wanted: Wanted) -> list[Ticket]:
    """Search with the one loop."""
    chosen, wanted = _settled(method, wanted)
    network, dataset, training = setup.prepared(model, data)
    search = Search(
        network, dataset, training, wanted, seed=setup.seed, hooks=setup.hooks, checkpoint=setup.checkpoint
    )
    origin = {
        "data": dataset.name,
        **({} if dataset.task == CLASSIFICATION else {"task": dataset.task.name}),
        "model": model if isinstance(model, str) else type(network).__name__,
    }
    tokens = getattr(getattr(dataset, "x_train", None), "dtype", None) == torch.int64
    return _tickets(chosen, search, wanted, origin, [] if tokens else list(dataset.input_shape))


def _tickets(
    chosen: Method, search: Search, wanted: Wanted, origin: Mapping[str, Any], shape: Sequence[int]
) -> list[Ticket]:
    """Let the method search; return its tickets in the order in which they were asked for."""
    metadata = {
        "method": chosen.name,
        **origin,
        "seed": search.seed,
        "rewind": wanted.rewind,
        "options": dict(search.options),
    }
    if wanted.of_layers is not None:
        metadata["densities"] = dict(wanted.of_layers)
    if wanted.granularity != "weight":
        metadata["granularity"] = wanted.granularity
    if shape:
        metadata["input_shape"] = shape
    if "penalty" in chosen.needs:
        metadata["penalty"] = repr(search.penalty)
    if chosen.density_follows(search.options):
        metadata["density_follows"] = True
    tickets = {}
    for found in chosen.find(search):
        tickets[found.density] = _ticket(found, search, metadata)
    asked = wanted.asked(search.layout)
    if missing := [f"{density:g}" for density in asked if density not in tickets]:
        raise ValueError(
            f"method {chosen.name} found no ticket of density {', '.join(missing)}: its find must yield one "
            "for every density of search.densities"
        )
    return [tickets[density] for density in asked]


def _ticket(found: Found, search: Search, shared: Mapping[str, Any]) -> Ticket:
    metadata = {
        **shared,
        "asked_density": found.density,
        "search_epochs": found.epochs,
        "parameters": sum(p.numel() for p in search.flat.model.parameters()),
        "report": dict(found.report),
    }
    if found.fine_tune:
        metadata |= {"fine_tune": found.fine_tune, "rewind": 0}
    metadata |= search.layout.groups.report(found.mask)
    masks = {name: mask.cpu().clone() for name, mask in search.layout.split(found.mask).items()}
    # In the network's order, whatever order a resumed search read them in.
    order = search.flat.model.state_dict()
    names = [name for name in order if name in found.weights]
    weights = {name: found.weights[name].cpu().clone() for name in names}
    return Ticket(masks, weights, metadata, found.trace, found.seconds)


def retrain(
    ticket: Ticket | None,
    model: Model,
    data: Data,
    *,
    rewind: int | None = None,
    width: float = 1.0,
    **setup: Any,
) -> Trained:
    """Train a ticket from its rewound weights; its pruned weights are exactly zero at every step.

    Parameters
    ----------
    ticket : Ticket or None
        None trains the dense network from its initialisation: same seed, same batches.
    model, data
        See `find_ticket`; a network is copied.
    rewind : int, optional
        Step at which the training starts; default: the one the ticket was rewound to.
    width : float
        Factor of the units of every hidden layer, for a dense network that is smaller (`nets.models.build`).
    **setup
        task, epochs, seed, training, hooks, data_dir, data_seed, device, checkpoint: see `Setup`.

    Returns
    -------
    Trained
    """
    (one,) = _sorted_settings(setup, Setup)
    return _retrained(ticket, model, data, one, rewind, width)


def _retrained(
    ticket: Ticket | None, model: Model, data: Data, setup: Setup, rewind: int | None, width: float
) -> Trained:
    network, dataset, training = setup.prepared(model, data, width)
    sparse: list[Hook] = []
    if ticket is None:
        flat = FlatModel(network, include=("*",))
    else:
        ticket.apply(network)
        flat = FlatModel(network, include=[_literal(name) for name in ticket.masks])
        mask: Tensor = ticket.flat_mask(flat.layout).to(device_of(setup.device))
        if not mask.all():
            sparse.append(SparseTraining(mask))
        if rewind is None:
            rewind = int(ticket.metadata.get("rewind", 0))
        if share := ticket.metadata.get("fine_tune"):
            training = fine_tuning(training, float(share))
    loop = Loop(
        flat,
        dataset,
        training,
        seed=derive(setup.seed, "retrain"),
        name="dense" if ticket is None else "retrain",
        hooks=(*sparse, *setup.hooks),
        start=rewind or 0,
        checkpoint=setup.checkpoint,
    ).run()
    return Trained(
        model=network,
        test_score=evaluate_if_there(network, dataset, "test").score,
        validation_score=evaluate_if_there(network, dataset, "validation").score,
        epochs=(loop.steps - (rewind or 0)) / loop.steps_per_epoch,
        seconds=loop.seconds,
        metrics=tuple(loop.metrics),
        flops=inference_flops(network, dataset, {} if ticket is None else ticket.masks),
        samples=dataset.n_train,
        metric=dataset.task.metric.described(),
    )


def _literal(name: str) -> str:
    """Return the glob pattern that matches this name alone."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def search_tickets(
    play: Play,
    densities: Sequence[float],
    *,
    data: AnyData | None = None,
    hooks: Sequence[Hook] = (),
    checkpoint: Checkpoint | None = None,
) -> list[Ticket]:
    """Search the tickets of plays that differ in their density alone; `data` is theirs, if loaded already."""
    wanted = Wanted(
        densities=densities,
        penalty=play.penalty,
        rewind=play.rewind,
        include=play.include,
        exclude=play.exclude,
        granularity=play.granularity,
        options=dict(play.options),
    )
    setup = Setup.of(play, play.search_training, hooks, checkpoint)
    return _found(play.model, data_of(play) if data is None else data, play.method, setup, wanted)


def data_of(play: Play) -> AnyData:
    """Load the data of a play."""
    return load(
        play.data,
        task=play.task or None,
        seed=play.data_seed,
        data_dir=play.data_dir,
        verify=play.verify,
    )


def retrain_ticket(
    play: Play,
    ticket: Ticket | None,
    *,
    data: AnyData | None = None,
    hooks: Sequence[Hook] = (),
    checkpoint: Checkpoint | None = None,
) -> Trained:
    """Retrain the ticket of a play, put to its control; None trains the dense network, the same for all."""
    data = data_of(play) if data is None else data
    setup = Setup.of(play, play.training, hooks, checkpoint)
    if ticket is not None and play.control == "small-dense":
        return _small_dense(play, ticket, data, setup)
    if ticket is not None and play.control:
        layout = grouped_layout(play, data)
        ticket = control(play.control, ticket, play.seed, draws(play.model, data), layout)
    return _retrained(ticket, play.model, data, setup, None, 1.0)


def _small_dense(play: Play, ticket: Ticket, data: AnyData, setup: Setup) -> Trained:
    """Train the widest dense network of the play's architecture that costs no more than the ticket."""
    dense = build(play.model, data)
    operations = budget_of(play.granularity) == "flops"
    most = inference_flops(dense, data, ticket.masks) if operations else None
    kept = ticket.kept if most is None else most.sparse
    width = width_for(play.model, data, kept, play.include, play.exclude, operations=operations)
    trained = _retrained(None, play.model, data, setup, None, width)
    names = maskable(trained.model, play.include, play.exclude)
    sizes = dict(zip(names, Layout.of(trained.model, names).sizes))
    assert trained.flops is not None
    whole = inference_flops(dense, data, {})
    return replace(trained, sizes=sizes, flops=FlopCount(whole.layers, trained.flops.layers, whole.other))


def grouped_layout(play: Play, data: AnyData) -> Layout | None:
    """Return the layout of a play's masks with what ties their entries; None for single weights."""
    if play.granularity == "weight":
        return None
    network = build(play.model, data)
    names = maskable(network, play.include, play.exclude, units=prunes_units(play.granularity))
    layout = Layout.of(network, names)
    return replace(layout, groups=groups_of(play.granularity, network, layout, data))


def is_dense(play: Play) -> bool:
    """Tell whether the play is the dense network itself, which needs no training beside."""
    return named_method(play.method).fixed_density == 1.0 and play.rewind == 0


def result_of(play: Play, ticket: Ticket, trained: Trained, dense: Trained) -> Result:
    """Return the result of a play from its ticket, its retrained network and the dense one."""
    kept, densities = ticket.kept, ticket.layer_densities
    if trained.sizes is not None:
        kept = sum(trained.sizes.values())
        densities = {name: trained.sizes.get(name, 0) / m.numel() for name, m in ticket.masks.items()}
    flops, epochs = trained.flops, float(ticket.metadata["search_epochs"])
    spent = math.nan if flops is None else training_flops(flops.dense, trained.samples, epochs)
    return Result(
        play=replace(play, density=named_method(play.method).fixed_density or play.density),
        density=kept / ticket.total,
        kept=kept,
        total=ticket.total,
        test_score=trained.test_score,
        validation_score=trained.validation_score,
        dense_test_score=dense.test_score,
        dense_validation_score=dense.validation_score,
        search_epochs=epochs,
        search_seconds=ticket.seconds,
        retrain_epochs=trained.epochs,
        retrain_seconds=trained.seconds,
        report=ticket.metadata["report"],
        search_flops=spent,
        inference_flops=math.nan if flops is None else float(flops.sparse),
        dense_inference_flops=math.nan if flops is None else float(flops.dense),
        layer_densities=densities,
        metrics=trained.metrics,
        metric=trained.metric,
    )


def train_dense(play: Play, *, hooks: Sequence[Hook] = ()) -> Trained:
    """Train the dense network of a play; it is the same for all methods, penalties and densities."""
    return retrain_ticket(play, None, hooks=hooks)


def play(
    play: Play,
    *,
    dense: Trained | None = None,
    hooks: Sequence[Hook] = (),
    checkpoint: Checkpoint | None = None,
) -> Result:
    """Play the lottery once: find a ticket, rewind, retrain, compare with the dense network.

    Parameters
    ----------
    play : Play
        What to play.
    dense : Trained, optional
        Result of `train_dense` for the same play, to save training it again.
    hooks : sequence of Hook
        Called in every training.
    checkpoint : Checkpoint, optional
        See `find_tickets`.

    Returns
    -------
    Result
    """
    only = (play.control,)
    return play_densities(play, (play.density,), only, dense=dense, hooks=hooks, checkpoint=checkpoint)[0][0]


def play_densities(
    play: Play,
    densities: Sequence[float],
    controls: Sequence[str] = ("",),
    *,
    dense: Trained | None = None,
    hooks: Sequence[Hook] = (),
    checkpoint: Checkpoint | None = None,
    on_trained: Callable[[Play, Trained], None] | None = None,
) -> list[tuple[Result, Ticket]]:
    """Play several densities and controls ("": the ticket itself) that share one search; as `play`.

    `on_trained` is given every play's trained network.
    """
    tickets = search_tickets(play, densities, hooks=hooks, checkpoint=checkpoint)
    dense = train_dense(play, hooks=hooks) if dense is None else dense
    played = []
    for density, ticket in zip(densities, tickets):
        for name in controls:
            one = replace(play, density=density, control=name)
            trained = dense if is_dense(one) else retrain_ticket(one, ticket, hooks=hooks)
            if on_trained is not None:
                on_trained(one, trained)
            played.append((result_of(one, ticket, trained, dense), ticket))
    return played
