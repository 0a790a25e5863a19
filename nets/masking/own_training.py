"""Methods that need several trainings, each of them the user's own: `nets.find_ticket(model, train=...)`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from nets.configuration import Training
from nets.masking.layout import maskable, unwrapped
from nets.masking.masking import Batches
from nets.masking.shadow import Shadow
from nets.masking.steps import Steps
from nets.search import Search, Wanted
from nets.search.rounds import Snapshot
from nets.seeds import derive
from nets.tasks import Task
from nets.training.evaluation import Evaluation
from nets.training.loop import Hook

#: The user's training: it makes an optimiser, calls ``masking.attach(optimiser, steps)``, and trains.
OwnTraining = Callable[[nn.Module, Steps], Any]


class OwnSearch(Search):
    """A search whose trainings are made by a function of the user's.

    Parameters
    ----------
    model : Module
        The network with its initial weights; changed by the search.
    train : callable
        ``train(model, masking)`` trains the network once, from the weights that it has: it makes its
        optimiser and calls ``masking.attach(optimiser, steps)`` before the first step.
    wanted : Wanted
        The tickets asked for. A rewound training starts at the weights of step `rewind` and is made whole.
    steps : int, optional
        Optimiser steps of a training, where `train` does not tell.
    loss, batch
        See `nets.Masking`.
    seed, hooks
        See `nets.search.Search`.

    Notes
    -----
    `epochs` counts trainings, as nobody tells what an epoch is.
    """

    def __init__(
        self,
        model: nn.Module,
        train: OwnTraining,
        wanted: Wanted,
        *,
        seed: int = 0,
        hooks: Sequence[Hook] = (),
        steps: int | None = None,
        loss: Callable[[Any, Any], Tensor] | Task | str | None = None,
        batch: Any = None,
    ) -> None:
        self._batches = Batches(loss, batch)
        self._model = model
        inner = unwrapped(model)
        flat = Shadow(inner, maskable(inner, wanted.include, wanted.exclude, units=wanted.units))
        flat.layout = wanted.layout(inner, flat.layout, self._batches.first())
        self._own = train
        self._own_steps = steps
        self.training = Training()
        self._begin(flat, wanted, seed, hooks)

    def train(self, *hooks: Hook, weights: Mapping[str, Tensor] | None = None, **settings: Any) -> Any:
        """Let the user train the network once, under the hooks; return what acted."""
        training = settings.get("training")
        if training is not None and training.lr != self.training.lr:
            raise ValueError("fine-tuning lowers the learning rate, which your training alone sets")
        number = self._trainings
        self._trainings += 1
        self.flat.load(self.initial if weights is None else weights)
        acting = Steps(
            self.flat,  # type: ignore[arg-type]
            (*hooks, *self.hooks),
            seed=derive(self.seed, "search", number),
        )
        acting.steps = self._own_steps or 0
        self._own(self._model, acting)
        if not acting.attached:
            raise ValueError(
                "the training did not call masking.attach(optimiser, steps=...) of the masking it was given"
            )
        if acting.step < acting.steps:
            warnings.warn(
                f"the training made {acting.step} of the {acting.steps} steps that were announced: the mask "
                "was still moving",
                stacklevel=2,
            )
        acting.refuse_diverged()
        acting.remove()
        self.epochs += 1.0
        return acting

    def rewound(self) -> dict[str, Tensor]:
        """Return the state at the step that tickets are rewound to, of a dense training."""
        if self.rewind == 0:
            return self.initial
        if self._rewound is None:
            snapshot = Snapshot(self.rewind)
            self.train(snapshot)
            if not snapshot.weights:
                raise ValueError(f"the training ended before step {self.rewind}: rewind earlier")
            self._rewound = snapshot.weights
        return self._rewound

    def batches(self, samples: int, chunk: int = 256) -> Iterator[tuple[Any, Any]]:
        """Yield the batches given, up to a number of samples."""
        return self._batches.several(samples)

    @property
    def task(self) -> Task:
        """The loss that was given."""
        return self._batches.task

    def like_inputs(self, dtype: Any) -> Tensor:
        """Return an input of ones, shape (1, ...)."""
        return self._batches.ones(dtype)

    def evaluated(self) -> Evaluation | None:
        """Return nothing: the data are the user's."""
        return None

    def charge(self, samples: int, seconds: float = 0.0) -> None:
        """Count nothing beside trainings."""
