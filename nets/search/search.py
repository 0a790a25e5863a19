"""The search for tickets as a method sees it: a network, data, trainings through the one loop, a result."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from concave_sparsity import Log, Penalty
from concave_sparsity.penalty_text import parse_penalty
from nets.configuration import Scalar, Training, check, check_several
from nets.data import AnyData
from nets.granularity.factory import groups_of
from nets.granularity.layers import LayerDensities
from nets.granularity.names import granularity_name, prunes_units, with_budget
from nets.masking.course import Entries
from nets.masking.layout import Layout
from nets.seeds import derive
from nets.tasks import Task
from nets.training import distributed
from nets.training.evaluation import Evaluation, evaluate
from nets.training.flat_model import FlatModel
from nets.training.loop import Checkpoint, Hook, Loop


@dataclass(frozen=True)
class Found:
    """What a method found for one density.

    Parameters
    ----------
    mask : Tensor
        Boolean, shape (n,): True where a weight is kept; exactly round(density * n) are, or what the
        granularity makes of it, or any number where the density follows from the method's options.
    weights : mapping of str to Tensor
        State of the whole network to which the ticket is rewound.
    density : float
        The density asked for.
    epochs : float
        Epochs of training that the search for this density alone needs.
    seconds : float
        Seconds they took.
    report : mapping
        Numbers about the search (plain values), e.g. the metric before and after the cut.
    trace : mapping of str to list of float
        Curves of the search, e.g. lam at every update.
    fine_tune : float
        Where positive, the weights are trained ones and the ticket is fine-tuned: trained on at this share of
        the peak learning rate, constant, instead of along the schedule.
    """

    mask: Tensor
    weights: Mapping[str, Tensor]
    density: float
    epochs: float
    seconds: float
    report: Mapping[str, Scalar] = field(default_factory=dict)
    trace: Mapping[str, Sequence[float]] = field(default_factory=dict)
    fine_tune: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The tickets that a search is asked for.

    Parameters
    ----------
    densities : sequence of float
        Densities, each in (0, 1]; or a single mapping of densities of layers: one by glob pattern over the
        names of the masked tensors, the first match counts.
    penalty : Penalty, str or None
        For methods that take one, e.g. ``Log(0.02)`` or "mcp(2)".
    rewind : int
        Step to which the weights are rewound; 0 is the initialisation.
    include, exclude : str or sequence of str
        Glob patterns of the parameters to mask; see `nets.masking.layout.maskable`.
    granularity : str
        What shares one mask entry: "weight"; "N:M", e.g. "2:4", whose density is N / M whatever is asked;
        "channel": neurons, channels and attention heads as a whole; "channel:flops": the same, and densities
        are shares of the operations of one inference; "kernel", "square" or a partition of your own: blocks.
    budget : str
        In place of densities: "flops:0.3" keeps units that do at most 0.3 of the masked layers' operations,
        "weights:0.3" is the density 0.3. Granularity and densities are then as it says.
    options : mapping
        The method's own options.
    """

    densities: Sequence[float | Mapping[str, float]] = (0.05,)
    penalty: Penalty | str | None = Log(0.02)  # noqa: RUF009 - frozen
    rewind: int = 0
    include: str | Sequence[str] = ()
    exclude: str | Sequence[str] = ()
    granularity: str = "weight"
    budget: str = ""
    options: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        check_several(self.densities, "densities")
        if self.penalty is not None:
            object.__setattr__(self, "penalty", parse_penalty(self.penalty))
        object.__setattr__(self, "granularity", granularity_name(self.granularity))
        if self.budget:
            granularity, share = with_budget(self.budget, self.granularity)
            for name, value in (("granularity", granularity), ("densities", (share,)), ("budget", "")):
                object.__setattr__(self, name, value)
        object.__setattr__(self, "options", dict(self.options or {}))
        if self.of_layers is not None and self.granularity != "weight":
            raise ValueError(f"densities of layers are for single weights, not for {self.granularity}")
        for density in () if self.of_layers else self.densities:
            right = isinstance(density, (int, float)) and not isinstance(density, bool) and 0 < density <= 1
            check(right, "density", density, "in (0, 1]")

    @property
    def of_layers(self) -> Mapping[str, float] | None:
        """Densities of layers, where they are asked for."""
        first = self.densities[0] if len(self.densities) == 1 else None
        return first if isinstance(first, Mapping) else None

    @property
    def units(self) -> bool:
        """Whether whole units share an entry."""
        return prunes_units(self.granularity)

    def layout(self, model: nn.Module, names: Layout, data: AnyData | Tensor | None) -> Layout:
        """Return the layout of the masked tensors with what ties their entries to one another."""
        groups = groups_of(self.of_layers or self.granularity, model, names, data)
        return replace(names, groups=groups)

    def asked(self, layout: Layout) -> tuple[float, ...]:
        """Return the densities of the whole mask."""
        if isinstance(layout.groups, LayerDensities):
            return (layout.groups.density,)
        return tuple(float(density) for density in self.densities if not isinstance(density, Mapping))


