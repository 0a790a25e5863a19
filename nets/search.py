"""The search for tickets as a method sees it: a network, data, trainings through the one loop, a result."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from concave_sparsity import Penalty, density_count
from nets import checkpointing, distributed
from nets.checkpointing import Checkpoint
from nets.configuration import Scalar, Training
from nets.data import AnyData
from nets.evaluation import Evaluation, evaluate
from nets.flat_model import FlatModel
from nets.granularity.making import groups_of
from nets.hooks import Hook
from nets.layout import Layout
from nets.seeds import derive
from nets.tasks import Task
from nets.training import Loop


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


class Search:
    """What a method gets: it calls `train` as often as it likes and returns `found(...)`.

    Parameters
    ----------
    model : Module
        The network with its initial weights; changed by the search.
    data : Dataset or Stream
        Tickets are chosen on its training and validation parts only.
    training : Training
        How each training within the search is done.
    densities : sequence of float
        Densities asked for, largest first.
    seed : int
        Fixes everything random.
    penalty : Penalty or None
        For methods that take one.
    rewind : int
        Step to which weights are rewound; 0 is the initialisation.
    granularity : str or mapping
        What shares one mask entry: "weight", "N:M" or "channel" (`nets.granularity`); or densities of layers.
    options : mapping
        The method's own options, its defaults filled in.
    hooks : sequence of Hook
        The caller's hooks (progress, tracking), called after the method's in every training.
    checkpoint : Checkpoint, optional
        See `nets.checkpointing.Checkpoint`.

    Attributes
    ----------
    flat : FlatModel
        The network.
    initial : dict of str to Tensor
        Its initial state.
    epochs, seconds : float
        Spent so far in `train` and on scores.
    """

    def __init__(
        self,
        model: nn.Module,
        data: AnyData,
        training: Training,
        *,
        densities: Sequence[float],
        seed: int,
        penalty: Penalty | None = None,
        rewind: int = 0,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        granularity: str | Mapping[str, float] = "weight",
        options: Mapping[str, Any] | None = None,
        hooks: Sequence[Hook] = (),
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.flat = FlatModel(model, include, exclude, units=granularity == "channel")
        groups = groups_of(granularity, model, self.flat.layout, data)
        self.flat.layout = replace(self.flat.layout, groups=groups)
        self.data = data
        self.training = training
        self.checkpoint = checkpoint
        self._begin(densities, seed, penalty, rewind, options, hooks)
        steps = training.epochs * data.steps_per_epoch(data.fits(training.batch_size))
        if rewind > steps:
            raise ValueError(
                f"a training of {steps} steps cannot be rewound to step {rewind}: rewind earlier"
            )

    def _begin(
        self,
        densities: Sequence[float],
        seed: int,
        penalty: Penalty | None,
        rewind: int,
        options: Mapping[str, Any] | None,
        hooks: Sequence[Hook],
    ) -> None:
        self.densities = tuple(sorted(set(densities), reverse=True))
        self.seed = seed
        self.penalty = penalty
        self.rewind = rewind
        self.options = dict(options or {})
        self.hooks = tuple(hooks)
        self.initial = self.flat.snapshot()
        self.epochs = 0.0
        self.seconds = 0.0
        self._trainings = 0  # of the density under way: numbers the batch orders
        self._stored = 0  # of the whole search: numbers the checkpoints
        self._rewound: dict[str, Tensor] | None = None
        for density in self.densities:
            self.count(density)

    @property
    def layout(self) -> Layout:
        """Names and shapes of the maskable tensors."""
        return self.flat.layout

    @property
    def n(self) -> int:
        """Number of maskable weights."""
        return self.flat.n

    @property
    def entries(self) -> int:
        """Number of mask entries that may be trained on their own: the weights, or the units."""
        return self.n if self.layout.groups is None else self.layout.groups.entries

    @property
    def peak_rate(self) -> float:
        """Peak learning rate of the trainings."""
        return self.training.lr

    def count(self, density: float) -> int:
        """Return the number of weights a ticket of this density keeps; of single ones round(density * n)."""
        groups = self.layout.groups
        count = density_count(density, self.n) if groups is None else groups.count(density)
        if count == 0:
            raise ValueError(f"density {density:g} keeps none of the {self.n} weights; ask for a larger one")
        return count

    def generator(self, *purpose: str | int) -> torch.Generator:
        """Return a CPU generator of random numbers of its own, fixed by the seed and the purpose."""
        return torch.Generator().manual_seed(derive(self.seed, "search", *purpose))

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
        loop = checkpointing.train(
            self.flat,
            self.data,
            training or self.training,
            seed=derive(self.seed, "search", number if order is None else order),
            name=f"search-{place}",
            hooks=(*hooks, *self.hooks),
            start=start,
            until=until,
            checkpoint=self.checkpoint,
            teacher=teacher,
        )
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
        kept = int(mask.sum())
        if not exact:
            assert kept, "a ticket keeps at least one weight"
        elif self.layout.groups is not None:
            self.layout.groups.refuse(mask, self.count(density))
        elif kept != self.count(density):
            raise AssertionError(
                f"the mask keeps {kept} weights, density {density:g} asks for {self.count(density)}"
            )
        weights = self.rewound() if weights is None else weights
        told = dict(report or {}), dict(trace or {})
        return Found(mask, weights, density, self.epochs, self.seconds, *told, fine_tune)

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