class Search(Entries):
    """What a method gets: it calls `train` as often as it likes and returns `found(...)`.

    Parameters
    ----------
    model : Module
        The network with its initial weights; changed by the search.
    data : Dataset or Stream
        Tickets are chosen on its training and validation parts only.
    training : Training
        How each training within the search is done.
    wanted : Wanted
        The tickets asked for.
    seed : int
        Fixes everything random.
    hooks : sequence of Hook
        The caller's hooks (progress, tracking), called after the method's in every training.
    checkpoint : Checkpoint, optional
        See `nets.training.loop.Checkpoint`.

    Attributes
    ----------
    flat : FlatModel
        The network.
    densities : tuple of float
        Densities asked for, largest first.
    penalty : Penalty or None
        For methods that take one.
    rewind : int
        Step to which weights are rewound; 0 is the initialisation.
    options : mapping
        The method's own options, its defaults filled in.
    initial : dict of str to Tensor
        Its initial state.
    epochs, seconds : float
        Spent so far in `train` and on scores.
    """

    flat: FlatModel

    def __init__(
        self,
        model: nn.Module,
        data: AnyData,
        training: Training,
        wanted: Wanted,
        *,
        seed: int = 0,
        hooks: Sequence[Hook] = (),
        checkpoint: Checkpoint | None = None,
    ) -> None:
        flat = FlatModel(model, wanted.include, wanted.exclude, units=wanted.units)
        flat.layout = wanted.layout(model, flat.layout, data)
        self.data = data
        self.training = training
        self.checkpoint = checkpoint
        self._begin(flat, wanted, seed, hooks)
        steps = training.epochs * data.steps_per_epoch(data.fits(training.batch_size))
        if self.rewind > steps:
            raise ValueError(
                f"a training of {steps} steps cannot be rewound to step {self.rewind}: rewind earlier"
            )

    def _begin(self, flat: Any, wanted: Wanted, seed: int, hooks: Sequence[Hook]) -> None:
        self.flat = flat
        self.densities = tuple(sorted(set(wanted.asked(flat.layout)), reverse=True))
        self.seed = seed
        self.penalty: Penalty | None = wanted.penalty  # type: ignore[assignment]  # parsed
        self.rewind = wanted.rewind
        self.options: Mapping[str, Any] = wanted.options or {}
        self.hooks = tuple(hooks)
        self.initial = self.flat.snapshot()
        self.epochs = 0.0
        self.seconds = 0.0
        self._trainings = 0  # of the density under way: numbers the batch orders
        self._stored = 0  # of the whole search: numbers the checkpoints
        self._rewound: dict[str, Tensor] | None = None
        for density in self.densities:
            self.count(density)

    def train(
        self,
        *hooks: Hook,
        weights: Mapping[str, Tensor] | None = None,
        training: Training | None = None,
        start: int = 0,
        until: int | None = None,
        order: int | None = None,
        teacher: nn.Module | None = None,
    ) -> Loop:
        """Train the network once through the one loop and count the cost.

        Parameters
        ----------
        *hooks : Hook
            How the method acts on the training.
        weights : mapping, optional
            State to start from; default: the initial one.
        training : Training, optional
            Default: the search's.
        start, until : int
            First and last step.
        order : int, optional
            Number of the batch order; default: one of its own for every training, so that the first training
            of every method meets the same batches.
        teacher : Module, optional
            A network whose outputs take the place of the targets.

        Returns
        -------
        Loop
            Finished; `flat` holds the trained network until the next training.
        """
        number, place = self._trainings, self._stored
        self._trainings += 1
        self._stored += 1
        self.flat.load(self.initial if weights is None else weights)
        loop = Loop(
            self.flat,
            self.data,
            training or self.training,
            seed=derive(self.seed, "search", number if order is None else order),
            name=f"search-{place}",
            hooks=(*hooks, *self.hooks),
            start=start,
            checkpoint=self.checkpoint,
            teacher=teacher,
        ).run(until)
        self.epochs += (loop.step - start) / loop.steps_per_epoch
        self.seconds += loop.seconds
        return loop

    def batches(self, samples: int, chunk: int = 256) -> Iterator[tuple[Any, Any]]:
        """Yield training samples, without augmentation, the same whenever it is called for this search."""
        if samples < 1:
            raise ValueError(f"samples must be at least 1, got {samples!r}")
        yield from self.data.draw(samples, self.generator("samples"), chunk)

    @property
    def task(self) -> Task:
        """What the network is trained and judged by."""
        return self.data.task

    def evaluated(self) -> Evaluation | None:
        """Return what the network achieves on the validation part as it stands; None where there is none."""
        return evaluate(self.flat.model, self.data) if self.data.has("validation") else None

    def reported(self, what: str = "search") -> dict[str, Scalar]:
        """Return the same as an entry of a report."""
        found = self.evaluated()
        return {} if found is None else {**found.column(what)}

    def like_inputs(self, dtype: torch.dtype) -> Tensor:
        """Return an input of ones, shape (1, ...).

        Raises
        ------
        ValueError
            If the network takes something else than one tensor of floats.
        """
        given = self.data.example(1)
        if not isinstance(given, Tensor) or not given.is_floating_point():
            raise ValueError(
                "an input of ones is one tensor of floats, and this network takes something else"
            )
        return torch.ones((1, *self.data.input_shape), dtype=dtype, device=self.data.device)

    def charge(self, samples: int, seconds: float = 0.0) -> None:
        """Count forward and backward passes made outside `train`, e.g. for scores."""
        self.epochs += samples / self.data.n_train
        self.seconds += seconds

    def rewound(self) -> dict[str, Tensor]:
        """Return the state at the step that tickets are rewound to.

        For a step after 0 the dense network is trained up to it, once, in the batch order of the search's
        first training; the cost is counted.
        """
        if self.rewind == 0:
            return self.initial
        if self._rewound is None:
            self.train(until=self.rewind, order=0)
            self._rewound = self.flat.snapshot()
        return self._rewound

    def found(
        self,
        mask: Tensor,
        density: float,
        *,
        weights: Mapping[str, Tensor] | None = None,
        report: Mapping[str, Scalar] | None = None,
        trace: Mapping[str, Sequence[float]] | None = None,
        fine_tune: float = 0.0,
        exact: bool = True,
    ) -> Found:
        """Return the result for one density, with the cost so far; the mask must keep the exact count.

        Parameters
        ----------
        mask : Tensor
            Boolean, shape (n,).
        density : float
            The density asked for.
        weights : mapping, optional
            State to which the ticket is rewound; default: `rewound()`.
        report, trace, fine_tune
            See `Found`.
        exact : bool
            False where the density follows from the method's options: any count will do but zero.
        """
        distributed.agree(mask)
        if exact:
            self.refuse(mask, density)
        else:
            assert mask.any(), "a ticket keeps at least one weight"
        weights = self.rewound() if weights is None else weights
        notes = dict(report or {}), dict(trace or {})
        return Found(mask, weights, density, self.epochs, self.seconds, *notes, fine_tune)

    def each(self, find: Callable[[float], Found]) -> list[Found]:
        """Search every density on its own, each as if it were the only one (cost, seeds and all)."""
        results = []
        for density in self.densities:
            self.epochs = self.seconds = 0.0
            self._trainings, self._rewound = 0, None
            results.append(find(density))
        return results


def timed() -> Callable[[], float]:
    """Return a function that tells the seconds since this call."""
    began = time.perf_counter()
    return lambda: time.perf_counter() - began
